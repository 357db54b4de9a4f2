/**
 * What its volunteer and its operator want of a replica: that it waits, or that it completes its exchange and leaves. Each of
 * them pauses for itself, and both have to be done with it before it trains on. Knows nothing of how that is brought about.
 */

/** On the way to the end, until the last exchange is settled. */
interface Finish {
  /** It ends then, whatever is still open. */
  readonly untilMs: number;
  /** Why, where the operator asked for it. */
  readonly reason: string | undefined;
  /** A second wish of theirs ends at once. */
  isVolunteers: boolean;
}

/** A coordinator that lives answers in less; longer, a person believes that Finish does not work. */
const FINISH_MS = 20_000;

export class Standing {
  /** The volunteer's. */
  isPaused = false;
  /** The operator's, as long as this connection lasts: every welcome begins without. */
  isHeld = false;
  holdReason = "";
  #finish: Finish | undefined;

  get finish(): Readonly<Finish> | undefined {
    return this.#finish;
  }

  /** Whether somebody has it wait. */
  get waits(): boolean {
    return this.isPaused || this.isHeld;
  }

  /** False where the volunteer wants it a second time. `reason`: the operator's; the volunteer gives none. */
  beginFinish(nowMs: number, reason?: string): boolean {
    const isVolunteers = reason === undefined;
    if (this.#finish) {
      const isRepeated = isVolunteers && this.#finish.isVolunteers;
      this.#finish.isVolunteers ||= isVolunteers;
      return !isRepeated;
    }
    this.#finish = { untilMs: nowMs + FINISH_MS, reason, isVolunteers };
    return true;
  }

  /** Whose wish the finish is, where it is not the volunteer's own. */
  get finishWords(): string | undefined {
    const reason = this.#finish?.reason;
    if (reason === undefined) return undefined;
    const said = reason === "" ? "" : `: ${reason.replace(/[.!?]$/, "")}`;
    return `The operator of this run asked this device to finish${said}.`;
  }

  /** The volunteer's sentence at the end. */
  wordsOfEnd(how: keyof typeof OUTCOMES): string {
    return [this.finishWords ?? "", OUTCOMES[how]].join(" ").trim();
  }
}

const OUTCOMES = {
  settled: "The last exchange was completed.",
  unanswered: `The coordinator did not answer within ${FINISH_MS / 1000} s; what was trained since the last exchange may not count.`,
  "cut-short": "Ended before the last exchange was answered; it may not count.",
  "device-lost": "The device was lost before the last exchange; what was trained since the one before does not count.",
  nothing: "There was no exchange to complete.",
} as const;
