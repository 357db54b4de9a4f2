/**
 * Local steps that wait for their submit. While the device has little to do a step is submitted at once; while it is busy
 * steps are gathered, up to about 100 ms of device time in one submit: fewer calls for short steps, and Stop stays prompt.
 * A caller that only steps waits for nothing: what has gathered goes out when the device falls idle.
 */

/** A submit holds no more estimated device time than this. */
const SUBMIT_MS = 100;

/** One runs while the next one waits, so that the device need not wait for the host. */
const SUBMITS_IN_FLIGHT = 2;

/** Of a new measurement in the running estimate. */
const ESTIMATE_SHARE = 0.3;

export interface StepQueueOptions {
  readonly queue: Pick<GPUQueue, "onSubmittedWorkDone">;
  readonly slots: number;
  /** Submits the first `steps` slots. */
  readonly submit: (steps: number) => void;
  /** Without a clock every step has its own submit. */
  readonly nowMs: (() => number) | undefined;
}

export class StepQueue {
  readonly #options: StepQueueOptions;
  /** Slots that are filled and not submitted. */
  #waiting = 0;
  #inFlight = 0;
  #lastDoneMs = 0;
  /** Estimated device time of a step; unknown until one has been measured. */
  #stepMs: number | undefined;
  #closed = false;

  constructor(options: StepQueueOptions) {
    this.#options = options;
  }

  /** How many steps the next submits may hold. */
  get stepsPerSubmit(): number {
    if (this.#stepMs === undefined) return 1;
    return Math.min(Math.max(Math.floor(SUBMIT_MS / this.#stepMs), 1), this.#options.slots);
  }

  /** `fill` puts a step into the slot that it is given. */
  add(fill: (slot: number) => void): void {
    fill(this.#waiting);
    this.#waiting += 1;
    if (this.#inFlight < SUBMITS_IN_FLIGHT || this.#waiting >= this.stepsPerSubmit) this.flush();
  }

  /** Submits what waits. */
  flush(): void {
    if (this.#waiting === 0 || this.#closed) return;
    const steps = this.#waiting;
    this.#waiting = 0;
    this.#options.submit(steps);
    void this.#watch(steps);
  }

  close(): void {
    this.#closed = true;
  }

  async #watch(steps: number): Promise<void> {
    const { queue, nowMs } = this.#options;
    const begunMs = nowMs?.() ?? 0;
    this.#inFlight += 1;
    try {
      await queue.onSubmittedWorkDone();
      if (nowMs) this.#measure((nowMs() - Math.max(begunMs, this.#lastDoneMs)) / steps);
      this.#lastDoneMs = nowMs?.() ?? 0;
    } catch {
      // The device is lost; whoever watches it says so.
      this.#closed = true;
    } finally {
      this.#inFlight -= 1;
    }
    this.flush();
  }

  #measure(stepMs: number): void {
    this.#stepMs = this.#stepMs === undefined ? stepMs : this.#stepMs + ESTIMATE_SHARE * (stepMs - this.#stepMs);
  }
}
