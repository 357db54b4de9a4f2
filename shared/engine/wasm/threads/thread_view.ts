/**
 * A program's memory as one of its threads sees it: its own share of every slot, scratch and gradients of its own. A slot is
 * divided once, by its largest tensor, and not tensor by tensor: threads are not at the same operation at the same time,
 * and what one writes must not lie where another still reads. So a tensor's images are not one after another here.
 */

import type { Operation, TensorId } from "../../operation.ts";
import type { Plan } from "../../plan.ts";
import type { MemoryMap } from "../memory_map.ts";
import type { MemoryView, Part } from "../memory_view.ts";
import { scratchOf } from "../scratch.ts";
import { partOf } from "./parts.ts";

const WORD_BYTES = 4;

/** Tensors that hold nothing per image (the statistics of batch norms), with a place of their own for all threads. */
export type SharedTensors = ReadonlyMap<TensorId, number>;

export function sharedTensors(map: MemoryMap): SharedTensors {
  const { plan } = map;
  const ids = plan.forward.flatMap((operation) =>
    operation.kind === "batch-norm-statistics" ? [operation.mean, operation.inverseDeviation] : [],
  );
  return new Map(ids.map((id) => [id, map.reserve(plan.tensors[id]!.elements * WORD_BYTES)]));
}

export class ThreadView implements MemoryView {
  readonly plan: Plan;
  readonly part: Part;
  readonly parameters: number;
  readonly gradient: number;
  readonly batchGradient: number;
  readonly images: number;
  readonly labels: number;
  readonly examples: number;
  readonly draw: number;
  readonly stepExamples: number;
  readonly scratch: MemoryView["scratch"];
  readonly zeros: number;
  readonly #map: MemoryMap;
  readonly #shared: SharedTensors;
  /** Bytes before this thread's share, by slot. */
  readonly #shareBytes: readonly number[];

  /** The first thread works in the program's own gradient vector, the others in one of theirs, which begins as zeros. */
  constructor(map: MemoryMap, shared: SharedTensors, part: Part, isFirst: boolean) {
    const { plan } = map;
    this.plan = plan;
    this.part = part;
    this.parameters = map.parameters;
    this.gradient = isFirst ? map.gradient : map.reserve(plan.layout.elements * WORD_BYTES);
    this.batchGradient = map.gradient;
    this.images = map.images;
    this.labels = map.labels;
    this.examples = map.examples + part.first * WORD_BYTES;
    this.draw = map.draw;
    this.stepExamples = map.stepExamples;
    this.zeros = map.zeros;
    this.#map = map;
    this.#shared = shared;
    this.#shareBytes = plan.slotElements.map((_, slot) => {
      const perImage = plan.tensors.map((tensor, id) =>
        tensor.slot === slot && !shared.has(id) ? tensor.elements / plan.microBatch : 0,
      );
      return part.first * Math.max(...perImage) * WORD_BYTES;
    });
    const operations: readonly Operation[] = [...plan.forward, ...plan.backward, ...plan.evaluation];
    const needs = scratchOf(operations.map((operation) => partOf(operation, part, plan.microBatch)));
    this.scratch = {
      packedBytes: map.reserve(needs.packedBytes),
      paddedBytes: map.reserve(needs.paddedBytes),
      sumsBytes: map.reserve(needs.sumsBytes),
    };
  }

  tensor(id: TensorId): number {
    return this.#shared.get(id) ?? this.#map.tensor(id) + this.#shareBytes[this.plan.tensors[id]!.slot]!;
  }

  addTable(words: Uint32Array): number {
    return this.#map.addTable(words);
  }
}
