/** Compares what a device answered with what is stored, and says in words where they part. Pure. */

import type { Run } from "../exercise.ts";
import type { Answer, TrainedQuestion } from "./answers.ts";
import type { Question } from "./questions.ts";

/** Relative to the largest magnitude of an output; `examine.ts` derives it. */
export const OPERATION_TOLERANCE = 2 ** -8;

/** The first sample that is wrong as a sentence, or undefined. */
export function mismatch(
  question: Question,
  { scale, words: expected }: Answer,
  words: Uint32Array,
): string | undefined {
  if (question.isExact) {
    const wrong = expected.findIndex((word, index) => words[index] !== word);
    return wrong < 0 ? undefined : placed(question, wrong, words[wrong], expected[wrong]);
  }
  const values = floatsOf(words);
  const wanted = floatsOf(expected);
  // Written so that NaN is a mismatch.
  const wrong = wanted.findIndex((value, index) => !(Math.abs(values[index]! - value) <= OPERATION_TOLERANCE * scale));
  if (wrong < 0) return undefined;
  if (values.every((value) => value === 0)) return `${question.tensor} is zero everywhere`;
  return `${placed(question, wrong, values[wrong], wanted[wrong])} (the largest is ${shown(scale)})`;
}

/** How a vector's part of one tensor differs from the stored one: as a sentence, or undefined where it is near enough. */
export function distant(
  { tensor, first, elements, runs }: TrainedQuestion,
  { scale, words }: Answer,
  vector: Float32Array,
  tolerance: number,
): string | undefined {
  const values = vector.subarray(first, first + elements);
  const norm = normOf(values);
  if (!Number.isFinite(norm)) return `${tensor} holds numbers that are not finite`;
  if (norm === 0 && scale > 0) return `${tensor} is zero everywhere`;
  if (!(Math.abs(norm - scale) <= tolerance * scale))
    return `${tensor} has norm ${shown(norm)} instead of ${shown(scale)}`;
  const wanted = floatsOf(words);
  const distance = normOf(sampled(values, runs).map((value, index) => value - wanted[index]!));
  const relative = distance / normOf(wanted);
  if (distance === 0 || relative <= tolerance) return undefined;
  return `${tensor} is off by ${shown(100 * relative)} % of its norm`;
}

export function sampled(values: Float32Array, runs: readonly Run[]): Float32Array<ArrayBuffer> {
  return Float32Array.from(runs.flatMap(({ first, count }) => [...values.subarray(first, first + count)]));
}

export function normOf(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return Math.sqrt(sum);
}

/** The same bits. */
export function floatsOf(words: Uint32Array): Float32Array<ArrayBuffer> {
  return new Float32Array(words.slice().buffer);
}

function placed(
  { tensor, runs }: Question,
  sample: number,
  actual: number | undefined,
  expected: number | undefined,
): string {
  let left = sample;
  for (const { first, count } of runs) {
    if (left < count) return `${tensor}[${first + left}] is ${shown(actual!)} instead of ${shown(expected!)}`;
    left -= count;
  }
  throw new Error(`invariant violation: a question has no sample ${sample}`);
}

function shown(value: number): string {
  return String(Number(value.toPrecision(4)));
}
