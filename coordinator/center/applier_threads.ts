/**
 * The applier threads as the main thread sees them: `run` a job on the least busy one and get its outcome. Every job is
 * answered: when a thread ends before its time, all open and later jobs are rejected with the reason, because half an
 * apply may be in the center and only a restart from the checkpoint makes it whole.
 */

import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { ApplierSettings } from "./applier.ts";
import type { FromThread, ThreadData, ToThread } from "./applier_thread.ts";
import type { Job, Outcome } from "./jobs.ts";
import type { WasmMemory, WasmModule } from "./wasm_api.ts";

export interface ThreadsOptions extends Omit<ApplierSettings, "index"> {
  readonly module: WasmModule;
  readonly memory: WasmMemory;
}

interface OpenJob {
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (reason: Error) => void;
}

interface Thread {
  readonly worker: Worker;
  readonly open: Map<number, OpenJob>;
}

export class ApplierThreads {
  readonly #threads: Thread[];
  #jobsStarted = 0;
  #failure: Error | undefined;
  #closing = false;
  #whenIdle: (() => void) | undefined;
  /** Settles when the threads may be used again: somebody waits for them to rest, or works while they do. */
  #rest: Promise<unknown> | undefined;

  private constructor(threads: Thread[]) {
    this.#threads = threads;
    threads.forEach((thread, index) => {
      thread.worker.on("message", (reply: FromThread) => this.#settle(thread, reply));
      thread.worker.on("error", (error) => this.#fail(index, error));
      thread.worker.on("exit", () => this.#fail(index, undefined));
    });
  }

  static async start({ module, memory, ...settings }: ThreadsOptions): Promise<ApplierThreads> {
    const threads = Array.from({ length: settings.threads }, (_, index): Thread => {
      const workerData: ThreadData = { module, memory, settings: { ...settings, index } };
      return { worker: new Worker(new URL("./applier_thread.ts", import.meta.url), { workerData }), open: new Map() };
    });
    try {
      // The first message says that a thread has its kernels.
      await Promise.all(threads.map(({ worker }) => once(worker, "message")));
    } catch (cause) {
      await Promise.all(threads.map(({ worker }) => worker.terminate()));
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`The center's threads could not be started (${reason}): run Drove with Node 24 or later.`, {
        cause,
      });
    }
    return new ApplierThreads(threads);
  }

  /** Why no job is taken any more, if a thread has ended before its time. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** On the thread `index`, or else on the least busy one. Jobs for one thread are done in the order of these calls. */
  async run(job: Job, index?: number): Promise<Outcome> {
    this.#checkOpen();
    while (this.#rest) await this.#rest;
    if (this.#failure) throw this.#failure;
    const thread = index === undefined ? this.#leastBusy() : this.#thread(index);
    const number = ++this.#jobsStarted;
    return new Promise((resolve, reject) => {
      thread.open.set(number, { resolve, reject });
      const message: ToThread = { number, job };
      thread.worker.postMessage(message);
    });
  }

  /** Does `work` when no thread has a job; jobs that come meanwhile wait. */
  async whileIdle<T>(work: () => T): Promise<T> {
    this.#checkOpen();
    while (this.#rest) await this.#rest;
    const done = this.#atRest(work);
    this.#rest = Promise.allSettled([done]).finally(() => {
      this.#rest = undefined;
    });
    return done;
  }

  async #atRest<T>(work: () => T): Promise<T> {
    await this.#idle();
    if (this.#failure) throw this.#failure;
    return work();
  }

  /** Finishes what is open, then ends the threads. */
  async close(): Promise<void> {
    this.#closing = true;
    while (this.#rest) await this.#rest;
    if (!this.#failure) await this.#idle();
    await Promise.all(this.#threads.map(({ worker }) => worker.terminate()));
  }

  #checkOpen(): void {
    if (this.#failure) throw this.#failure;
    if (this.#closing) throw new Error("invariant violation: the center was used after its close");
  }

  #leastBusy(): Thread {
    return this.#threads.reduce((best, thread) => (thread.open.size < best.open.size ? thread : best));
  }

  #thread(index: number): Thread {
    const thread = this.#threads[index];
    if (!thread) throw new Error(`invariant violation: a job for applier thread ${index}`);
    return thread;
  }

  #settle(thread: Thread, { number, outcome }: FromThread): void {
    const job = thread.open.get(number);
    thread.open.delete(number);
    job?.resolve(outcome);
    this.#reportIdle();
  }

  #fail(index: number, cause: Error | undefined): void {
    if (this.#failure || (this.#closing && this.#openJobs() === 0)) return;
    const reason = cause ? `: ${cause.message}` : "";
    this.#failure = new Error(
      `Applier thread ${index} of the center ended${reason}. Restart the coordinator; it goes on from the last checkpoint.`,
      { cause },
    );
    for (const { open, worker } of this.#threads) {
      for (const job of open.values()) job.reject(this.#failure);
      open.clear();
      void worker.terminate();
    }
    this.#reportIdle();
  }

  async #idle(): Promise<void> {
    if (this.#openJobs() > 0) await new Promise<void>((resolve) => (this.#whenIdle = resolve));
  }

  #openJobs(): number {
    return this.#threads.reduce((sum, { open }) => sum + open.size, 0);
  }

  #reportIdle(): void {
    if (this.#openJobs() === 0) this.#whenIdle?.();
  }
}
