/**
 * A model's layers as the fewest nodes: activations move into the node that makes their input, a sum moves into the batch
 * norm before it (the end of a residual block), and flattening vanishes, since it only renames a shape. What `plan.ts` builds
 * its operations from.
 */

import { LAYER_DEFAULTS, type Layer } from "../model/layer.ts";
import type { ShapedLayer } from "../model/model.ts";
import { isFused, type Activation, type FusedActivation } from "./activation.ts";

/** Index of a node; -1 is the model's input. */
export type NodeIndex = number;

export interface PlanNode {
  readonly shaped: ShapedLayer;
  readonly inputs: readonly NodeIndex[];
  /** Only of a batch norm: what is added before its activation. */
  readonly addend: NodeIndex | undefined;
  readonly activation: FusedActivation | undefined;
}

type MutableNode = { -readonly [Field in keyof PlanNode]: PlanNode[Field] };

/** Kinds of layers whose kernels end with an activation. */
const HOSTS: ReadonlySet<Layer["kind"]> = new Set([
  "conv2d",
  "dense",
  "max-pool",
  "average-pool",
  "batch-norm",
  "layer-norm",
  "add",
]);

/** Nodes in an order in which each follows those that it reads. The last one makes the model's outputs. */
export function fuse(layers: readonly ShapedLayer[]): readonly PlanNode[] {
  const readers = readersOf(layers);
  const nodes: MutableNode[] = [];
  const nodeOfLayer: NodeIndex[] = [];
  const nodeOf = (layer: number): NodeIndex => (layer < 0 ? -1 : nodeOfLayer[layer]!);
  /** The node of `layer`, if nobody but one reader sees what it makes. */
  const privateNode = (layer: number): MutableNode | undefined =>
    layer >= 0 && readers[layer] === 1 && layers[layer]!.layer.kind !== "flatten" ? nodes[nodeOf(layer)] : undefined;

  for (const [index, shaped] of layers.entries()) {
    const sources = shaped.sources.map((source) => source.index);
    const [first = -1, second = -1] = sources;
    const activation = activationOf(shaped.layer);
    if (shaped.layer.kind === "flatten") {
      nodeOfLayer.push(nodeOf(first));
      continue;
    }
    // The loss gives the gradient at the last layer's output, and undoes nothing.
    if (activation && isFused(activation) && index < layers.length - 1) {
      const host = privateNode(first);
      if (host && !host.activation && HOSTS.has(host.shaped.layer.kind)) {
        host.activation = activation;
        nodeOfLayer.push(nodeOf(first));
        continue;
      }
    }
    if (shaped.layer.kind === "add") {
      const later = Math.max(first, second);
      const host = privateNode(later);
      // Its layer itself must be a batch norm: one with an activation of its own is another layer's node by now.
      if (host && layers[later]!.layer.kind === "batch-norm" && first !== second) {
        host.addend = nodeOf(Math.min(first, second));
        nodeOfLayer.push(nodeOf(later));
        continue;
      }
    }
    nodes.push({ shaped, inputs: sources.map(nodeOf), addend: undefined, activation: undefined });
    nodeOfLayer.push(nodes.length - 1);
  }
  return nodes;
}

/** How many times each layer is read. */
function readersOf(layers: readonly ShapedLayer[]): readonly number[] {
  const readers = layers.map(() => 0);
  for (const { sources } of layers) {
    for (const { index } of sources) if (index >= 0) readers[index]!++;
  }
  return readers;
}

/** The activation that a layer is, if it is one. */
export function activationOf(layer: Layer): Activation | undefined {
  switch (layer.kind) {
    case "relu":
    case "gelu":
    case "silu":
    case "tanh":
    case "sigmoid":
      return { kind: layer.kind, slope: 0 };
    case "leaky-relu":
      return { kind: layer.kind, slope: layer.slope ?? LAYER_DEFAULTS.leakyRelu.slope };
    default:
      return undefined;
  }
}
