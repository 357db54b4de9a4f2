/**
 * A model compiled once into a fixed plan: the operations of a whole training step in order, the tensors between them,
 * and the memory slots they share. Both backends run the same plan; neither sees the model's layers.
 *
 * Activations: `[batch, height, width, channels]`, 4-byte words. Parameters, gradient and velocity are one contiguous
 * buffer each, of the layout's `elements`; operations name their tensors in it by offset.
 */

import { elementsOf, inferShapes, ModelError, type ModelDescription, type ShapedLayer } from "../model/model.ts";
import { layoutOf, type ParameterLayout, type ParameterTensor } from "../model/layout.ts";
import { tensorsOf, type Operation, type TensorId, type Weighted, type WindowGeometry } from "./operation.ts";
import { assignSlots, type Lifetime } from "./slots.ts";

interface PlannedTensor {
  readonly name: string;
  /** 4-byte words: f32, or u32 for the choices of a max-pool. */
  readonly elements: number;
  /** Index into `Plan.slotElements`; tensors whose lives do not meet may share one. */
  readonly slot: number;
}

export interface Normalisation {
  /** One value for all channels, of pixels scaled to 0..1. */
  readonly mean: number;
  readonly deviation: number;
}

export interface PlanOptions {
  readonly batch: number;
  /** How many examples the data set on the device holds. */
  readonly datasetExamples: number;
  readonly normalisation: Normalisation;
}

export interface Plan extends PlanOptions {
  readonly model: ModelDescription;
  readonly layout: ParameterLayout;
  readonly tensors: readonly PlannedTensor[];
  /** Words of each slot. The memory between operations is their sum. */
  readonly slotElements: readonly number[];
  /** Gather, layers, loss. Running these alone evaluates. */
  readonly forward: readonly Operation[];
  /** Gradients, last layer first. The update follows: one operation over the whole parameter buffer. */
  readonly backward: readonly Operation[];
  /** Of the softmax: per-example losses and whether the answer was right. */
  readonly losses: TensorId;
  readonly correct: TensorId;
}

/** Compiles `model`; throws a `ModelError` that names the layer where shapes do not fit. */
export function compilePlan(model: ModelDescription, options: PlanOptions): Plan {
  return new PlanBuilder(model, options).build();
}

/** A layer after fusion: a relu is an epilogue of the layer before it. */
interface FusedLayer {
  readonly shaped: ShapedLayer;
  readonly relu: boolean;
}

function fuse(layers: readonly ShapedLayer[], modelName: string): FusedLayer[] {
  const fused: FusedLayer[] = [];
  for (const shaped of layers) {
    if (shaped.layer.kind !== "relu") {
      fused.push({ shaped, relu: false });
      continue;
    }
    const previous = fused.pop();
    // A relu on the raw input or on another relu has nothing to be fused into.
    if (!previous) throw new ModelError(`Model "${modelName}": layer "${shaped.layer.name}" has no layer before it.`);
    fused.push({ shaped: previous.shaped, relu: true });
  }
  return fused;
}

/** What the backward pass needs to know of a layer that the forward pass built. */
interface BuiltLayer extends FusedLayer {
  readonly input: TensorId;
  readonly output: TensorId;
  readonly choice: TensorId | undefined;
}

class PlanBuilder {
  readonly #model: ModelDescription;
  readonly #options: PlanOptions;
  readonly #layout: ParameterLayout;
  readonly #parameters: ReadonlyMap<string, ParameterTensor>;
  readonly #tensors: { name: string; elements: number }[] = [];
  readonly #forward: Operation[] = [];
  readonly #backward: Operation[] = [];

  constructor(model: ModelDescription, options: PlanOptions) {
    this.#model = model;
    this.#options = options;
    this.#layout = layoutOf(model);
    this.#parameters = new Map(this.#layout.tensors.map((tensor) => [tensor.name, tensor]));
  }

  build(): Plan {
    const { batch } = this.#options;
    const labels = this.#tensor("labels", batch);
    let current = this.#tensor("input", batch * elementsOf(this.#model.input));
    this.#forward.push({ kind: "gather", output: current, labels });
    const built: BuiltLayer[] = [];
    for (const fused of fuse(inferShapes(this.#model), this.#model.name)) {
      const layer = this.#buildForward(fused, current);
      built.push(layer);
      current = layer.output;
    }
    const classes = this.#model.classes;
    const gradient = this.#tensor("logits gradient", batch * classes);
    const losses = this.#tensor("losses", batch);
    const correct = this.#tensor("correct", batch);
    this.#forward.push({
      kind: "softmax-cross-entropy",
      batch,
      classes,
      logits: current,
      labels,
      gradient,
      losses,
      correct,
    });
    this.#buildBackward(built, gradient);
    return this.#finish(losses, correct);
  }

  #tensor(name: string, elements: number): TensorId {
    this.#tensors.push({ name, elements });
    return this.#tensors.length - 1;
  }

  #weighted(layerName: string): Weighted {
    const weights = this.#parameters.get(`${layerName}.weights`);
    const bias = this.#parameters.get(`${layerName}.bias`);
    if (!weights || !bias) throw new Error(`invariant violation: layer "${layerName}" has no parameters in its layout`);
    return { weights, bias };
  }

  #buildForward(fused: FusedLayer, input: TensorId): BuiltLayer {
    const { layer, input: inputShape, output: outputShape } = fused.shaped;
    const { batch } = this.#options;
    const { relu } = fused;
    const name = layer.name;
    const output = this.#tensor(name, batch * elementsOf(outputShape));
    let choice: TensorId | undefined;
    switch (layer.kind) {
      case "conv2d":
        this.#forward.push({
          kind: "convolve",
          name,
          input,
          output,
          relu,
          window: windowOf(fused.shaped, batch),
          ...this.#weighted(name),
        });
        break;
      case "max-pool":
        choice = this.#tensor(`${name} choice`, batch * elementsOf(outputShape));
        this.#forward.push({
          kind: "max-pool",
          name,
          input,
          output,
          choice,
          relu,
          window: windowOf(fused.shaped, batch),
        });
        break;
      case "dense":
        this.#forward.push({
          kind: "dense",
          name,
          batch,
          inputs: elementsOf(inputShape),
          units: layer.units,
          input,
          output,
          relu,
          ...this.#weighted(name),
        });
        break;
      case "relu":
        throw new Error("invariant violation: a relu was not fused");
      default:
        layer satisfies never;
    }
    return { ...fused, input, output, choice };
  }

  #buildBackward(built: readonly BuiltLayer[], logitsGradient: TensorId): void {
    let outputGradient = logitsGradient;
    for (let index = built.length - 1; index >= 0; index--) {
      const current = built[index]!;
      const previous = built[index - 1];
      this.#buildFilterGradient(current, outputGradient);
      // Nothing with parameters lies below: the rest of the gradient is not needed.
      if (!built.slice(0, index).some(hasParameters)) break;
      const inputGradient = this.#tensor(
        `${current.shaped.layer.name} input gradient`,
        this.#options.batch * elementsOf(current.shaped.input),
      );
      // The previous layer's relu is undone here, where its output's gradient is written.
      const reluOutput = previous?.relu ? previous.output : undefined;
      this.#buildDataGradient(current, outputGradient, inputGradient, reluOutput);
      outputGradient = inputGradient;
    }
  }

  #buildFilterGradient(built: BuiltLayer, outputGradient: TensorId): void {
    const { layer, input: inputShape } = built.shaped;
    const { batch } = this.#options;
    const { name } = layer;
    if (layer.kind === "conv2d") {
      this.#backward.push({
        kind: "convolve-filter-gradient",
        name,
        input: built.input,
        outputGradient,
        window: windowOf(built.shaped, batch),
        ...this.#weighted(name),
      });
    } else if (layer.kind === "dense") {
      this.#backward.push({
        kind: "dense-filter-gradient",
        name,
        batch,
        inputs: elementsOf(inputShape),
        units: layer.units,
        input: built.input,
        outputGradient,
        ...this.#weighted(name),
      });
    }
  }

  #buildDataGradient(
    built: BuiltLayer,
    outputGradient: TensorId,
    inputGradient: TensorId,
    reluOutput: TensorId | undefined,
  ): void {
    const { layer, input: inputShape } = built.shaped;
    const { batch } = this.#options;
    const { name } = layer;
    switch (layer.kind) {
      case "conv2d":
        this.#backward.push({
          kind: "convolve-data-gradient",
          name,
          outputGradient,
          inputGradient,
          reluOutput,
          window: windowOf(built.shaped, batch),
          ...this.#weighted(name),
        });
        break;
      case "max-pool":
        if (built.choice === undefined) throw new Error("invariant violation: a max-pool without its choices");
        this.#backward.push({
          kind: "max-pool-gradient",
          name,
          outputGradient,
          choice: built.choice,
          inputGradient,
          reluOutput,
          window: windowOf(built.shaped, batch),
        });
        break;
      case "dense":
        this.#backward.push({
          kind: "dense-data-gradient",
          name,
          batch,
          inputs: elementsOf(inputShape),
          units: layer.units,
          outputGradient,
          inputGradient,
          reluOutput,
          ...this.#weighted(name),
        });
        break;
      case "relu":
        throw new Error("invariant violation: a relu was not fused");
      default:
        layer satisfies never;
    }
  }

  #finish(losses: TensorId, correct: TensorId): Plan {
    const operations = [...this.#forward, ...this.#backward];
    const lives: Lifetime[] = this.#tensors.map((tensor, id) => {
      const uses = operations.flatMap((operation, at) => (tensorsOf(operation).includes(id) ? [at] : []));
      // Losses and correctness are read after the step.
      const last = id === losses || id === correct ? operations.length : Math.max(...uses);
      return { elements: tensor.elements, first: Math.min(...uses), last };
    });
    const { slotOf, slotElements } = assignSlots(lives);
    return {
      ...this.#options,
      model: this.#model,
      layout: this.#layout,
      tensors: this.#tensors.map((tensor, id) => ({ ...tensor, slot: slotOf[id]! })),
      slotElements,
      forward: this.#forward,
      backward: this.#backward,
      losses,
      correct,
    };
  }
}

function hasParameters(built: BuiltLayer): boolean {
  return built.shaped.layer.kind === "conv2d" || built.shaped.layer.kind === "dense";
}

function windowOf({ layer, input, output }: ShapedLayer, batch: number): WindowGeometry {
  if (layer.kind === "conv2d") {
    return { batch, input, output, size: layer.kernel, stride: layer.stride ?? 1, padding: layer.padding ?? 0 };
  }
  if (layer.kind === "max-pool") {
    return { batch, input, output, size: layer.size, stride: layer.stride, padding: 0 };
  }
  throw new Error(`invariant violation: layer "${layer.name}" has no window`);
}
