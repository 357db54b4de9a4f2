/** Compares what a device answered with what is stored, and says in words where they part. Pure. */

import type { Run } from "../exercise.ts";
import type { Answer, TrainedAnswer, TrainedQuestion } from "./answers.ts";
import type { Question } from "./questions.ts";

/** Relative to the largest magnitude of an output; `examine.ts` derives it. */
const OPERATION_TOLERANCE = 2 ** -8;

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
  { scale, allowed, words }: TrainedAnswer,
  vector: Float32Array,
): string | undefined {
  const values = vector.subarray(first, first + elements);
  const norm = normOf(values);
  if (!Number.isFinite(norm)) return `${tensor} holds numbers that are not finite`;
  // A sum that ought to cancel (a bias before a batch norm): whatever rounding leaves of it is right.
  if (allowed === Infinity) return undefined;
  if (norm === 0 && scale > 0) return `${tensor} is zero everywhere`;
  const isLikely = norm >= scale / (1 + allowed) && norm <= scale * (1 + allowed);
  if (!isLikely) return `${tensor} has norm ${shown(norm)} instead of ${shown(scale)}`;
  const wanted = floatsOf(words);
  const relative = distanceOf(sampled(values, runs), wanted);
  if (relative <= allowed) return undefined;
  return `${tensor} is off by ${shown(100 * relative)} % of its norm`;
}

export function sampled(values: Float32Array, runs: readonly Run[]): Float32Array<ArrayBuffer> {
  return Float32Array.from(runs.flatMap(({ first, count }) => [...values.subarray(first, first + count)]));
}

/** |values - wanted| / |wanted|; 0 where both are zero. */
export function distanceOf(values: Float32Array, wanted: Float32Array): number {
  const distance = normOf(values.map((value, index) => value - wanted[index]!));
  return distance === 0 ? 0 : distance / normOf(wanted);
}

export function normOf(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return Math.sqrt(sum);
}

/** The same bits. */
function floatsOf(words: Uint32Array): Float32Array<ArrayBuffer> {
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
