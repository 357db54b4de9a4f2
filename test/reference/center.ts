/** The center's moves as plain loops in double precision, straight from their equations (`shared/solver/center_rule.ts`, SPEC E9). */

import { OPTIMIZER_DEFAULTS } from "../../shared/engine/optimizer.ts";
import type { ParameterLayout } from "../../shared/model/layout.ts";
import type { CenterMove } from "../../shared/solver/center_rule.ts";

type Shape = Pick<ParameterLayout, "elements" | "trainableElements" | "tensors">;
type GradientMove = Extract<CenterMove, { kind: "gradient" }>;

/** One vector that moves the center: what a replica pushed, parameters as such, or the mean of what `count` of them did. */
export interface Pushed {
  readonly vector: Float64Array;
  readonly staleness: number;
  /** The center that a gradient was taken at. */
  readonly base: Float64Array;
  readonly count: number;
}

export class ReferenceCenter {
  readonly shape: Shape;
  readonly center: Float64Array;
  readonly velocity: Float64Array;
  readonly #sum: Float64Array;
  #deposits = 0;

  constructor(shape: Shape, initial: ArrayLike<number>) {
    this.shape = shape;
    this.center = Float64Array.from(initial);
    this.velocity = new Float64Array(shape.elements);
    this.#sum = new Float64Array(shape.elements);
  }

  /** Moves the center; returns the answer, which of a `difference` is the center that was. */
  apply(move: CenterMove, pushed: Pushed): Float64Array {
    const before = this.center.slice();
    const { vector, count } = pushed;
    switch (move.kind) {
      case "elastic":
        this.#each((k) => (this.center[k]! += move.movingRate * (vector[k]! - before[k]!)));
        return before;
      case "elastic-sum":
        this.#each((k) => (this.center[k]! += move.movingRate * count * (vector[k]! - before[k]!)));
        return before;
      case "elastic-mean":
        this.#each((k) => (this.center[k]! += move.movingRate * (vector[k]! - before[k]!)));
        return vector.map((m, k) => m - move.movingRate * (m - before[k]!));
      case "difference":
        this.#each((k) => (this.center[k]! += move.rate * vector[k]!));
        return before;
      case "update":
        this.#trained((k) => (this.center[k]! += move.rate * vector[k]!));
        return this.#withStatistics(pushed, 1);
      case "gradient":
        this.#descend(move, pushed);
        return this.#withStatistics(pushed, -1);
      case "nesterov":
        this.#trained((k) => {
          const d = -vector[k]!;
          this.velocity[k] = move.momentum * this.velocity[k]! + d;
          this.center[k]! -= move.learningRate * (d + move.momentum * this.velocity[k]);
        });
        return this.#withStatistics(pushed, 1);
      case "delayed-nesterov":
        this.#delayed(move, vector);
        return this.#withStatistics(pushed, 1);
      default:
        return move satisfies never;
    }
  }

  #delayed(move: Extract<CenterMove, { kind: "delayed-nesterov" }>, vector: Float64Array): void {
    this.#deposits++;
    const isLast = this.#deposits === move.delay;
    this.#trained((k) => {
      const d = -vector[k]! / move.delay;
      this.#sum[k]! += d;
      let ahead = d;
      if (isLast) {
        this.velocity[k] = move.momentum * this.velocity[k]! + this.#sum[k]!;
        ahead = d + move.momentum * this.velocity[k];
        this.#sum[k] = 0;
      }
      this.center[k]! -= move.learningRate * ahead;
    });
    if (isLast) this.#deposits = 0;
  }

  #descend(move: GradientMove, { vector, base }: Pushed): void {
    const gradient = vector.map(
      (g, k) => g + move.delayCompensation * g * g * (k < base.length ? this.center[k]! - base[k]! : 0),
    );
    const rates = new Float64Array(this.shape.elements).fill(move.learningRate);
    const decays = new Float64Array(this.shape.elements).fill(move.weightDecay);
    for (const { offset, elements, shape } of move.isLayerwise ? this.shape.tensors : []) {
      const end = offset + elements;
      if (shape.length === 1) {
        decays.fill(0, offset, end);
      } else {
        const size = Math.hypot(...this.center.subarray(offset, end));
        const slope = Math.hypot(...gradient.subarray(offset, end));
        const ratio = (OPTIMIZER_DEFAULTS.trust * size) / (slope + move.weightDecay * size);
        rates.fill(move.learningRate * (size > 0 && slope > 0 ? ratio : 1), offset, end);
      }
    }
    this.#trained((k) => {
      const g = gradient[k]! + decays[k]! * this.center[k]!;
      const v = move.momentum * this.velocity[k]! - rates[k]! * g;
      this.velocity[k] = move.momentum === 0 ? 0 : v;
      this.center[k]! += v;
    });
  }

  /** SPEC E9: `vector` carries r - base, or base - r in a gradient. */
  #withStatistics({ vector, staleness }: Pushed, sign: number): Float64Array {
    for (let k = this.shape.trainableElements; k < this.shape.elements; k++) {
      this.center[k]! += (sign * vector[k]!) / (1 + staleness);
    }
    return this.center.slice();
  }

  #each(move: (k: number) => void): void {
    for (let k = 0; k < this.shape.elements; k++) move(k);
  }

  #trained(move: (k: number) => void): void {
    for (let k = 0; k < this.shape.trainableElements; k++) move(k);
  }
}
