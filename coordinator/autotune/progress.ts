/**
 * Whether an epoch of training still gets anywhere: mean losses of equal slices of time, and what they say. Short trials
 * favour learning rates that are fast now and stop above the target, so that a standstill is worth a search at once.
 */

/** Training whose loss is so many times the lowest before has diverged, finite or not. */
export const BLOWN_UP = 4;
/** An epoch stands still where its last third is surely less than this share better than its middle third. */
const STANDSTILL = 0.05;
const SURE = 2;
const LEAST_SLICES = 12;

export class Progress {
  readonly #losses: number[] = [];

  add(loss: number): void {
    this.#losses.push(loss);
  }

  get slices(): number {
    return this.#losses.length;
  }

  hasBlownUp(loss: number): boolean {
    return loss > BLOWN_UP * Math.min(...this.#losses);
  }

  get standsStill(): boolean {
    if (this.#losses.length < LEAST_SLICES) return false;
    const third = Math.floor(this.#losses.length / 3);
    const last = this.#losses.slice(-third);
    const middle = this.#losses.slice(-2 * third, -third);
    const error = Math.sqrt((varianceOf(last) + varianceOf(middle)) / third);
    return meanOf(middle) - meanOf(last) + SURE * error < STANDSTILL * meanOf(middle);
  }
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function varianceOf(values: readonly number[]): number {
  const mean = meanOf(values);
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
}
