/**
 * What is minimised where asynchrony is measured: a function known through unbiased draws of its gradient. `network.ts` is a
 * model over real examples, `quadratic.ts` a function whose answers are known.
 */

import type { Random } from "../../../shared/random.ts";
import type { CenterShape } from "../../center/center_memory.ts";

export interface Objective {
  readonly shape: CenterShape;
  /** Where every trial begins. */
  readonly start: Float32Array;
  /** A draw of the gradient at `parameters`, as a replica would push it: valid until the next call. */
  draw(parameters: Float32Array, random: Random): Float32Array;
  /** Another draw there that the center does not move by, exact where that is cheap: valid until the next call. */
  observe(parameters: Float32Array, random: Random): Float32Array;
}
