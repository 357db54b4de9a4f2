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
  /** Parts of batches in them: steps may have different numbers. */
  #waitingParts = 0;
  #inFlight = 0;
  #lastDoneMs = 0;
  /** Estimated device time of a part; unknown until one has been measured. */
  #partMs: number | undefined;
  #closed = false;

  constructor(options: StepQueueOptions) {
    this.#options = options;
  }

  /** `fill` puts a step of so many parts into the slot that it is given. */
  add(parts: number, fill: (slot: number) => void): void {
    fill(this.#waiting);
    this.#waiting += 1;
    this.#waitingParts += parts;
    if (this.#inFlight < SUBMITS_IN_FLIGHT || !this.#hasRoom(parts)) this.flush();
  }

  /** Whether another step of so many parts may join those that wait. */
  #hasRoom(parts: number): boolean {
    if (this.#partMs === undefined || this.#waiting >= this.#options.slots) return false;
    return (this.#waitingParts + parts) * this.#partMs <= SUBMIT_MS;
  }

  /** Submits what waits. */
  flush(): void {
    if (this.#waiting === 0 || this.#closed) return;
    const [steps, parts] = [this.#waiting, this.#waitingParts];
    this.#waiting = 0;
    this.#waitingParts = 0;
    this.#options.submit(steps);
    void this.#watch(parts);
  }

  close(): void {
    this.#closed = true;
  }

  async #watch(parts: number): Promise<void> {
    const { queue, nowMs } = this.#options;
    const begunMs = nowMs?.() ?? 0;
    this.#inFlight += 1;
    try {
      await queue.onSubmittedWorkDone();
      if (nowMs) this.#measure((nowMs() - Math.max(begunMs, this.#lastDoneMs)) / parts);
      this.#lastDoneMs = nowMs?.() ?? 0;
    } catch {
      // The device is lost; whoever watches it says so.
      this.#closed = true;
    } finally {
      this.#inFlight -= 1;
    }
    this.flush();
  }

  #measure(partMs: number): void {
    this.#partMs = this.#partMs === undefined ? partMs : this.#partMs + ESTIMATE_SHARE * (partMs - this.#partMs);
  }
}
