/**
 * A list of operations as stages: what threads do side by side, each for its own images, until something needs the whole
 * batch. Only batch norms do (their sums are finished by the program's thread alone), and the sum of the gradients at the
 * end of a step.
 */

import type { Operation } from "../../operation.ts";
import { batchNormScaleParts, batchNormStatisticsParts } from "../batch_norm_invocations.ts";
import { call } from "../calls.ts";
import { invocationsOf } from "../invocations.ts";
import type { Invocation } from "../kernels.ts";
import type { MemoryMap } from "../memory_map.ts";
import { partOf } from "./parts.ts";
import type { ThreadView } from "./thread_view.ts";

/** Calls of every thread, then calls of the program's thread alone. */
export interface Stage {
  /** By thread. */
  readonly parts: readonly (readonly Invocation[])[];
  readonly own: readonly Invocation[];
}

const WORD_BYTES = 4;
/** Threads that share a cache line would wait for each other. */
const SLICE_GRAIN = 64;

export class Staging {
  readonly #map: MemoryMap;
  readonly #views: readonly ThreadView[];
  /** One table of sums for each thread, one after another. */
  readonly #sums: number;

  constructor(map: MemoryMap, views: readonly ThreadView[]) {
    this.#map = map;
    this.#views = views;
    const { plan } = map;
    const channels = [...plan.forward, ...plan.backward].map((operation) =>
      operation.kind.startsWith("batch-norm") && "channels" in operation ? operation.channels : 0,
    );
    this.#sums = map.reserve(views.length * sumsElements(Math.max(0, ...channels)) * WORD_BYTES);
  }

  stagesOf(operations: readonly Operation[]): Stage[] {
    const stages: Stage[] = [];
    let parts = this.#none();
    for (const operation of operations) {
      if (operation.kind === "batch-norm-statistics" || operation.kind === "batch-norm-scale-gradient") {
        const { sums, finish } = this.#summed(operation);
        parts = parts.map((calls, thread) => [...calls, sums[thread]!]);
        stages.push({ parts, own: [finish] });
        parts = this.#none();
      } else {
        parts = parts.map((calls, thread) => {
          const view = this.#views[thread]!;
          return [...calls, ...invocationsOf(partOf(operation, view.part, this.#map.plan.microBatch), view)];
        });
      }
    }
    return parts.some((calls) => calls.length > 0) ? [...stages, { parts, own: [] }] : stages;
  }

  /** Adds the other threads' gradients to the program's own, a slice of the vector each. */
  gradientSum(): Stage[] {
    const { elements } = this.#map.plan.layout;
    const threads = this.#views.length;
    if (threads === 1) return [];
    const slice = Math.ceil(elements / threads / SLICE_GRAIN) * SLICE_GRAIN;
    const parts = this.#views.map((_, thread) => {
      const first = thread * slice;
      const count = Math.max(0, Math.min(slice, elements - first));
      const at = first * WORD_BYTES;
      return count === 0
        ? []
        : this.#views.slice(1).map(({ gradient }) => call("addVector", this.#map.gradient + at, gradient + at, count));
    });
    return [{ parts, own: [] }];
  }

  #none(): Invocation[][] {
    return this.#views.map(() => []);
  }

  #summed(operation: Extract<Operation, { kind: "batch-norm-statistics" | "batch-norm-scale-gradient" }>): {
    sums: readonly Invocation[];
    finish: Invocation;
  } {
    const stepBytes = sumsElements(operation.channels) * WORD_BYTES;
    const { microBatch } = this.#map.plan;
    const parts = this.#views.map((view, thread) => ({
      view,
      rows: (operation.rows / microBatch) * view.part.count,
      sums: this.#sums + thread * stepBytes,
    }));
    return operation.kind === "batch-norm-statistics"
      ? batchNormStatisticsParts(operation, parts)
      : batchNormScaleParts(operation, parts);
  }
}

/** As `assembly/batch_norm.ts` lays a table of sums out. */
function sumsElements(channels: number): number {
  return 2 * Math.ceil(channels / 4) * 4;
}
