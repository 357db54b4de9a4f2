/**
 * Writes checkpoints off the event loop: hands snapshots to a worker thread, one at a time. While one is being written
 * at most one more waits, and a newer one takes its place, so a slow disk makes checkpoints rarer and never queues them.
 */

import { Worker } from "node:worker_threads";
import type { ParameterLayout } from "../../shared/model/layout.ts";
import type { Snapshot } from "./checkpoint.ts";
import { StoreError } from "./durable_file.ts";

export interface CheckpointReceipt {
  /** Of the checkpoint that is now on disk: the one asked for, or a newer one that took its place. */
  readonly version: number;
  readonly bytes: number;
  readonly durationMs: number;
}

export interface CheckpointWorkerData {
  readonly folder: string;
  readonly layout: ParameterLayout;
}

/** What the worker answers to a `Snapshot`. */
export type CheckpointWorkerAnswer = { readonly receipt: CheckpointReceipt } | { readonly problem: string };

interface Waiting {
  readonly snapshot: Snapshot;
  /** Everyone who waits for a checkpoint at least this new. */
  readonly waiters: PromiseWithResolvers<CheckpointReceipt>[];
}

export class CheckpointWriter {
  readonly #worker: Worker;
  #writing: Waiting | undefined;
  #next: Waiting | undefined;
  #failure: StoreError | undefined;

  constructor(folder: string, layout: ParameterLayout) {
    const workerData: CheckpointWorkerData = { folder, layout };
    this.#worker = new Worker(new URL("./checkpoint_worker.ts", import.meta.url), { workerData });
    this.#worker.on("message", (answer: CheckpointWorkerAnswer) => this.#settle(answer));
    this.#worker.on("error", (error) => this.#fail(`The checkpoint writer ended: ${(error as Error).message}`));
    this.#worker.on("exit", () => this.#fail("The checkpoint writer has been closed."));
    // Idle, it must not keep the process alive.
    this.#worker.unref();
  }

  /**
   * Resolves when this snapshot or a newer one is on disk; rejects with a sentence when it could not be written. The
   * snapshot's vectors are transferred: the caller must hand in copies.
   */
  write(snapshot: Snapshot): Promise<CheckpointReceipt> {
    if (this.#failure) return Promise.reject(this.#failure);
    const waiter = Promise.withResolvers<CheckpointReceipt>();
    this.#next = { snapshot, waiters: [...(this.#next?.waiters ?? []), waiter] };
    this.#start();
    return waiter.promise;
  }

  /** Waits for what was asked for, then ends the thread. */
  async close(): Promise<void> {
    while (this.#writing) await Promise.allSettled(this.#writing.waiters.map(({ promise }) => promise));
    await this.#worker.terminate();
  }

  #start(): void {
    if (this.#writing || !this.#next) return;
    this.#writing = this.#next;
    this.#next = undefined;
    const { snapshot } = this.#writing;
    const vectors = [snapshot.parameters, ...(snapshot.velocity ? [snapshot.velocity] : [])];
    this.#worker.ref();
    this.#worker.postMessage(
      snapshot,
      vectors.map(({ buffer }) => buffer),
    );
  }

  #settle(answer: CheckpointWorkerAnswer): void {
    const { waiters = [] } = this.#writing ?? {};
    this.#writing = undefined;
    this.#worker.unref();
    this.#start();
    for (const waiter of waiters) {
      if ("receipt" in answer) waiter.resolve(answer.receipt);
      else waiter.reject(new StoreError(answer.problem));
    }
  }

  #fail(problem: string): void {
    this.#failure ??= new StoreError(problem);
    const waiters = [...(this.#writing?.waiters ?? []), ...(this.#next?.waiters ?? [])];
    this.#writing = this.#next = undefined;
    for (const waiter of waiters) waiter.reject(this.#failure);
  }
}
