/**
 * What happens next in virtual time: a binary heap of events by time, and of equal times by the order in which they were
 * scheduled, so that a simulation is the same each time it is run.
 */

export class EventQueue<E> {
  readonly #times: number[] = [];
  readonly #sequences: number[] = [];
  readonly #events: E[] = [];
  #scheduled = 0;

  get size(): number {
    return this.#events.length;
  }

  /** Of the next event; infinite where there is none. */
  get nextSeconds(): number {
    return this.#times[0] ?? Infinity;
  }

  schedule(virtualSeconds: number, event: E): void {
    if (Number.isNaN(virtualSeconds)) throw new Error("invariant violation: an event at no time");
    this.#times.push(virtualSeconds);
    this.#sequences.push(this.#scheduled++);
    this.#events.push(event);
    this.#rise(this.#events.length - 1);
  }

  /** Takes out the next event. */
  next(): E | undefined {
    const first = this.#events[0];
    const last = this.#events.length - 1;
    if (last < 0) return undefined;
    this.#swap(0, last);
    this.#times.pop();
    this.#sequences.pop();
    this.#events.pop();
    this.#sink(0);
    return first;
  }

  clear(): void {
    this.#times.length = 0;
    this.#sequences.length = 0;
    this.#events.length = 0;
  }

  #rise(from: number): void {
    for (let at = from; at > 0;) {
      const parent = (at - 1) >>> 1;
      if (!this.#isBefore(at, parent)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #sink(from: number): void {
    for (let at = from; ;) {
      const left = 2 * at + 1;
      if (left >= this.#events.length) return;
      const right = left + 1;
      const least = right < this.#events.length && this.#isBefore(right, left) ? right : left;
      if (!this.#isBefore(least, at)) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #isBefore(a: number, b: number): boolean {
    const difference = this.#times[a]! - this.#times[b]!;
    return difference < 0 || (difference === 0 && this.#sequences[a]! < this.#sequences[b]!);
  }

  #swap(a: number, b: number): void {
    swap(this.#times, a, b);
    swap(this.#sequences, a, b);
    swap(this.#events, a, b);
  }
}

function swap<T>(values: T[], a: number, b: number): void {
  const kept = values[a]!;
  values[a] = values[b]!;
  values[b] = kept;
}
