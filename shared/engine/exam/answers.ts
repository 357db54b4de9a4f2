/**
 * The stored answers of an entrance exam, as one file of little-endian 32-bit words: magic, version, for each question the
 * largest magnitude of the tensor and the sampled elements, for each trained tensor the norm of its gradient, how far it may
 * be off, and sampled elements of it, the same of how a step moves it, and a checksum. The rest follows from plan and seed.
 */

import { Random } from "../../random.ts";
import { wordsIn, type Run } from "../exercise.ts";
import type { Plan } from "../plan.ts";
import { questionsTo, sampleRuns, type Questions } from "./questions.ts";

const MAGIC = 0x5856_5244; // "DRVX"
const VERSION = 1;
const HEAD_WORDS = 2;

/** What is asked about one trained tensor: its gradient, and how a step moves it. */
export interface TrainedQuestion {
  readonly tensor: string;
  /** In a parameter-sized vector. */
  readonly first: number;
  readonly elements: number;
  /** Within the tensor. */
  readonly runs: readonly Run[];
}

/** Everything that an exam asks. */
export interface Exam extends Questions {
  readonly trained: readonly TrainedQuestion[];
}

export interface Answer {
  /** Of an operation's output the largest magnitude; of a gradient or a step its norm within the tensor. */
  readonly scale: number;
  readonly words: Uint32Array<ArrayBuffer>;
}

export interface TrainedAnswer extends Answer {
  /** The largest distance that passes, relative to the norm. Infinity: it is made of rounding alone, and has to be finite. */
  readonly allowed: number;
}

export interface Answers {
  /** In the order of the questions. */
  readonly questions: readonly Answer[];
  /** In the order of the trained tensors. */
  readonly gradients: readonly TrainedAnswer[];
  readonly steps: readonly TrainedAnswer[];
}

export function examOf(plan: Plan, seed: number): Exam {
  const random = new Random(seed ^ 0x0e8a_0005);
  const trained = plan.layout.tensors
    .filter(({ offset }) => offset < plan.layout.trainableElements)
    .map(({ name, offset, elements }) => {
      const runs = sampleRuns(elements, random);
      return { tensor: name, first: offset, elements, runs };
    });
  return { ...questionsTo(plan, seed), trained };
}

export function encodeAnswers({ questions, gradients, steps }: Answers): Uint8Array<ArrayBuffer> {
  const entries = [
    ...questions.map(({ scale, words }) => ({ numbers: [scale], words })),
    ...[...gradients, ...steps].map(({ scale, allowed, words }) => ({ numbers: [scale, allowed], words })),
  ];
  const length = entries.reduce((sum, { numbers, words }) => sum + numbers.length + words.length, HEAD_WORDS + 1);
  const file = new Uint32Array(length);
  const floats = new Float32Array(file.buffer);
  file.set([MAGIC, VERSION]);
  let at = HEAD_WORDS;
  for (const { numbers, words } of entries) {
    floats.set(numbers, at);
    file.set(words, at + numbers.length);
    at += numbers.length + words.length;
  }
  file[at] = checksum(file.subarray(0, at));
  return new Uint8Array(file.buffer);
}

/** The answers, or why these bytes are none to this exam. */
export function decodeAnswers(bytes: Uint8Array, exam: Exam): Answers | { readonly problem: string } {
  if (bytes.length % 4 !== 0 || bytes.length < 4 * (HEAD_WORDS + 1))
    return { problem: `they are ${bytes.length} bytes` };
  const file = new Uint32Array(bytes.slice().buffer);
  if (file[0] !== MAGIC) return { problem: "they are something else" };
  if (file[1] !== VERSION) return { problem: `they are of version ${file[1]}, this client knows ${VERSION}` };
  if (file.at(-1) !== checksum(file.subarray(0, -1))) return { problem: "their checksum is wrong" };
  const expected = wordsOfAll(exam.questions, 1) + 2 * wordsOfAll(exam.trained, 2) + HEAD_WORDS + 1;
  if (file.length !== expected)
    return { problem: `they are ${file.length} words, the exam has ${expected}: they answer another exam` };
  const reader = new Reader(file);
  return {
    questions: exam.questions.map(({ runs }) => ({ scale: reader.number(), words: reader.words(runs) })),
    gradients: exam.trained.map(({ runs }) => reader.trained(runs)),
    steps: exam.trained.map(({ runs }) => reader.trained(runs)),
  };
}

function wordsOfAll(asked: readonly { readonly runs: readonly Run[] }[], numbers: number): number {
  return asked.reduce((sum, { runs }) => sum + numbers + wordsIn(runs), 0);
}

/** Of a file whose length is right. */
class Reader {
  readonly #file: Uint32Array<ArrayBuffer>;
  readonly #floats: Float32Array<ArrayBuffer>;
  #at = HEAD_WORDS;

  constructor(file: Uint32Array<ArrayBuffer>) {
    this.#file = file;
    this.#floats = new Float32Array(file.buffer);
  }

  number(): number {
    return this.#floats[this.#at++]!;
  }

  words(runs: readonly Run[]): Uint32Array<ArrayBuffer> {
    const begin = this.#at;
    this.#at += wordsIn(runs);
    return this.#file.slice(begin, this.#at);
  }

  trained(runs: readonly Run[]): TrainedAnswer {
    return { scale: this.number(), allowed: this.number(), words: this.words(runs) };
  }
}

/** FNV-1a over words. It finds damage on disk and on the way; it is not a defence. */
function checksum(words: Uint32Array): number {
  let hash = 0x811c_9dc5;
  for (const word of words) hash = Math.imul(hash ^ word, 0x0100_0193);
  return hash >>> 0;
}
