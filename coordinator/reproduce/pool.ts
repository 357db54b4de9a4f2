/**
 * Work of a reproduction in worker threads: simulations, and whatever else a paper's experiment runs, as tasks that wait in one
 * queue. Ends all of it when the time is up.
 */

import { setMaxListeners } from "node:events";
import { Piscina } from "piscina";
import type { SimulationReport } from "../simulate/report.ts";
import type { Scenario } from "../simulate/scenario.ts";

/** The reproduction's time is over; what was still waiting or running has been ended. */
export class OutOfTime extends Error {
  override readonly name = "OutOfTime";
}

export interface TaskPoolOptions {
  readonly threads: number;
  /** From now on. */
  readonly seconds: number;
  readonly onProgress: (done: number, asked: number) => void;
}

export class TaskPool {
  readonly threads: number;
  readonly #pool: Piscina;
  readonly #stop = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #endMs: number;
  readonly #onProgress: TaskPoolOptions["onProgress"];
  #asked = 0;
  #done = 0;

  constructor({ threads, seconds, onProgress }: TaskPoolOptions) {
    this.threads = threads;
    this.#pool = new Piscina({ minThreads: threads, maxThreads: threads, idleTimeout: Infinity });
    this.#endMs = performance.now() + 1000 * seconds;
    this.#timer = setTimeout(() => this.#stop.abort(), 1000 * seconds);
    this.#timer.unref();
    this.#onProgress = onProgress;
    // Each waiting task listens.
    setMaxListeners(0, this.#stop.signal);
  }

  get secondsLeft(): number {
    return Math.max(0, (this.#endMs - performance.now()) / 1000);
  }

  simulate(scenario: Scenario): Promise<SimulationReport> {
    return this.run(new URL("../simulate/task.ts", import.meta.url), scenario);
  }

  /** Calls the default export of `module` with a copy of `input` in a worker thread, and gives a copy of its result. */
  async run<O>(module: URL, input: unknown): Promise<O> {
    this.checkTime();
    this.#asked++;
    try {
      const result = (await this.#pool.run(input, { filename: module.href, signal: this.#stop.signal })) as O;
      this.#onProgress(++this.#done, this.#asked);
      return result;
    } catch (error) {
      throw this.#stop.signal.aborted ? new OutOfTime("The reproduction's time is over.") : error;
    }
  }

  /** For work outside of the pool: throws `OutOfTime` when the time is over. */
  checkTime(): void {
    if (this.#stop.signal.aborted) throw new OutOfTime("The reproduction's time is over.");
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#pool.destroy();
  }
}
