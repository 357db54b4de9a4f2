/** Softmax cross-entropy as plain loops. */

import type { Numbers } from "./convolution.ts";

export interface LossShape {
  readonly batch: number;
  readonly classes: number;
}

export interface Loss {
  /** [batch]: -log p of the label. */
  readonly losses: Float64Array<ArrayBuffer>;
  /** [batch]: 1 where the largest logit is the label's (the first of equals counts), else 0. */
  readonly correct: Float64Array<ArrayBuffer>;
  /** [batch, classes]: (p - y) / batch, the gradient of the mean loss at the logits. */
  readonly gradient: Float64Array<ArrayBuffer>;
}

export function softmaxCrossEntropy({ batch, classes }: LossShape, logits: Numbers, labels: Numbers): Loss {
  const losses = new Float64Array(batch);
  const correct = new Float64Array(batch);
  const gradient = new Float64Array(batch * classes);
  for (let b = 0; b < batch; b++) {
    const row = Array.from({ length: classes }, (_, c) => logits[b * classes + c]!);
    const label = labels[b]!;
    const largest = Math.max(...row);
    const sum = row.reduce((total, logit) => total + Math.exp(logit - largest), 0);
    losses[b] = Math.log(sum) - (row[label]! - largest);
    correct[b] = row.indexOf(largest) === label ? 1 : 0;
    for (let c = 0; c < classes; c++) {
      const probability = Math.exp(row[c]! - largest) / sum;
      gradient[b * classes + c] = (probability - (c === label ? 1 : 0)) / batch;
    }
  }
  return { losses, correct, gradient };
}
