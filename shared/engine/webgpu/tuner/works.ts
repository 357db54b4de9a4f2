/** What there is to tune in a plan: its distinct products, the dearest first, and for each the candidates in order. */

import type { Plan } from "../../plan.ts";
import { candidateName, productKey, type Candidate, type DeviceTraits, type Product } from "../choice/candidate.ts";
import { candidatesOf } from "../choice/candidates.ts";
import { modelledMs } from "../choice/cost_model.ts";
import { isWeighted, productOf, type WeightedOperation } from "../products.ts";
import type { ProductEdges } from "./bench.ts";

export interface Work {
  readonly key: string;
  readonly product: Product;
  /** Of the first operation that does it. */
  readonly edges: ProductEdges;
  /** How many operations of a step do it. */
  readonly count: number;
  /** Its part of all products' modelled time. */
  readonly share: number;
  /** The rule's own first, then by modelled time; without those that the model rules out. */
  readonly candidates: readonly Candidate[];
}

/**
 * Slower than this many times the best by the model is left out. The model is a guess: the real winners of LeNet's products
 * were within 1.3 times its best (`drove bench conv --quick`, SwiftShader, 2-core Xeon 2.5 GHz, 2026-11-21).
 */
const HOPELESS = 3;

/** Works of a training step; an evaluation does the same forward passes. */
export function worksOf(plan: Plan, traits: DeviceTraits): readonly Work[] {
  const found = new Map<string, { product: Product; edges: ProductEdges; count: number }>();
  for (const operation of [...plan.forward, ...plan.backward]) {
    if (!isWeighted(operation)) continue;
    const product = productOf(operation);
    const key = productKey(product);
    const known = found.get(key);
    if (known) known.count++;
    else found.set(key, { product, edges: edgesOf(operation), count: 1 });
  }
  const works = [...found].map(([key, { product, edges, count }]) => {
    const candidates = inOrder(traits, product);
    return { key, product, edges, count, candidates, ms: count * modelledMs(traits, product, candidates[0]!) };
  });
  const wholeMs = works.reduce((sum, { ms }) => sum + ms, 0);
  return works
    .toSorted((a, b) => b.ms - a.ms)
    .map(({ key, product, edges, count, candidates, ms }) => {
      return { key, product, edges, count, candidates, share: wholeMs === 0 ? 0 : ms / wholeMs };
    });
}

function edgesOf(operation: WeightedOperation): ProductEdges {
  const { weights, bias } = operation;
  const isForward = "activation" in operation;
  const undo = "undo" in operation ? operation.undo : undefined;
  return {
    hasBias: bias !== undefined,
    activation: isForward ? operation.activation : undo?.activation,
    accumulate: "accumulate" in operation && operation.accumulate,
    offsets: { weights: 0, bias: bias && bias.offset - weights.offset },
  };
}

/** The rule's choice, which comes first in `candidatesOf`, is what all others have to beat. */
export function inOrder(traits: DeviceTraits, product: Product): readonly Candidate[] {
  const [rule, ...others] = candidatesOf(traits, product).map((candidate) => ({
    candidate,
    ms: modelledMs(traits, product, candidate),
  }));
  if (!rule) throw new Error(`invariant violation: nothing does ${productKey(product)}`);
  const bestMs = Math.min(rule.ms, ...others.map(({ ms }) => ms));
  const hopeful = others.filter(({ ms }) => ms <= HOPELESS * bestMs).toSorted((a, b) => a.ms - b.ms);
  return [rule, ...hopeful].map(({ candidate }) => candidate);
}

export function candidateNamed({ candidates }: Work, name: string): Candidate | undefined {
  return candidates.find((candidate) => candidateName(candidate) === name);
}
