/** Does an exercise on a WASM program: everything lies in one memory, so that filling and reading are copies. */

import { patternPieces, wordsIn, type Exercise, type ReadSource, type Run, type TakeWords } from "../exercise.ts";
import { invoke, type Instance, type Invocation } from "./kernels.ts";
import type { MemoryMap } from "./memory_map.ts";

/** For each operation of the plan its kernel calls. */
export interface OperationCalls {
  readonly forward: readonly (readonly Invocation[])[];
  readonly backward: readonly (readonly Invocation[])[];
}

export function doExercise(
  instance: Instance,
  map: MemoryMap,
  calls: OperationCalls,
  { pattern, moves }: Exercise,
  take: TakeWords,
): void {
  for (const move of moves) {
    switch (move.kind) {
      case "fill": {
        const { elements } = map.plan.tensors[move.tensor]!;
        const tensor = new Float32Array(instance.memory, map.tensor(move.tensor), elements);
        for (const { at, piece } of patternPieces(pattern, move.offset, elements)) tensor.set(piece, at);
        break;
      }
      case "operate":
        invoke(instance, calls[move.part][move.at]!);
        break;
      case "read":
        take(wordsOf(instance, addressOf(map, move.source), move.runs));
        break;
      default:
        move satisfies never;
    }
  }
}

function addressOf(map: MemoryMap, source: ReadSource): number {
  return source.kind === "tensor" ? map.tensor(source.tensor) : map[source.kind];
}

function wordsOf({ memory }: Instance, address: number, runs: readonly Run[]): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(wordsIn(runs));
  let at = 0;
  for (const { first, count } of runs) {
    words.set(new Uint32Array(memory, address + 4 * first, count), at);
    at += count;
  }
  return words;
}
