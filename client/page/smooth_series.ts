/** One number of this replica since Start, raw and smoothed, thinned out by half whenever there are too many points to draw. */

const MOST_POINTS = 1200;
/** Few readings at first, hence a short memory: about the last half dozen. */
const SMOOTHING = 0.3;

export class SmoothSeries {
  #seconds: number[] = [];
  #raw: number[] = [];
  #smooth: number[] = [];

  add(seconds: number, value: number): void {
    const before = this.#smooth.at(-1);
    this.#seconds.push(seconds);
    this.#raw.push(value);
    this.#smooth.push(before === undefined ? value : before + SMOOTHING * (value - before));
    if (this.#seconds.length > MOST_POINTS) this.#thin();
  }

  lines(): [number[], number[], number[]] {
    return [this.#seconds, this.#raw, this.#smooth];
  }

  #thin(): void {
    this.#seconds = this.#seconds.filter(isEven);
    this.#raw = this.#raw.filter(isEven);
    this.#smooth = this.#smooth.filter(isEven);
  }
}

function isEven(_value: number, index: number): boolean {
  return index % 2 === 0;
}
