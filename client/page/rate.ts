/** How fast a total grows, over the last seconds: from the oldest of the kept readings to the newest. */

const USUAL_WINDOW_SECONDS = 10;

interface Reading {
  readonly seconds: number;
  readonly total: number;
}

export class Rate {
  readonly #windowSeconds: number;
  #readings: Reading[] = [];

  constructor(windowSeconds = USUAL_WINDOW_SECONDS) {
    this.#windowSeconds = windowSeconds;
  }

  /** Per second; undefined before there are two readings, or after the total was set back. */
  add(seconds: number, total: number): number | undefined {
    const last = this.#readings.at(-1);
    if (last !== undefined && total < last.total) this.#readings = [];
    this.#readings.push({ seconds, total });
    this.#readings = this.#readings.filter(
      (reading, index) => reading.seconds >= seconds - this.#windowSeconds || index === this.#readings.length - 2,
    );
    const [first] = this.#readings;
    if (first === undefined || seconds <= first.seconds) return undefined;
    return (total - first.total) / (seconds - first.seconds);
  }
}
