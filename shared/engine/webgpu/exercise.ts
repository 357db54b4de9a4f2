/**
 * Does an exercise on a WebGPU program. Everything is queued, what is read is gathered in one staging buffer of its own, and
 * the host waits once at the end: hundreds of operations would otherwise wait for as many readbacks.
 */

import { patternPieces, wordsIn, type Exercise, type ReadSource, type Run, type TakeWords } from "../exercise.ts";
import type { PreparedDispatch } from "./kernels.ts";
import type { PlanMemory } from "./memory.ts";

/** For each operation of the plan its launches. */
interface OperationLaunches {
  readonly forward: readonly (readonly PreparedDispatch[])[];
  readonly backward: readonly (readonly PreparedDispatch[])[];
}

interface Exercised {
  readonly device: GPUDevice;
  readonly memory: PlanMemory;
  readonly launches: OperationLaunches;
  /** Encodes launches into one compute pass. */
  readonly runPass: (encoder: GPUCommandEncoder, launches: readonly PreparedDispatch[]) => void;
}

const WORD_BYTES = 4;
/** Of fills that wait in the queue, each with a copy of its bytes. */
const MOST_QUEUED_BYTES = 64 * 2 ** 20;

export async function doExercise(exercised: Exercised, { pattern, moves }: Exercise, take: TakeWords): Promise<void> {
  const { device, memory, launches, runPass } = exercised;
  const { queue } = device;
  const reads = moves.filter((move) => move.kind === "read");
  const staging = device.createBuffer({
    label: "exercise readback",
    size: WORD_BYTES * Math.max(1, wordsIn(reads.flatMap(({ runs }) => runs))),
    usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
  });
  try {
    let queuedBytes = 0;
    let readWords = 0;
    for (const move of moves) {
      if (move.kind === "fill") {
        queuedBytes += fill(queue, memory, move.tensor, pattern, move.offset);
        if (queuedBytes < MOST_QUEUED_BYTES) continue;
        await queue.onSubmittedWorkDone();
        queuedBytes = 0;
        continue;
      }
      const encoder = device.createCommandEncoder();
      if (move.kind === "operate") runPass(encoder, launches[move.part][move.at]!);
      else readWords += copyRuns(encoder, bufferOf(memory, move.source), move.runs, staging, readWords);
      queue.submit([encoder.finish()]);
    }
    await staging.mapAsync(GPUMapMode.READ);
    const words = new Uint32Array(staging.getMappedRange().slice(0));
    let at = 0;
    for (const { runs } of reads) take(words.subarray(at, (at += wordsIn(runs))));
  } finally {
    staging.destroy();
  }
}

/** Returns how many bytes were queued. */
function fill(
  queue: GPUQueue,
  memory: PlanMemory,
  tensor: number,
  pattern: Float32Array<ArrayBuffer>,
  offset: number,
): number {
  const { elements } = memory.plan.tensors[tensor]!;
  const { buffer, offset: begin = 0 } = memory.tensor(tensor);
  for (const { at, piece } of patternPieces(pattern, offset, elements))
    queue.writeBuffer(buffer, begin + WORD_BYTES * at, piece);
  return WORD_BYTES * elements;
}

/** Returns how many words were copied. */
function copyRuns(
  encoder: GPUCommandEncoder,
  { buffer, offset = 0 }: GPUBufferBinding,
  runs: readonly Run[],
  staging: GPUBuffer,
  stagingWords: number,
): number {
  let words = 0;
  for (const { first, count } of runs) {
    const bytes = WORD_BYTES * count;
    encoder.copyBufferToBuffer(
      buffer,
      offset + WORD_BYTES * first,
      staging,
      WORD_BYTES * (stagingWords + words),
      bytes,
    );
    words += count;
  }
  return words;
}

function bufferOf(memory: PlanMemory, source: ReadSource): GPUBufferBinding {
  return source.kind === "tensor" ? memory.tensor(source.tensor) : { buffer: memory.vectors[source.kind] };
}
