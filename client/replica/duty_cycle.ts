/**
 * Lets a replica compute for a share of the time only, as a device that is as much slower would: for volunteers who want their
 * machine for other things too, and for runs of unequal speeds on one machine.
 */

/** A timer that comes late is made up for later, but a machine that slept is not owed a whole night of steps. */
const LATEST_MS = 1000;

export class DutyCycle {
  readonly #restPerWork: number;
  /** What is still to be rested; below 0 where timers came late. */
  #owedMs = 0;

  /** `share` of the time, above 0 and up to 1. */
  constructor(share: number) {
    if (!(share > 0 && share <= 1)) throw new Error(`invariant violation: a duty cycle of ${share}`);
    this.#restPerWork = (1 - share) / share;
  }

  /** Whether there is anything to rest for, ever. */
  get isLimited(): boolean {
    return this.#restPerWork > 0;
  }

  get owedMs(): number {
    return Math.max(0, this.#owedMs);
  }

  worked(ms: number): void {
    this.#owedMs += ms * this.#restPerWork;
  }

  rested(ms: number): void {
    this.#owedMs = Math.max(-LATEST_MS, this.#owedMs - ms);
  }
}
