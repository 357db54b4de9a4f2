/**
 * One of the two raw threads of the center benchmark. Both run the same program of rounds and meet before every
 * variant; the kernels, the mutex and the staggered start are those of the coordinator's applier threads.
 */

import { parentPort, workerData } from "node:worker_threads";
import { Control } from "../../../coordinator/center/control.ts";
import { instantiateKernels } from "../../../coordinator/center/kernels.ts";
import { codecWork } from "./codec_work.ts";
import { CODEC_VARIANTS, Rendezvous, VARIANTS, type FromRig, type RigData, type ToRig, type Variant } from "./rig.ts";

const port = parentPort;
if (!port) throw new Error("invariant violation: the benchmark's thread was started as a program");

const { module, memory, layout, rendezvous, index, areas, codecs } = workerData as RigData;
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

/** One kernel on `count` elements of center and area. */
type Pass = (center: number, area: number, count: number) => void;

const swap: Pass = (target, area, count) => kernels.swapElastic(target, area, count, RATE);
const swapAtomic: Pass = (target, area, count) => kernels.casElastic(target, area, count, RATE, false);
/** A rate of zero costs what any other does, and keeps the values from dying away over thousands of rounds. */
const descend: Pass = (target, area, count) => kernels.descend(target, area, count, 0, 0);
const descendAtomic: Pass = (target, area, count) => kernels.casDescend(target, area, count, 0, 0);
const momentum: Pass = (target, area, count) =>
  kernels.stepMomentum(target, area, velocity + (target - center), count, 0, 0.9, 0);

/** A whole pass from `start` to the end and from the beginning to there. */
function sweep(pass: Pass, start: number, area = nextArea()): void {
  pass(center + start * 4, area + start * 4, paddedElements - start);
  if (start > 0) pass(center, area, start);
}

function swapOwnHalf(): void {
  const [start, count] = index === 0 ? [0, middle] : [middle, paddedElements - middle];
  kernels.swapElastic(center + start * 4, nextArea() + start * 4, count, RATE);
}

function underLock(pass: Pass): void {
  control.lock();
  sweep(pass, 0);
  control.unlock();
}

function twice(pass: () => void): () => void {
  return () => {
    pass();
    pass();
  };
}

interface Work {
  readonly threads: 1 | 2;
  readonly run: () => void;
}

const work: Record<Variant, Work> = {
  // Vectors that no swap touches are the targets, so that the center is neither warmed nor cooled by them.
  copyOne: { threads: 1, run: twice(() => kernels.copy(velocity, nextArea(), paddedElements)) },
  swapOne: { threads: 1, run: twice(() => sweep(swap, 0)) },
  leanOne: { threads: 1, run: twice(() => kernels.addWeighted(accumulator, nextArea(), paddedElements, 1)) },
  swapLocked: { threads: 2, run: () => underLock(swap) },
  swapLockFree: { threads: 2, run: () => sweep(swap, index * middle) },
  swapCas: { threads: 2, run: () => sweep(swapAtomic, index * middle) },
  swapHalves: { threads: 2, run: twice(swapOwnHalf) },
  descendOne: { threads: 1, run: twice(() => sweep(descend, 0)) },
  momentumOne: { threads: 1, run: twice(() => sweep(momentum, 0)) },
  descendLocked: { threads: 2, run: () => underLock(descend) },
  descendLockFree: { threads: 2, run: () => sweep(descend, index * middle) },
  descendCas: { threads: 2, run: () => sweep(descendAtomic, index * middle) },
};

const moves = VARIANTS.map((variant) => work[variant]);
const coding = codecs ? codecWork({ kernels, layout, vectors: codecs, nextArea }) : undefined;
const codecMoves = CODEC_VARIANTS.map((variant): Work => {
  const run = variant === "copyOne" ? work.copyOne.run : coding?.[variant];
  return { threads: 1, run: run ? (variant === "copyOne" ? run : twice(run)) : () => undefined };
});

/** Both threads have the same clock: hrtime counts from the start of the machine. */
function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

function measure({ threads, run }: Work): number {
  meeting.meet();
  if (index < threads) {
    const startMs = nowMs();
    run();
    meeting.record(index, startMs, nowMs());
  }
  meeting.meet();
  return meeting.elapsedMs(threads);
}

function addOnes({ passes, staggered, isAtomic, ones }: Extract<ToRig, { kind: "add-ones" }>): void {
  const area = areas[0]!;
  const start = staggered ? index * middle : 0;
  const add: Pass = isAtomic
    ? (target, source, count) => kernels.casAdd(target, source, count, 1, true)
    : (target, source, count) => kernels.swapDifference(target, source, count, 1);
  meeting.meet();
  for (let pass = 0; pass < passes; pass++) {
    kernels.copy(area, ones, paddedElements);
    sweep(add, start, area);
  }
  meeting.meet();
}

port.on("message", (message: ToRig) => {
  let timesMs: FromRig = [];
  switch (message.kind) {
    case "rounds":
      timesMs = Array.from({ length: message.rounds }, () =>
        (message.of === "moves" ? moves : codecMoves).map(measure),
      );
      break;
    case "add-ones":
      addOnes(message);
      break;
    default:
      message satisfies never;
  }
  if (index === 0) port.postMessage(timesMs);
});
