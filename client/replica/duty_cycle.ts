/**
 * Lets a replica compute for a share of the time only, as a device that is as much slower would: for volunteers who want their
 * machine for other things too, and for runs of unequal speeds on one machine.
 */

/** A timer that comes late is made up for later, but a machine that slept is not owed a whole night of steps. */
const LATEST_MS = 1000;

export class DutyCycle {
  #share: number;
  /** What is still to be rested; below 0 where timers came late. */
  #owedMs = 0;

  /** `share` of the time, above 0 and up to 1. */
  constructor(share: number) {
    this.#share = checked(share);
  }

  get share(): number {
    return this.#share;
  }

  /** From now on; what is owed already is what the same work would be owed at the new share. */
  set(share: number): void {
    const before = this.#restPerWork;
    this.#share = checked(share);
    if (this.#owedMs > 0) this.#owedMs = before === 0 ? 0 : (this.#owedMs * this.#restPerWork) / before;
  }

  /** Whether there is anything to rest for, ever. */
  get isLimited(): boolean {
    return this.#share < 1;
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

  get #restPerWork(): number {
    return (1 - this.#share) / this.#share;
  }
}

function checked(share: number): number {
  if (share > 0 && share <= 1) return share;
  throw new Error(`invariant violation: a duty cycle of ${share}`);
}
