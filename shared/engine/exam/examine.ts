/**
 * The entrance exam (SPEC E10 to E13): lets a program answer on the coordinator, and examines one on a replica. First every
 * operation alone, then one whole gradient, then the update and the two kernels of an exchange. Leaves the program with
 * other parameters and examples than it had.
 *
 * Tolerance of a single operation, relative to the largest magnitude of its output: 2^-8. A kernel's f32 sum of n products
 * of random sign is off by at most 7 * 2^-24 * sqrt(n) of it (test/reference/tolerance.ts, with the running sum bounded by
 * the largest one): 0.0017 at n = 16 million. Operands that are stored as f16 are off by 2^-11 at most, independently from
 * product to product: 7 * sqrt(2 / 3) * 2^-11 of the result's standard deviation, which is at most half of the largest:
 * 0.0014. Both together stay below 2^-8 = 0.0039. Measured: at most 1e-6 for all operations of mlp, lenet, cifar-quick and
 * resnet-20, WebGPU on SwiftShader against WASM (2-core Xeon 2.5 GHz, 2026-11-21). Choices and labels are whole numbers and
 * have to be equal: inputs are multiples of 1/256, which every storage holds exactly, so that maxima and their ties are the
 * same everywhere.
 *
 * Tolerance of the whole gradient, of each tensor's relative distance |a - e| / |e|: 1/8, or four times as far as this very
 * gradient moves where the coordinator rounds the parameters to f16. Operations do work on each other's results here: where
 * one rounds otherwise, an input near zero may pass a relu on one device and not on another, and the gradient differs by
 * about the square root of their share. Measured in f32 on the same device: 4e-7 for mlp, 0.002 for lenet, 0.008 for
 * resnet-20; 0.03 for resnet-50 with two images (two variants of WASM). A gradient of zeros, of another sign or of half the
 * size is off by 1/2 or more. A step divides by what it measures (LARS, AdamW), so it gets 1/2 at least; zeros are off by 1.
 */

import type { Backend, Program, StepSettings } from "../backend.ts";
import { wordsIn } from "../exercise.ts";
import type { Plan } from "../plan.ts";
import {
  decodeAnswers,
  encodeAnswers,
  examOf,
  type Answer,
  type Answers,
  type Exam,
  type TrainedAnswer,
  type TrainedQuestion,
} from "./answers.ts";
import { distanceOf, distant, mismatch, normOf, sampled } from "./compare.ts";
import { examExamples, examParameters, examPattern, type ExamExamples } from "./inputs.ts";

const GRADIENT_TOLERANCE = 1 / 8;
const STEP_TOLERANCE = 1 / 2;
/** On how far rounded parameters move a gradient: a device may round activations too. */
const ROUNDING_MARGIN = 4;
/** Of a tensor's root mean square against the whole vector's: what is smaller is left over from sums that cancel. */
const NOISE = 2 ** -16;
/** Of differences that are rounded twice at most. */
const EXCHANGE_TOLERANCE = 2 ** -20;
/** The answer does not depend on the run's own: a large step, so that rounding the parameters does not hide it. */
const EXAM_STEP: StepSettings = { learningRate: 1, momentum: 0.9, weightDecay: 1e-3 };
const MOVING_RATE = 0.5;

export type Verdict =
  /** `sentence` says what was examined. */
  | { readonly isPassed: true; readonly sentence: string }
  /** `kernel` is what failed, in words; `sentence` names it and says how. */
  | { readonly isPassed: false; readonly kernel: string; readonly sentence: string };

/** Lets `backend` answer the exam of `plan`: the file that the coordinator stores. */
export async function answerExam(backend: Backend, plan: Plan, seed: number): Promise<Uint8Array<ArrayBuffer>> {
  const exam = examOf(plan, seed);
  const program = await backend.compile(plan);
  const sitting = sitDown(program, seed);
  const questions: Answer[] = [];
  await program.exercise(sitting.batch, { pattern: examPattern(seed), moves: wholeReads(exam) }, (words) => {
    questions.push(answerOf(exam, questions.length, words));
  });
  const exact = await trainedBy(program, sitting);
  program.close();
  // Another one, so that dropout and augmentation draw the same again.
  const other = await backend.compile(plan);
  const rounded = await trainedBy(other, { ...sitDown(other, seed), parameters: sitting.parameters.map(toHalf) });
  other.close();
  return encodeAnswers({
    questions,
    gradients: answersOfTrained(exam, exact.gradient, rounded.gradient, GRADIENT_TOLERANCE),
    steps: answersOfTrained(exam, exact.step, rounded.step, STEP_TOLERANCE),
  });
}

interface Trained {
  readonly gradient: Float32Array<ArrayBuffer>;
  readonly step: Float32Array<ArrayBuffer>;
}

async function trainedBy(program: Program, sitting: Sitting): Promise<Trained> {
  const gradient = (await gradientOf(program, sitting)).slice();
  return { gradient, step: (await stepOf(program, sitting)).slice() };
}

/** Rounded to the 11 bits of f16; subnormals are too small to matter. */
function toHalf(value: number): number {
  const shifted = Math.fround(value * (2 ** 13 + 1));
  return Math.fround(shifted - Math.fround(shifted - value));
}

/** The answers in `bytes` to the exam of this plan, or what is wrong with them. */
export function readAnswers(bytes: Uint8Array, plan: Plan, seed: number): Answers | { readonly problem: string } {
  return decodeAnswers(bytes, examOf(plan, seed));
}

/** Examines `program`, freshly compiled. Rejects where the device fails instead of answering. */
export async function examine(program: Program, seed: number, answers: Answers): Promise<Verdict> {
  const exam = examOf(program.plan, seed);
  const sitting = sitDown(program, seed);
  return (
    (await examineOperations(program, seed, exam, answers, sitting)) ??
    (await examineGradient(program, exam, answers, sitting)) ??
    (await examineStep(program, exam, answers, sitting)) ?? {
      isPassed: true,
      sentence: `The exam is passed: ${countOf(exam)} operations and one whole gradient agree with the coordinator's.`,
    }
  );
}

interface Sitting extends ExamExamples {
  readonly parameters: Float32Array<ArrayBuffer>;
}

function sitDown(program: Program, seed: number): Sitting {
  const { plan } = program;
  const examples = examExamples(plan, seed);
  const parameters = examParameters(plan, seed);
  program.loadExamples(0, examples.images, examples.labels);
  program.writeParameters(parameters);
  return { ...examples, parameters };
}

async function examineOperations(
  program: Program,
  seed: number,
  exam: Exam,
  answers: Answers,
  { batch }: Sitting,
): Promise<Verdict | undefined> {
  let at = 0;
  let verdict: Verdict | undefined;
  await program.exercise(batch, { pattern: examPattern(seed), moves: exam.moves }, (words) => {
    const question = exam.questions[at]!;
    const wrong = verdict ? undefined : mismatch(question, answers.questions[at]!, words);
    if (wrong !== undefined) verdict = failed(question.operation, wrong);
    at++;
  });
  return verdict;
}

async function examineGradient(
  program: Program,
  { trained }: Exam,
  { gradients }: Answers,
  sitting: Sitting,
): Promise<Verdict | undefined> {
  const gradient = await gradientOf(program, sitting);
  return firstDistant("the whole gradient", trained, gradients, gradient);
}

/** The update, and the kernels of an exchange, whose results the host can compute itself. */
async function examineStep(
  program: Program,
  { trained }: Exam,
  { steps }: Answers,
  sitting: Sitting,
): Promise<Verdict | undefined> {
  const difference = await stepOf(program, sitting);
  const wrong = firstDistant("the update", trained, steps, difference);
  if (wrong) return wrong;
  const { parameters: base } = sitting;
  const moved = await program.readParameters();
  for (const [index, value] of moved.entries()) {
    const expected = value - base[index]!;
    if (!isNear(difference[index]!, expected, value, base[index]!))
      return failed("the elastic difference", `element ${index} is ${difference[index]} instead of ${expected}`);
  }
  program.settle(base, MOVING_RATE);
  const settled = await program.readParameters();
  for (const [index, value] of moved.entries()) {
    const expected = value - MOVING_RATE * (value - base[index]!);
    if (!isNear(settled[index]!, expected, value, base[index]!))
      return failed("the elastic pull", `element ${index} is ${settled[index]} instead of ${expected}`);
  }
  return undefined;
}

async function gradientOf(program: Program, { batch, parameters }: Sitting): Promise<Float32Array<ArrayBuffer>> {
  // Running statistics have moved.
  program.writeParameters(parameters);
  program.gradientStep(batch);
  return (await program.takeGradient()).values;
}

/** How one step moves the parameters. Valid until the next `take…` of the program. */
async function stepOf(program: Program, { batch, parameters }: Sitting): Promise<Float32Array<ArrayBuffer>> {
  program.writeParameters(parameters);
  program.step(batch, EXAM_STEP);
  return (await program.takeDifference()).values;
}

function firstDistant(
  kernel: string,
  trained: readonly TrainedQuestion[],
  answers: readonly TrainedAnswer[],
  vector: Float32Array,
): Verdict | undefined {
  for (const [index, question] of trained.entries()) {
    const wrong = distant(question, answers[index]!, vector);
    if (wrong !== undefined) return failed(kernel, wrong);
  }
  return undefined;
}

function failed(kernel: string, how: string): Verdict {
  return { isPassed: false, kernel, sentence: `It failed the exam at ${kernel}: ${how}.` };
}

/** NaN is not near. */
function isNear(actual: number, expected: number, ...operands: readonly number[]): boolean {
  return Math.abs(actual - expected) <= EXCHANGE_TOLERANCE * Math.max(...operands.map(Math.abs));
}

/** The moves with every output read whole, for its largest magnitude. */
function wholeReads({ moves, questions }: Exam): Exam["moves"] {
  let at = 0;
  return moves.map((move) => {
    if (move.kind !== "read") return move;
    const { first, elements } = questions[at++]!;
    return { ...move, runs: [{ first, count: elements }] };
  });
}

function answerOf({ questions }: Exam, at: number, whole: Uint32Array<ArrayBuffer>): Answer {
  const { runs, isExact } = questions[at]!;
  const words = new Uint32Array(wordsIn(runs));
  let filled = 0;
  for (const { first, count } of runs) {
    words.set(whole.subarray(first, first + count), filled);
    filled += count;
  }
  if (isExact) return { scale: 0, words };
  let largest = 0;
  for (const value of new Float32Array(whole.buffer, whole.byteOffset, whole.length))
    largest = Math.max(largest, Math.abs(value));
  return { scale: largest, words };
}

function answersOfTrained(
  { trained }: Exam,
  vector: Float32Array,
  rounded: Float32Array,
  least: number,
): TrainedAnswer[] {
  const wholeRms = rmsOf(vector);
  return trained.map(({ first, elements, runs }) => {
    const values = vector.subarray(first, first + elements);
    const isNoise = rmsOf(values) <= NOISE * wholeRms;
    const moved = distanceOf(rounded.subarray(first, first + elements), values);
    return {
      scale: normOf(values),
      allowed: isNoise ? Infinity : Math.max(least, ROUNDING_MARGIN * moved),
      words: new Uint32Array(sampled(values, runs).buffer),
    };
  });
}

function rmsOf(values: Float32Array): number {
  return normOf(values) / Math.sqrt(values.length);
}

function countOf({ moves }: Exam): number {
  return new Set(moves.flatMap((move) => (move.kind === "operate" ? [`${move.part} ${move.at}`] : []))).size;
}
