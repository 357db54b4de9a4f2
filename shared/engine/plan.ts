/**
 * A model compiled once into a fixed plan: the operations of a whole training step in order, those of an evaluation, the
 * tensors between them, and the memory slots they share. Both backends run the same plan; neither sees the model's layers.
 *
 * Activations: `[batch, height, width, channels]`, 4-byte words. Parameters, gradient and velocity are one contiguous
 * buffer each, of the layout's `elements`; operations name their tensors in it by offset.
 */

import { layoutOf, type ParameterLayout } from "../model/layout.ts";
import { inferShapes, type ModelDescription } from "../model/model.ts";
import { BackwardBuilder } from "./backward_builder.ts";
import type { Augmentation } from "./dice.ts";
import { ForwardBuilder } from "./forward_builder.ts";
import { fuse, type PlanNode } from "./fusion.ts";
import type { Operation, TensorId } from "./operation.ts";
import { tensorsOf } from "./operation_tensors.ts";
import type { Optimizer } from "./optimizer.ts";
import { PlanContext } from "./plan_context.ts";
import { assignSlots, peakElements, type Lifetime } from "./slots.ts";

interface PlannedTensor {
  readonly name: string;
  /** 4-byte words: f32, or u32 for the choices of a max-pool and for labels. */
  readonly elements: number;
  /** Index into `Plan.slotElements`; tensors whose lives do not meet may share one. */
  readonly slot: number;
}

/** Of pixels scaled to 0..1: one value for each channel of the input, or a single one for all. */
export interface Normalisation {
  readonly mean: readonly number[];
  readonly deviation: readonly number[];
}

/** The value for `channel`. */
export function channelValue(values: readonly number[], channel: number): number {
  const value = values.length === 1 ? values[0] : values[channel];
  if (value === undefined) throw new Error(`invariant violation: no normalisation for channel ${channel}`);
  return value;
}

export interface PlanOptions {
  /** Examples of one local step. */
  readonly batch: number;
  /** How many examples the data set on the device holds. */
  readonly datasetExamples: number;
  readonly normalisation: Normalisation;
  /**
   * A batch that does not fit on the device is done in so many equal parts, whose gradients are added. Batch norms then see the
   * parts. 1 where left out.
   */
  readonly microBatches?: number;
  /** Applied in training only. None where left out. */
  readonly augmentation?: Augmentation;
  /** Of dropout and augmentation (dice.ts). 0 where left out. */
  readonly seed?: number;
  /** Heavy-ball momentum where left out. */
  readonly optimizer?: Optimizer;
}

export interface Plan extends Required<PlanOptions> {
  readonly model: ModelDescription;
  readonly layout: ParameterLayout;
  /** `batch / microBatches`: the first dimension of all tensors. */
  readonly microBatch: number;
  readonly tensors: readonly PlannedTensor[];
  /** Words of each slot. The memory between operations is their sum. */
  readonly slotElements: readonly number[];
  /** The most words that are alive at once: what no assignment of slots could go below. */
  readonly peakElements: number;
  /** Gather, layers, loss, as in training. */
  readonly forward: readonly Operation[];
  /** Gradients, last layer first. The update follows: `optimizer`, over the trainable part of the parameter buffer. */
  readonly backward: readonly Operation[];
  /** Gather, layers, loss, as in evaluation: running statistics, no dropout, no augmentation. Often the same as `forward`. */
  readonly evaluation: readonly Operation[];
  /** Of the loss, in training and in evaluation: per-example losses and whether the answer was right. */
  readonly losses: TensorId;
  readonly correct: TensorId;
}

const NO_AUGMENTATION: Augmentation = { cropPadding: 0, flip: false };

/** Compiles `model`; throws a `ModelError` that names the layer where shapes do not fit. */
export function compilePlan(model: ModelDescription, options: PlanOptions): Plan {
  const whole: Required<PlanOptions> = {
    microBatches: 1,
    augmentation: NO_AUGMENTATION,
    seed: 0,
    optimizer: { kind: "momentum" },
    ...options,
  };
  const microBatch = whole.batch / whole.microBatches;
  if (!Number.isInteger(microBatch) || microBatch < 1) {
    throw new Error(`A batch of ${whole.batch} cannot be divided into ${whole.microBatches} equal parts.`);
  }
  const layout = layoutOf(model);
  const nodes = fuse(inferShapes(model));
  const context = new PlanContext(model, layout, microBatch);
  const training = new ForwardBuilder(context, nodes, { isTraining: true, examples: whole.batch });
  const { losses, correct } = training.loss;
  const backward = new BackwardBuilder(context, nodes, training.built, training.loss.gradient).operations;
  const evaluation = evaluatesAsItTrains(nodes, whole.augmentation)
    ? training.operations
    : new ForwardBuilder(context, nodes, { isTraining: false, examples: whole.batch, losses, correct }).operations;
  const { operations: forward } = training;
  const lists = evaluation === forward ? [forward, backward] : [forward, backward, evaluation];
  return {
    ...whole,
    model,
    layout,
    microBatch,
    ...placed(context, lists.flat(), [losses, correct]),
    forward,
    backward,
    evaluation,
    losses,
    correct,
  };
}

function evaluatesAsItTrains(nodes: readonly PlanNode[], { cropPadding, flip }: Augmentation): boolean {
  const differs = nodes.some(({ shaped }) => shaped.layer.kind === "batch-norm" || shaped.layer.kind === "dropout");
  return !differs && cropPadding === 0 && !flip;
}

/** Gives every tensor its slot. `kept` are read after the last operation. */
function placed(
  { tensors }: PlanContext,
  operations: readonly Operation[],
  kept: readonly TensorId[],
): Pick<Plan, "tensors" | "slotElements" | "peakElements"> {
  const lives: (Lifetime & { first: number; last: number })[] = tensors.map(({ elements }) => ({
    elements,
    first: Infinity,
    last: -1,
  }));
  for (const [at, operation] of operations.entries()) {
    for (const id of tensorsOf(operation)) {
      const life = lives[id]!;
      life.first = Math.min(life.first, at);
      life.last = Math.max(life.last, at);
    }
  }
  for (const id of kept) lives[id]!.last = operations.length;
  const { slotOf, slotElements } = assignSlots(lives);
  return {
    tensors: tensors.map((tensor, id) => ({ ...tensor, slot: slotOf[id]! })),
    slotElements,
    peakElements: peakElements(lives, operations.length),
  };
}
