/**
 * The stored answers of an entrance exam, as one file of little-endian 32-bit words: magic, version, for each question the
 * largest magnitude of the tensor and the sampled elements, for each trained tensor the norm of its gradient and sampled
 * elements of it, the same of how a step moves it, and a checksum. What the words mean follows from plan and seed.
 */

import { Random } from "../../random.ts";
import { wordsIn, type Run } from "../exercise.ts";
import type { Plan } from "../plan.ts";
import { questionsTo, sampleRuns, type Question, type Questions } from "./questions.ts";

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

export interface Answers {
  /** In the order of the questions. */
  readonly questions: readonly Answer[];
  /** In the order of the trained tensors. */
  readonly gradients: readonly Answer[];
  readonly steps: readonly Answer[];
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
  const answers = [...questions, ...gradients, ...steps];
  const words = new Uint32Array(HEAD_WORDS + answers.reduce((sum, answer) => sum + 1 + answer.words.length, 0) + 1);
  words.set([MAGIC, VERSION]);
  let at = HEAD_WORDS;
  for (const answer of answers) {
    new Float32Array(words.buffer, 4 * at, 1)[0] = answer.scale;
    words.set(answer.words, at + 1);
    at += 1 + answer.words.length;
  }
  words[at] = checksum(words.subarray(0, at));
  return new Uint8Array(words.buffer);
}

/** The answers, or why these bytes are none to this exam. */
export function decodeAnswers(bytes: Uint8Array, exam: Exam): Answers | { readonly problem: string } {
  const asked: readonly (Question | TrainedQuestion)[] = [...exam.questions, ...exam.trained, ...exam.trained];
  const expectedWords = HEAD_WORDS + asked.reduce((sum, { runs }) => sum + 1 + wordsIn(runs), 0) + 1;
  if (bytes.length % 4 !== 0 || bytes.length < 4 * (HEAD_WORDS + 1))
    return { problem: `they are ${bytes.length} bytes` };
  const words = new Uint32Array(bytes.slice().buffer);
  if (words[0] !== MAGIC) return { problem: "they are something else" };
  if (words[1] !== VERSION) return { problem: `they are of version ${words[1]}, this client knows ${VERSION}` };
  if (words.at(-1) !== checksum(words.subarray(0, -1))) return { problem: "their checksum is wrong" };
  if (words.length !== expectedWords)
    return { problem: `they are ${words.length} words, the exam has ${expectedWords}: they answer another exam` };
  let at = HEAD_WORDS;
  const answers = asked.map(({ runs }): Answer => {
    const scale = new Float32Array(words.buffer, 4 * at, 1)[0]!;
    const end = at + 1 + wordsIn(runs);
    const answer = { scale, words: words.slice(at + 1, end) };
    at = end;
    return answer;
  });
  const [questions, trained] = [exam.questions.length, exam.trained.length];
  return {
    questions: answers.slice(0, questions),
    gradients: answers.slice(questions, questions + trained),
    steps: answers.slice(questions + trained),
  };
}

/** FNV-1a over words. It finds damage on disk and on the way; it is not a defence. */
function checksum(words: Uint32Array): number {
  let hash = 0x811c_9dc5;
  for (const word of words) hash = Math.imul(hash ^ word, 0x0100_0193);
  return hash >>> 0;
}
