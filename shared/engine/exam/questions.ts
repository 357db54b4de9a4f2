/**
 * The questions of the entrance exam to a plan: for each operation, forward and backward, the moves that give it its inputs,
 * let it work and read samples of every output. Pure; both sides make the same list from plan and seed.
 *
 * Each operation works on inputs that are given, not on what the device made before: errors cannot add up, and the first
 * wrong answer names the operation that is wrong. Three kinds of tensors keep what the device made, because not every value
 * is valid in them: labels, tokens, and the choices of a max-pool, which is done again right before its gradient.
 */

import type { ParameterTensor } from "../../model/layout.ts";
import { Random } from "../../random.ts";
import type { Move, ReadSource, Run } from "../exercise.ts";
import type { Operation, TensorId } from "../operation.ts";
import { gradientsWrittenBy, readBy, writtenBy } from "../operation_tensors.ts";
import type { Plan } from "../plan.ts";
import { wordsOf } from "./words.ts";

/** One tensor that an operation writes. There is one read among the moves for each, in the same order. */
export interface Question {
  /** The operation, in words. */
  readonly operation: string;
  /** The tensor. */
  readonly tensor: string;
  /** Where the tensor lies in its source. */
  readonly first: number;
  readonly elements: number;
  /** Within the tensor. */
  readonly runs: readonly Run[];
  /** Of u32 words, which are compared exactly. */
  readonly isExact: boolean;
}

export interface Questions {
  readonly moves: readonly Move[];
  readonly questions: readonly Question[];
}

/** How many elements of each output are compared. */
const SAMPLES = 256;
const SAMPLE_RUNS = 64;
/** Of the pattern's beginning from tensor to tensor. */
const OFFSET_STEP = 4099;

export function questionsTo(plan: Plan, seed: number): Questions {
  return new Questionnaire(plan, seed).make();
}

/** Up to 256 elements: all, or 64 runs spread over the whole, its first and its last element among them. */
export function sampleRuns(elements: number, random: Random): readonly Run[] {
  if (elements <= SAMPLES) return [{ first: 0, count: elements }];
  const count = SAMPLES / SAMPLE_RUNS;
  return Array.from({ length: SAMPLE_RUNS }, (_, index) => {
    if (index === 0) return { first: 0, count };
    if (index === SAMPLE_RUNS - 1) return { first: elements - count, count };
    const begin = Math.floor((index * elements) / SAMPLE_RUNS);
    const end = Math.floor(((index + 1) * elements) / SAMPLE_RUNS);
    return { first: begin + random.below(end - begin - count + 1), count };
  });
}

class Questionnaire {
  readonly #plan: Plan;
  readonly #random: Random;
  readonly #moves: Move[] = [];
  readonly #questions: Question[] = [];
  /** Tensors that keep what the device made. */
  readonly #kept: ReadonlySet<TensorId>;
  /** Tensors of u32 words. */
  readonly #words = new Set<TensorId>();
  /** Which forward operation makes a tensor of choices. */
  readonly #chosenBy = new Map<TensorId, number>();

  constructor(plan: Plan, seed: number) {
    this.#plan = plan;
    this.#random = new Random(seed ^ 0x0e8a_0004);
    const tokens = new Set<TensorId>();
    for (const [at, operation] of plan.forward.entries()) {
      if (operation.kind === "gather") this.#words.add(operation.labels);
      if (operation.kind === "max-pool") this.#words.add(operation.choice);
      if (operation.kind === "max-pool") this.#chosenBy.set(operation.choice, at);
      if (operation.kind === "embedding") tokens.add(operation.input);
    }
    this.#kept = new Set([...this.#words, ...tokens]);
  }

  make(): Questions {
    for (const at of this.#plan.forward.keys()) this.#ask("forward", at);
    for (const at of this.#plan.backward.keys()) this.#ask("backward", at);
    return { moves: this.#moves, questions: this.#questions };
  }

  #ask(part: "forward" | "backward", at: number): void {
    const operation = this.#plan[part][at]!;
    if (part === "backward") {
      for (const tensor of readBy(operation)) {
        const maker = this.#chosenBy.get(tensor);
        if (maker !== undefined) this.#do("forward", maker);
      }
    }
    this.#do(part, at);
    for (const tensor of writtenBy(operation)) this.#readTensor(operation, tensor);
    for (const tensor of gradientsWrittenBy(operation)) this.#readRange(operation, "gradient", tensor);
    if (operation.kind !== "batch-norm-statistics") return;
    for (const tensor of [operation.runningMean, operation.runningVariance])
      this.#readRange(operation, "parameters", tensor);
  }

  #do(part: "forward" | "backward", at: number): void {
    for (const tensor of new Set(readBy(this.#plan[part][at]!))) {
      if (!this.#kept.has(tensor)) this.#moves.push({ kind: "fill", tensor, offset: tensor * OFFSET_STEP });
    }
    this.#moves.push({ kind: "operate", part, at });
  }

  #readTensor(operation: Operation, tensor: TensorId): void {
    const { name, elements } = this.#plan.tensors[tensor]!;
    const isExact = this.#words.has(tensor);
    this.#read(
      { kind: "tensor", tensor },
      { operation: wordsOf(operation), tensor: name, first: 0, elements, isExact },
    );
  }

  #readRange(operation: Operation, kind: "gradient" | "parameters", tensor: ParameterTensor): void {
    const { name, offset, elements } = tensor;
    this.#read({ kind }, { operation: wordsOf(operation), tensor: name, first: offset, elements, isExact: false });
  }

  #read(source: ReadSource, question: Omit<Question, "runs">): void {
    const runs = sampleRuns(question.elements, this.#random);
    this.#questions.push({ ...question, runs });
    this.#moves.push({
      kind: "read",
      source,
      runs: runs.map(({ first, count }) => ({ first: question.first + first, count })),
    });
  }
}
