/**
 * A run's checkpoints in time: a snapshot of the center and of the run's record, handed to the writer at every interval
 * in which something changed. A full disk makes a warning, not an end: the next interval tries again.
 */

import type { Center } from "./center/center.ts";
import type { RunRecord } from "./run_record.ts";
import type { Snapshot } from "./store/checkpoint.ts";

export interface CheckpointingOptions {
  readonly center: Center;
  /** Only solvers whose center has a momentum keep its velocity. */
  readonly hasVelocity: boolean;
  readonly record: () => RunRecord;
  /** Resolves when the snapshot, or a newer one, is on disk. */
  readonly write: (snapshot: Snapshot) => Promise<unknown>;
  readonly intervalMs: number;
  readonly nowMs: () => number;
  /** Told once for each kind of problem. */
  readonly onProblem: (sentence: string) => void;
}

/** The rest of an interval is for the write, so that a kill at any moment loses at most one whole interval (SPEC L5). */
const SNAPSHOT_SHARE = 0.8;

export class Checkpointing {
  readonly #options: CheckpointingOptions;
  readonly #timer: NodeJS.Timeout;
  #durableVersion = -1;
  #durableAtMs: number | undefined = undefined;
  #problem = "";

  constructor(options: CheckpointingOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.#atInterval(), SNAPSHOT_SHARE * options.intervalMs);
  }

  /** Since the center was last known to be on disk as it is; null before the first time. */
  ageSeconds(): number | null {
    return this.#durableAtMs === undefined ? null : (this.#options.nowMs() - this.#durableAtMs) / 1000;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** A snapshot of now, as the writer wants it. */
  snapshot(): Snapshot {
    const { version, parameters, velocity } = this.#options.center.snapshot();
    return {
      version,
      parameters,
      velocity: this.#options.hasVelocity ? velocity : null,
      state: this.#options.record(),
    };
  }

  /** Rejects where the disk does not take it. */
  async write(snapshot: Snapshot): Promise<void> {
    const { version } = snapshot;
    const takenMs = this.#options.nowMs();
    await this.#options.write(snapshot);
    this.#durableVersion = version;
    this.#durableAtMs = takenMs;
    this.#problem = "";
  }

  async #atInterval(): Promise<void> {
    if (this.#options.center.version === this.#durableVersion) {
      this.#durableAtMs = this.#options.nowMs();
      return;
    }
    try {
      await this.write(this.snapshot());
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#problem) this.#options.onProblem(message);
      this.#problem = message;
    }
  }
}
