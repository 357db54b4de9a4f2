/** The losses as plain loops. */

import type { Numbers } from "./convolution.ts";

export interface LossShape {
  readonly batch: number;
  readonly classes: number;
  /** Examples of the whole batch, over which the mean is taken. */
  readonly examples: number;
}

export interface Loss {
  /** [batch] */
  readonly losses: Float64Array<ArrayBuffer>;
  /** [batch]: 1 where the largest output is the label's (the first of equals counts), else 0. */
  readonly correct: Float64Array<ArrayBuffer>;
  /** [batch, classes], of the mean loss at the outputs. */
  readonly gradient: Float64Array<ArrayBuffer>;
}

/** losses = -log p of the label ; gradient = (p - y) / examples. */
export function softmaxCrossEntropy(shape: LossShape, logits: Numbers, labels: Numbers): Loss {
  return overRows(shape, logits, labels, (row, label) => {
    const largest = Math.max(...row);
    const sum = row.reduce((total, logit) => total + Math.exp(logit - largest), 0);
    return {
      loss: Math.log(sum) - (row[label]! - largest),
      slopes: row.map((logit, c) => Math.exp(logit - largest) / sum - (c === label ? 1 : 0)),
    };
  });
}

/** losses = mean over classes of (output - y)^2 ; gradient = 2 (output - y) / (classes * examples). */
export function meanSquaredError(shape: LossShape, predictions: Numbers, labels: Numbers): Loss {
  return overRows(shape, predictions, labels, (row, label) => {
    const errors = row.map((value, c) => value - (c === label ? 1 : 0));
    return {
      loss: errors.reduce((sum, error) => sum + error * error, 0) / shape.classes,
      slopes: errors.map((error) => (2 * error) / shape.classes),
    };
  });
}

function overRows(
  { batch, classes, examples }: LossShape,
  outputs: Numbers,
  labels: Numbers,
  lossOf: (row: readonly number[], label: number) => { loss: number; slopes: readonly number[] },
): Loss {
  const losses = new Float64Array(batch);
  const correct = new Float64Array(batch);
  const gradient = new Float64Array(batch * classes);
  for (let b = 0; b < batch; b++) {
    const row = Array.from({ length: classes }, (_, c) => outputs[b * classes + c]!);
    const { loss, slopes } = lossOf(row, labels[b]!);
    losses[b] = loss;
    correct[b] = row.indexOf(Math.max(...row)) === labels[b] ? 1 : 0;
    for (let c = 0; c < classes; c++) gradient[b * classes + c] = slopes[c]! / examples;
  }
  return { losses, correct, gradient };
}
