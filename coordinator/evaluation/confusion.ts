/** What was taken for what: labels against answers, class by class. */

export interface ClassScore {
  readonly label: number;
  readonly images: number;
  readonly correct: number;
  /** null where the test set has none. */
  readonly accuracy: number | null;
}

export interface Mistake {
  readonly label: number;
  readonly answer: number;
  readonly images: number;
  /** Of the label's images, 0..1. */
  readonly share: number;
}

export class Confusion {
  readonly classes: number;
  /** [label, answer] */
  readonly #counts: Uint32Array;
  #images = 0;

  constructor(classes: number) {
    this.classes = classes;
    this.#counts = new Uint32Array(classes * classes);
  }

  add(label: number, answer: number): void {
    this.#counts[label * this.classes + answer]!++;
    this.#images++;
  }

  get images(): number {
    return this.#images;
  }

  get correct(): number {
    return this.scores().reduce((sum, { correct }) => sum + correct, 0);
  }

  get accuracy(): number {
    return this.#images === 0 ? 0 : this.correct / this.#images;
  }

  /** One row for each label: how often each answer was given. */
  rows(): number[][] {
    return Array.from({ length: this.classes }, (_, label) => [
      ...this.#counts.subarray(label * this.classes, (label + 1) * this.classes),
    ]);
  }

  scores(): ClassScore[] {
    return this.rows().map((row, label) => {
      const images = row.reduce((sum, count) => sum + count, 0);
      const correct = row[label] ?? 0;
      return { label, images, correct, accuracy: images === 0 ? null : correct / images };
    });
  }

  /** The most frequent first, at most `most`. */
  worst(most: number): Mistake[] {
    const scores = this.scores();
    return this.rows()
      .flatMap((row, label) =>
        row.flatMap((images, answer) =>
          answer === label || images === 0 ? [] : [{ label, answer, images, share: images / scores[label]!.images }],
        ),
      )
      .toSorted((a, b) => b.images - a.images || a.label - b.label || a.answer - b.answer)
      .slice(0, most);
  }
}

/** The index of the largest; the first of equals, as the engine's own losses have it. */
export function answerOf(outputs: ArrayLike<number>): number {
  let best = 0;
  for (let index = 1; index < outputs.length; index++) if (outputs[index]! > outputs[best]!) best = index;
  return best;
}

/** Of one image, in double precision. */
export function lossOf(
  kind: "softmax-cross-entropy" | "mean-squared-error",
  outputs: ArrayLike<number>,
  label: number,
): number {
  const values = Array.from(outputs);
  if (kind === "mean-squared-error") {
    return values.reduce((sum, value, index) => sum + (value - (index === label ? 1 : 0)) ** 2, 0) / values.length;
  }
  const top = Math.max(...values);
  const sum = values.reduce((total, value) => total + Math.exp(value - top), 0);
  return Math.log(sum) + top - (values[label] ?? Number.NaN);
}
