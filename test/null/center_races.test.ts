/**
 * Two raw threads over the same few elements, from the same start and thousands of times, so that they meet often: plain adds
 * lose some of what they add, compare-and-swap nothing. The threads are those of the benchmark.
 */

import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { expect, onTestFinished, test } from "vitest";
import { CenterMemory } from "../../coordinator/center/center_memory.ts";
import { compileKernels } from "../../coordinator/center/kernels.ts";
import { Rendezvous, type RigData, type ToRig } from "../bench/center/rig.ts";
import { shapeOf } from "../support/center_cases.ts";

const ELEMENTS = 256;
const PASSES = 20_000;
/** One is enough where both threads really run at once; beside other work they seldom do. */
const ROUNDS = 500;

interface Racers {
  /** What is in the center after both threads have added one to every element `PASSES` times. */
  race(isAtomic: boolean): Promise<Float32Array>;
}

async function openRacers(): Promise<Racers> {
  const module = await compileKernels();
  const memory = new CenterMemory(shapeOf(ELEMENTS));
  const rendezvous = Rendezvous.buffer();
  const ones = memory.takeArea();
  const threads = ([0, 1] as const).map((index) => {
    const areas = [memory.takeArea()];
    const workerData: RigData = { module, memory: memory.memory, layout: memory.layout, rendezvous, index, areas };
    return new Worker(new URL("../bench/center/thread.ts", import.meta.url), { workerData });
  });
  onTestFinished(async () => {
    await Promise.all(threads.map((thread) => thread.terminate()));
  });
  memory.values(ones).fill(1);
  return {
    race: async (isAtomic) => {
      const center = memory.values(memory.layout.center);
      center.fill(0);
      const done = once(threads[0]!, "message");
      const message: ToRig = { kind: "add-ones", passes: PASSES, staggered: false, isAtomic, ones };
      for (const thread of threads) thread.postMessage(message);
      await done;
      return new Float32Array(center);
    },
  };
}

test("[X9] where plain adds lose element updates, compare-and-swap loses none and adds none twice", async () => {
  const racers = await openRacers();
  const all = new Float32Array(ELEMENTS).fill(2 * PASSES);
  let lost = 0;
  for (let round = 0; round < ROUNDS && lost === 0; round++) {
    const arrived = await racers.race(false);
    expect(arrived.every((count) => count >= 1 && count <= 2 * PASSES)).toBe(true);
    lost = arrived.reduce((sum, count) => sum + 2 * PASSES - count, 0);
    expect(await racers.race(true)).toEqual(all);
  }
  expect(lost).toBeGreaterThan(0);
}, 120_000);
