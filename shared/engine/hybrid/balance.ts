/**
 * How a batch is divided between two devices of different speed: in whole parts, in proportion to measured speed, as Caffe con
 * Troll divides one between a GPU and a CPU by their FLOPS (Hadjis et al. 2015).
 */

import { divisorsOf } from "../fit.ts";

/** Speeds in any one unit, say examples a second: of the owner of the step, and of its helper. */
export type Speeds = readonly [owner: number, helper: number];

/** Of a new measurement in the running estimate. */
const ESTIMATE_SHARE = 0.2;

/**
 * What each further part adds to the time of a batch: LeNet's batch of 64 in 2, 4, 8 and 16 parts takes 1.05, 1.12, 1.25 and
 * 1.46 times as long as at once (WASM, 2-core Xeon 2.5 GHz, Node 24, 2026-11-21).
 */
const PART_COST = 0.035;

/** How a batch would be done, and what that should bring. */
export interface Division {
  /** Into which the batch is divided. */
  readonly parts: number;
  /** The time of the faster device alone, its batch undivided, over that of both together: above 1 both are worth it. */
  readonly speedup: number;
}

/** `parts` whole parts in proportion to speed, what is left over to the largest remainder. The first device has one at least. */
export function splitBySpeed(parts: number, [owner, helper]: Speeds): readonly [owner: number, helper: number] {
  // With two devices the larger remainder is the one above a half.
  const owned = Math.max(1, Math.round((parts * owner) / (owner + helper)));
  return [owned, parts - owned];
}

/** Time of `parts` parts that are split so, in units of 1 / (speed * batch), were parts free. */
function timeOf(parts: number, speeds: Speeds): number {
  const split = splitBySpeed(parts, speeds);
  return Math.max(...split.map((count, device) => count / parts / speeds[device]!));
}

/** The division of a batch that should be fastest; undefined where it cannot be divided. */
export function bestDivision(batch: number, speeds: Speeds): Division | undefined {
  const alone = 1 / Math.max(...speeds);
  const divisions = divisorsOf(batch)
    .filter((parts) => parts > 1)
    .map((parts) => {
      const time = timeOf(parts, speeds) * (1 + PART_COST * (parts - 1));
      return { parts, speedup: alone / time };
    });
  return divisions.toSorted((a, b) => b.speedup - a.speedup)[0];
}

/** Keeps the measured speeds of both, and splits by them. */
export class Balance {
  readonly #speeds: [owner: number, helper: number];
  readonly #measured = [false, false];

  /** `guess` stands until something is measured; parts a millisecond afterwards. */
  constructor(guess: Speeds) {
    this.#speeds = [...guess];
  }

  split(parts: number): readonly [owner: number, helper: number] {
    return splitBySpeed(parts, this.#speeds);
  }

  /** A device took `ms` for `parts` parts. One without parts keeps the speed that it had. */
  record(device: 0 | 1, parts: number, ms: number): void {
    if (parts === 0) return;
    const speed = parts / Math.max(ms, 1e-3);
    const other = device === 0 ? 1 : 0;
    const known = this.#speeds[device];
    if (this.#measured[device]) this.#speeds[device] = known + ESTIMATE_SHARE * (speed - known);
    else {
      this.#measured[device] = true;
      this.#speeds[device] = speed;
      // Guesses are in another unit: what is not measured yet keeps its proportion.
      if (!this.#measured[other]) this.#speeds[other] *= speed / known;
    }
  }
}
