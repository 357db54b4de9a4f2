/** Builds a plan's forward operations, as in training or as in evaluation, from the fused nodes. Used by `plan.ts` alone. */

import { LAYER_DEFAULTS, type LayerOf } from "../model/layer.ts";
import { elementsOf, readsTokens } from "../model/model.ts";
import { activationOf, type PlanNode } from "./fusion.ts";
import type { Operation, Statistics, TensorId } from "./operation.ts";
import type { PlanContext } from "./plan_context.ts";

/** What the backward pass needs to know of a node that the forward pass built. */
export interface BuiltNode {
  readonly inputs: readonly TensorId[];
  readonly output: TensorId;
  readonly choice?: TensorId;
  readonly mean?: TensorId;
  readonly inverseDeviation?: TensorId;
  readonly salt?: number;
}

interface ForwardOptions {
  readonly isTraining: boolean;
  /** Of the whole batch, over which the loss is averaged. */
  readonly examples: number;
  /** Where the loss goes; new tensors where left out. */
  readonly losses?: TensorId;
  readonly correct?: TensorId;
}

export class ForwardBuilder {
  readonly operations: Operation[] = [];
  /** By node. */
  readonly built: BuiltNode[] = [];
  readonly loss: { readonly gradient: TensorId; readonly losses: TensorId; readonly correct: TensorId };
  readonly #context: PlanContext;
  readonly #isTraining: boolean;
  /** "" in training, so that tensors of both have names of their own. */
  readonly #suffix: string;
  #dropouts = 0;

  constructor(context: PlanContext, nodes: readonly PlanNode[], options: ForwardOptions) {
    this.#context = context;
    this.#isTraining = options.isTraining;
    this.#suffix = options.isTraining ? "" : " in evaluation";
    const { batch, model } = context;
    const labels = this.#tensor("labels", batch);
    const input = this.#tensor("input", batch * elementsOf(model.input));
    const tokens = readsTokens(nodes.map(({ shaped }) => shaped));
    this.operations.push({ kind: "gather", output: input, labels, augment: options.isTraining && !tokens, tokens });
    const outputOf = (node: number): TensorId => (node < 0 ? input : this.built[node]!.output);
    for (const node of nodes) {
      const addend = node.addend === undefined ? undefined : outputOf(node.addend);
      this.built.push(this.#build(node, node.inputs.map(outputOf), addend));
    }
    this.loss = {
      gradient: this.#tensor("output gradient", batch * model.classes),
      losses: options.losses ?? this.#tensor("losses", batch),
      correct: options.correct ?? this.#tensor("correct", batch),
    };
    this.operations.push({
      kind: model.loss ?? "softmax-cross-entropy",
      batch,
      classes: model.classes,
      outputs: this.built.at(-1)!.output,
      labels,
      examples: options.examples,
      ...this.loss,
    });
  }

  #tensor(name: string, elements: number): TensorId {
    return this.#context.tensor(`${name}${this.#suffix}`, elements);
  }

  #build(node: PlanNode, inputs: readonly TensorId[], addend: TensorId | undefined): BuiltNode {
    const { shaped, activation } = node;
    const { layer, input: inputShape, output: outputShape } = shaped;
    const { name } = layer;
    const { batch } = this.#context;
    const input = inputs[0]!;
    if (layer.kind === "dropout" && !this.#isTraining) return { inputs, output: input };
    const elements = batch * elementsOf(outputShape);
    const output = this.#tensor(name, elements);
    switch (layer.kind) {
      case "conv2d": {
        const window = this.#context.window(shaped);
        this.#push({ kind: "convolve", name, input, output, window, activation, ...this.#context.weighted(layer) });
        return { inputs, output };
      }
      case "dense": {
        const shape = { batch, inputs: elementsOf(inputShape), units: layer.units };
        this.#push({ kind: "dense", name, ...shape, input, output, activation, ...this.#context.weighted(layer) });
        return { inputs, output };
      }
      case "max-pool": {
        const choice = this.#tensor(`${name} choice`, elements);
        const window = this.#context.window(shaped);
        this.#push({ kind: "max-pool", name, input, output, choice, window, activation });
        return { inputs, output, choice };
      }
      case "average-pool":
        this.#push({ kind: "average-pool", name, input, output, window: this.#context.window(shaped), activation });
        return { inputs, output };
      case "global-average-pool": {
        const { height, width, channels } = inputShape;
        this.#push({ kind: "global-average-pool", name, batch, pixels: height * width, channels, input, output });
        return { inputs, output };
      }
      case "batch-norm":
        return { inputs, output, ...this.#batchNorm(node, layer, input, output, addend) };
      case "layer-norm": {
        const { rows, channels } = this.#context.rows(shaped);
        const mean = this.#tensor(`${name} mean`, rows);
        const inverseDeviation = this.#tensor(`${name} inverse deviation`, rows);
        const epsilon = layer.epsilon ?? LAYER_DEFAULTS.layerNorm.epsilon;
        const common = { name, rows, channels, input, output, mean, inverseDeviation, epsilon, activation };
        this.#push({ kind: "layer-norm", ...common, ...this.#context.scaled(layer) });
        return { inputs, output, mean, inverseDeviation };
      }
      case "local-response-norm":
        this.#push({
          kind: "local-response-norm",
          name,
          ...this.#context.rows(shaped),
          ...responseOf(layer),
          input,
          output,
        });
        return { inputs, output };
      case "dropout": {
        const salt = ++this.#dropouts;
        this.#push({ kind: "dropout", name, elements, rate: layer.rate, salt, input, output });
        return { inputs, output, salt };
      }
      case "add":
        this.#push({ kind: "add", name, elements, first: input, second: inputs[1]!, output, activation });
        return { inputs, output };
      case "concat":
        this.#concat(node, inputs, output);
        return { inputs, output };
      case "embedding": {
        const { vocabulary, width } = layer;
        const tokens = batch * elementsOf(inputShape);
        const { weights } = this.#context.weighted(layer);
        this.#push({ kind: "embedding", name, tokens, vocabulary, width, input, output, weights });
        return { inputs, output };
      }
      case "relu":
      case "leaky-relu":
      case "gelu":
      case "silu":
      case "tanh":
      case "sigmoid":
        this.#push({ kind: "activate", name, elements, activation: activationOf(layer)!, input, output });
        return { inputs, output };
      case "flatten":
        throw new Error("invariant violation: a flatten was not fused");
      default:
        return layer satisfies never;
    }
  }

  #push(operation: Operation): void {
    this.operations.push(operation);
  }

  #batchNorm(
    { shaped, activation }: PlanNode,
    layer: LayerOf<"batch-norm"> & { readonly name: string },
    input: TensorId,
    output: TensorId,
    addend: TensorId | undefined,
  ): Partial<BuiltNode> {
    const { name } = layer;
    const { epsilon = LAYER_DEFAULTS.batchNorm.epsilon, momentum = LAYER_DEFAULTS.batchNorm.momentum } = layer;
    const { rows, channels } = this.#context.rows(shaped);
    const runningMean = this.#context.parameter(`${name}.mean`);
    const runningVariance = this.#context.parameter(`${name}.variance`);
    const common = { name, rows, channels, input, output, addend, activation, ...this.#context.scaled(layer) };
    if (!this.#isTraining) {
      const statistics: Statistics = { from: "running", mean: runningMean, variance: runningVariance, epsilon };
      this.#push({ kind: "batch-norm", ...common, statistics });
      return {};
    }
    const mean = this.#tensor(`${name} mean`, channels);
    const inverseDeviation = this.#tensor(`${name} inverse deviation`, channels);
    const kept = { mean, inverseDeviation };
    const running = { runningMean, runningVariance, momentum, epsilon };
    this.#push({ kind: "batch-norm-statistics", name, rows, channels, input, ...kept, ...running });
    this.#push({ kind: "batch-norm", ...common, statistics: { from: "batch", ...kept } });
    return kept;
  }

  #concat({ shaped }: PlanNode, inputs: readonly TensorId[], output: TensorId): void {
    const { name } = shaped.layer;
    const rows = this.#context.batch * shaped.output.height * shaped.output.width;
    const outputChannels = shaped.output.channels;
    let offset = 0;
    for (const [index, { shape }] of shaped.sources.entries()) {
      const { channels } = shape;
      this.#push({
        kind: "place-channels",
        name,
        rows,
        channels,
        input: inputs[index]!,
        output,
        outputChannels,
        offset,
      });
      offset += channels;
    }
  }
}

export function responseOf(layer: LayerOf<"local-response-norm">): {
  size: number;
  alpha: number;
  beta: number;
  k: number;
} {
  const { size, alpha, beta, k } = { ...LAYER_DEFAULTS.localResponseNorm, ...layer };
  return { size, alpha, beta, k };
}
