/**
 * What the coordinator asks of one replica until its next answer: it comes with every welcome and every answer, so that periods
 * follow measured speed, shares follow the group, and what an operator or the autotuner changes reaches everybody.
 */

import * as v from "valibot";

const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(1));
const amount = v.pipe(v.number(), v.finite(), v.minValue(0));

export const assignmentSchema = v.strictObject({
  /** Local steps until the next push: tau of this replica, or its share of it where exchanges carry fragments in turn. */
  communicationPeriod: whole,
  /** Samples of one step: the batch, or a share of its group's. A whole number of the plan's parts. */
  samples: whole,
  /** Schedule and warm-up included (SPEC S6). */
  learningRate: amount,
  momentum: v.pipe(v.number(), v.minValue(-1), v.maxValue(1)),
  /** alpha, where the replica computes the difference itself. */
  movingRate: amount,
});

export type Assignment = v.InferOutput<typeof assignmentSchema>;
