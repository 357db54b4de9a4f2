/** A program with one fault of a kind that real devices have shown, for the entrance exam: everything else passes through. */

import type { Program } from "../../shared/engine/backend.ts";
import { questionsTo } from "../../shared/engine/exam/questions.ts";

export interface Fault {
  /** The operation in words whose outputs are wrong where it is done alone. */
  readonly operation?: string;
  /** In whole gradients. */
  readonly gradient?: boolean;
  readonly becomes: (value: number) => number;
}

/** `program` with `fault`; `seed` is the exam's. */
export function broken(program: Program, seed: number, { operation, gradient = false, becomes }: Fault): Program {
  const { questions } = questionsTo(program.plan, seed);
  if (operation !== undefined && !questions.some((question) => question.operation === operation))
    throw new Error(`no operation is called "${operation}"`);
  const exercise: Program["exercise"] = (examples, moves, take) => {
    let at = 0;
    return program.exercise(examples, moves, (words) => {
      const question = questions[at++]!;
      if (question.operation !== operation || question.isExact) return take(words);
      take(new Uint32Array(new Float32Array(words.slice().buffer).map(becomes).buffer));
    });
  };
  const takeGradient: Program["takeGradient"] = async () => {
    const taken = await program.takeGradient();
    return gradient ? { ...taken, values: taken.values.map(becomes) } : taken;
  };
  return new Proxy(program, {
    get(target, name) {
      if (name === "exercise") return exercise;
      if (name === "takeGradient") return takeGradient;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value as () => unknown).bind(target) : value;
    },
  });
}
