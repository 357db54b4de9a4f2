/**
 * Worker threads that do the same work at the same time: they are started, wait at a gate until all are ready, run, and say
 * what they found. The time that counts is from the opening of the gate to the last thread's end.
 */

import { once } from "node:events";
import { Worker } from "node:worker_threads";

/** What every racing thread is handed beside its own input. */
export interface Lane<Input> {
  readonly input: Input;
  readonly index: number;
  readonly threads: number;
  readonly gate: SharedArrayBuffer;
}

export interface Finish<Output> {
  readonly output: Output;
  readonly endMs: number;
}

export interface Race<Output> {
  readonly outputs: readonly Output[];
  readonly seconds: number;
}

const GATE_BYTES = 4;
const CLOSED = 0;
const OPEN = 1;
/** Against a thread that never ends. */
const LONGEST_RACE_MS = 120_000;

/** `module` is a thread's program, which finds its `Lane` in `workerData`. One thread for each of `inputs`. */
export async function race<Output>(module: URL, inputs: readonly unknown[]): Promise<Race<Output>> {
  const gate = new SharedArrayBuffer(GATE_BYTES);
  const signal = AbortSignal.timeout(LONGEST_RACE_MS);
  const workers = inputs.map((input, index) => {
    const workerData: Lane<unknown> = { input, index, threads: inputs.length, gate };
    return new Worker(module, { workerData });
  });
  try {
    // The first message says that a thread waits at the gate.
    await Promise.all(workers.map((worker) => once(worker, "message", { signal })));
    const finishes = Promise.all(workers.map((worker) => once(worker, "message", { signal })));
    const beginMs = wallMs();
    const words = new Int32Array(gate);
    Atomics.store(words, 0, OPEN);
    Atomics.notify(words, 0);
    const ended = (await finishes).map(([finish]) => finish as Finish<Output>);
    const endMs = Math.max(...ended.map((finish) => finish.endMs));
    return { outputs: ended.map(({ output }) => output), seconds: (endMs - beginMs) / 1000 };
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

/** In the thread: waits until all others are there too. */
export function waitAtGate(gate: SharedArrayBuffer): void {
  Atomics.wait(new Int32Array(gate), 0, CLOSED);
}

/** The same clock in all threads of the process. */
export function wallMs(): number {
  return performance.timeOrigin + performance.now();
}
