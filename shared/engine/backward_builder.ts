/**
 * Builds a plan's backward operations from the fused nodes, last node first. A node whose output several others read gets
 * its gradient from each of them in turn: the first writes, the others add, and the last undoes the node's activation. Used
 * by `plan.ts` alone.
 */

import { elementsOf } from "../model/model.ts";
import type { BuiltNode } from "./forward_builder.ts";
import { responseOf } from "./forward_builder.ts";
import { activationOf, type NodeIndex, type PlanNode } from "./fusion.ts";
import type { Operation, TensorId, WritesInputGradient } from "./operation.ts";
import type { PlanContext } from "./plan_context.ts";

/** The gradient at a node's output while its readers contribute to it. */
interface Gradient {
  tensor: TensorId | undefined;
  /** Readers that have not contributed yet. */
  remaining: number;
}

export class BackwardBuilder {
  readonly operations: Operation[] = [];
  readonly #context: PlanContext;
  readonly #nodes: readonly PlanNode[];
  readonly #built: readonly BuiltNode[];
  readonly #gradients: Gradient[];
  /** Nodes with parameters in themselves or below; nothing else needs a gradient. */
  readonly #needed: readonly boolean[];

  constructor(context: PlanContext, nodes: readonly PlanNode[], built: readonly BuiltNode[], outputGradient: TensorId) {
    this.#context = context;
    this.#nodes = nodes;
    this.#built = built;
    this.#gradients = nodes.map(() => ({ tensor: undefined, remaining: 0 }));
    for (const { inputs, addend = -1 } of nodes) {
      for (const node of [...inputs, addend]) if (node >= 0) this.#gradients[node]!.remaining++;
    }
    this.#needed = neededNodes(nodes);
    this.#gradients.at(-1)!.tensor = outputGradient;
    for (let index = nodes.length - 1; index >= 0; index--) {
      if (this.#needed[index]) this.#build(index);
    }
  }

  /** Emits the operation with which `node` gets a contribution, if it needs one. */
  #contribute(node: NodeIndex, emit: (target: WritesInputGradient) => Operation): void {
    const target = this.#target(node);
    if (target) this.operations.push(emit(target));
  }

  #target(node: NodeIndex): WritesInputGradient | undefined {
    if (node < 0 || !this.#needed[node]) return undefined;
    const gradient = this.#gradients[node]!;
    const { activation, shaped } = this.#nodes[node]!;
    const accumulate = gradient.tensor !== undefined;
    gradient.tensor ??= this.#context.images(`${shaped.layer.name} output gradient`, shaped.output);
    gradient.remaining--;
    const isLast = gradient.remaining === 0;
    const undo = isLast && activation ? { activation, output: this.#built[node]!.output } : undefined;
    return { inputGradient: gradient.tensor, accumulate, undo };
  }

  /**
   * The gradient of a sum is handed on: `node` takes the tensor itself where it is the first contribution and nothing must be
   * undone in it. Nobody may read `outputGradient` afterwards but as this node's gradient.
   */
  #handOn(node: NodeIndex, name: string, outputGradient: TensorId): void {
    if (node < 0 || !this.#needed[node]) return;
    const gradient = this.#gradients[node]!;
    const undoesNow = gradient.remaining === 1 && this.#nodes[node]!.activation !== undefined;
    if (gradient.tensor === undefined && !undoesNow) {
      gradient.tensor = outputGradient;
      gradient.remaining--;
    } else this.#pass(node, name, outputGradient);
  }

  #pass(node: NodeIndex, name: string, outputGradient: TensorId): void {
    const elements = this.#context.tensors[outputGradient]!.elements;
    this.#contribute(node, (target) => ({ kind: "pass-gradient", name, elements, outputGradient, ...target }));
  }

  #build(index: number): void {
    const node = this.#nodes[index]!;
    const { shaped, addend } = node;
    const { layer } = shaped;
    const { name } = layer;
    const built = this.#built[index]!;
    const outputGradient = this.#gradients[index]!.tensor;
    if (outputGradient === undefined) throw new Error(`invariant violation: nothing gives "${name}" a gradient`);
    const input = built.inputs[0]!;
    const [source = -1] = node.inputs;
    const { batch } = this.#context;
    const elements = batch * elementsOf(shaped.output);
    switch (layer.kind) {
      case "conv2d": {
        const parts = { name, outputGradient, window: this.#context.window(shaped), ...this.#context.weighted(layer) };
        this.operations.push({ kind: "convolve-filter-gradient", input, ...parts });
        return this.#contribute(source, (target) => ({ kind: "convolve-data-gradient", ...parts, ...target }));
      }
      case "dense": {
        const shape = { batch, inputs: elementsOf(shaped.input), units: layer.units };
        const parts = { name, outputGradient, ...shape, ...this.#context.weighted(layer) };
        this.operations.push({ kind: "dense-filter-gradient", input, ...parts });
        return this.#contribute(source, (target) => ({ kind: "dense-data-gradient", ...parts, ...target }));
      }
      case "max-pool": {
        const parts = { name, outputGradient, choice: kept(built.choice), window: this.#context.window(shaped) };
        return this.#contribute(source, (target) => ({ kind: "max-pool-gradient", ...parts, ...target }));
      }
      case "average-pool": {
        const parts = { name, outputGradient, window: this.#context.window(shaped) };
        return this.#contribute(source, (target) => ({ kind: "average-pool-gradient", ...parts, ...target }));
      }
      case "global-average-pool": {
        const { height, width, channels } = shaped.input;
        const parts = { name, batch, pixels: height * width, channels, outputGradient };
        return this.#contribute(source, (target) => ({ kind: "global-average-pool-gradient", ...parts, ...target }));
      }
      case "batch-norm":
      case "layer-norm": {
        const statistics = { mean: kept(built.mean), inverseDeviation: kept(built.inverseDeviation) };
        const { rows, channels } = this.#context.rows(shaped);
        const parts = { name, rows, channels, input, outputGradient, ...statistics, ...this.#context.scaled(layer) };
        this.operations.push({ kind: `${layer.kind}-scale-gradient`, ...parts });
        this.#contribute(source, (target) => ({ kind: `${layer.kind}-data-gradient`, ...parts, ...target }));
        return addend === undefined ? undefined : this.#handOn(addend, name, outputGradient);
      }
      case "local-response-norm": {
        const parts = { name, ...this.#context.rows(shaped), ...responseOf(layer), input, outputGradient };
        return this.#contribute(source, (target) => ({ kind: "local-response-norm-gradient", ...parts, ...target }));
      }
      case "dropout": {
        const parts = { name, elements, rate: layer.rate, salt: kept(built.salt), outputGradient };
        return this.#contribute(source, (target) => ({ kind: "dropout-gradient", ...parts, ...target }));
      }
      case "add":
        this.#pass(source, name, outputGradient);
        return this.#handOn(node.inputs[1]!, name, outputGradient);
      case "concat":
        return this.#concat(node, outputGradient);
      case "embedding": {
        const { vocabulary, width } = layer;
        const tokens = batch * elementsOf(shaped.input);
        const { weights } = this.#context.weighted(layer);
        this.operations.push({
          kind: "embedding-gradient",
          name,
          tokens,
          vocabulary,
          width,
          input,
          outputGradient,
          weights,
        });
        return undefined;
      }
      case "relu":
      case "leaky-relu":
      case "gelu":
      case "silu":
      case "tanh":
      case "sigmoid": {
        const parts = { name, elements, activation: activationOf(layer)!, input, outputGradient };
        return this.#contribute(source, (target) => ({ kind: "activate-gradient", ...parts, ...target }));
      }
      case "flatten":
        throw new Error("invariant violation: a flatten was not fused");
      default:
        return layer satisfies never;
    }
  }

  #concat({ shaped, inputs }: PlanNode, outputGradient: TensorId): void {
    const { name } = shaped.layer;
    const rows = this.#context.batch * shaped.output.height * shaped.output.width;
    let offset = 0;
    for (const [index, { shape }] of shaped.sources.entries()) {
      const { channels } = shape;
      const parts = { name, rows, channels, outputGradient, outputChannels: shaped.output.channels, offset };
      this.#contribute(inputs[index]!, (target) => ({ kind: "take-channels", ...parts, ...target }));
      offset += channels;
    }
  }
}

function neededNodes(nodes: readonly PlanNode[]): boolean[] {
  const needed: boolean[] = [];
  for (const { shaped, inputs, addend = -1 } of nodes) {
    const { kind } = shaped.layer;
    const trains =
      kind === "conv2d" || kind === "dense" || kind === "batch-norm" || kind === "layer-norm" || kind === "embedding";
    needed.push(trains || [...inputs, addend].some((node) => node >= 0 && needed[node]!));
  }
  return needed;
}

function kept<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("invariant violation: the forward pass kept nothing for this gradient");
  return value;
}
