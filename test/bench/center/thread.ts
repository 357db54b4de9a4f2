/**
 * One of the two raw threads of the center benchmark. Both run the same program of rounds and meet before every
 * variant; the kernels, the mutex and the staggered start are those of the coordinator's applier threads.
 */

import { parentPort, workerData } from "node:worker_threads";
import { Control } from "../../../coordinator/center/control.ts";
import { instantiateKernels } from "../../../coordinator/center/kernels.ts";
import { Rendezvous, VARIANTS, type FromRig, type RigData, type ToRig, type Variant } from "./rig.ts";

const port = parentPort;
if (!port) throw new Error("invariant violation: the benchmark's thread was started as a program");

const { module, memory, layout, rendezvous, index, areas } = workerData as RigData;
const kernels = instantiateKernels(module, memory);
const control = new Control(memory.buffer);
const meeting = new Rendezvous(rendezvous);
const { center, velocity, accumulator, paddedElements } = layout;
/** In elements, a whole cache line: where the second thread starts, and where its half does. */
const middle = Math.floor(paddedElements / 2 / 16) * 16;
const RATE = 0.1;

let turn = 0;
function nextArea(): number {
  return areas[turn++ % areas.length]!;
}

/** A whole pass from `start` to the end and from the beginning to there. */
function swapFrom(start: number): void {
  const area = nextArea();
  kernels.swapElastic(center + start * 4, area + start * 4, paddedElements - start, RATE);
  if (start > 0) kernels.swapElastic(center, area, start, RATE);
}

function swapOwnHalf(): void {
  const [start, count] = index === 0 ? [0, middle] : [middle, paddedElements - middle];
  kernels.swapElastic(center + start * 4, nextArea() + start * 4, count, RATE);
}

function swapUnderLock(): void {
  control.lock();
  swapFrom(0);
  control.unlock();
}

function twice(pass: () => void): () => void {
  return () => {
    pass();
    pass();
  };
}

const work: Record<Variant, { threads: 1 | 2; run: () => void }> = {
  // Vectors that no swap touches are the targets, so that the center is neither warmed nor cooled by them.
  copyOne: { threads: 1, run: twice(() => kernels.copy(velocity, nextArea(), paddedElements)) },
  swapOne: { threads: 1, run: twice(() => swapFrom(0)) },
  leanOne: { threads: 1, run: twice(() => kernels.addInto(accumulator, nextArea(), paddedElements)) },
  swapLocked: { threads: 2, run: swapUnderLock },
  swapLockFree: { threads: 2, run: () => swapFrom(index * middle) },
  swapHalves: { threads: 2, run: twice(swapOwnHalf) },
};

/** Both threads have the same clock: hrtime counts from the start of the machine. */
function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

function measure(variant: Variant): number {
  const { threads, run } = work[variant];
  meeting.meet();
  if (index < threads) {
    const startMs = nowMs();
    run();
    meeting.record(index, startMs, nowMs());
  }
  meeting.meet();
  return meeting.elapsedMs(threads);
}

function addOnes(passes: number, start: number, ones: number): void {
  const area = areas[0]!;
  meeting.meet();
  for (let pass = 0; pass < passes; pass++) {
    kernels.copy(area, ones, paddedElements);
    kernels.swapDifference(center + start * 4, area + start * 4, paddedElements - start, 1);
    if (start > 0) kernels.swapDifference(center, area, start, 1);
  }
  meeting.meet();
}

port.on("message", (message: ToRig) => {
  let timesMs: FromRig = [];
  switch (message.kind) {
    case "rounds":
      timesMs = Array.from({ length: message.rounds }, () => VARIANTS.map(measure));
      break;
    case "add-ones":
      addOnes(message.passes, message.staggered ? index * middle : 0, message.ones);
      break;
    default:
      message satisfies never;
  }
  if (index === 0) port.postMessage(timesMs);
});
