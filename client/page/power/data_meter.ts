/**
 * How many bytes went up and down, in this visit and on this day. It is told totals, each of a source of its own (one stretch of
 * training, the page's own feed), because that is what is counted elsewhere; what it knew of the day before is handed to it.
 */

export class DataMeter {
  readonly #totals = new Map<string, number>();
  #visitBytes = 0;
  #day: string;
  #dayBytes: number;

  /** `day` is any name of the present one; `dayBytes` were counted before this visit. */
  constructor(day: string, dayBytes: number) {
    this.#day = day;
    this.#dayBytes = dayBytes;
  }

  get visitBytes(): number {
    return this.#visitBytes;
  }

  get dayBytes(): number {
    return this.#dayBytes;
  }

  /** A lower total than the last one is that of a new beginning. */
  take(source: string, totalBytes: number, day: string): void {
    if (day !== this.#day) {
      this.#day = day;
      this.#dayBytes = 0;
    }
    if (!Number.isFinite(totalBytes) || totalBytes < 0) return;
    const last = this.#totals.get(source) ?? 0;
    const grown = totalBytes >= last ? totalBytes - last : totalBytes;
    this.#totals.set(source, totalBytes);
    this.#visitBytes += grown;
    this.#dayBytes += grown;
  }
}
