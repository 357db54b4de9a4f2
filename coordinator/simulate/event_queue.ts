/**
 * What happens next in virtual time: a binary heap of events by time, and of equal times by the order in which they were
 * scheduled, so that a simulation is the same each time it is run.
 */

export class EventQueue<E> {
  readonly #times: number[] = [];
  readonly #sequences: number[] = [];
  readonly #events: E[] = [];
  #scheduled = 0;

  /** Of the next event; infinite where there is none. */
  get nextSeconds(): number {
    return this.#times[0] ?? Infinity;
  }

  schedule(virtualSeconds: number, event: E): void {
    if (Number.isNaN(virtualSeconds)) throw new Error("invariant violation: an event at no time");
    this.#rise(this.#events.length, virtualSeconds, this.#scheduled++, event);
  }

  /** Takes out the next event. */
  next(): E | undefined {
    const first = this.#events[0];
    const time = this.#times.pop();
    const sequence = this.#sequences.pop();
    const event = this.#events.pop();
    if (time === undefined || sequence === undefined || event === undefined) return undefined;
    if (this.#events.length > 0) this.#sink(time, sequence, event);
    return first;
  }

  /** Places an event at `at` or, where it comes earlier than those above, higher. */
  #rise(at: number, time: number, sequence: number, event: E): void {
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      // A parent was scheduled earlier, so of equal times it stays first.
      if (this.#times[parent]! <= time) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#put(at, time, sequence, event);
  }

  /** Places an event at the root or below. */
  #sink(time: number, sequence: number, event: E): void {
    const times = this.#times;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      if (left >= times.length) break;
      const right = left + 1;
      const least = right < times.length && this.#isBefore(right, times[left]!, this.#sequences[left]!) ? right : left;
      if (!this.#isBefore(least, time, sequence)) break;
      this.#move(least, at);
      at = least;
    }
    this.#put(at, time, sequence, event);
  }

  #isBefore(at: number, time: number, sequence: number): boolean {
    const own = this.#times[at]!;
    return own < time || (own === time && this.#sequences[at]! < sequence);
  }

  #move(from: number, to: number): void {
    this.#put(to, this.#times[from]!, this.#sequences[from]!, this.#events[from]!);
  }

  #put(at: number, time: number, sequence: number, event: E): void {
    this.#times[at] = time;
    this.#sequences[at] = sequence;
    this.#events[at] = event;
  }
}
