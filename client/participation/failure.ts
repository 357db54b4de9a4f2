/** An error that knows what kind of failure it is to the volunteer, whose page offers another fix for each. */

import type { FailureKind } from "../messages.ts";

export class Failure extends Error {
  override readonly name = "Failure";
  readonly kind: FailureKind;

  /** `sentence`: with the fix. */
  constructor(kind: FailureKind, sentence: string, options?: ErrorOptions) {
    super(sentence, options);
    this.kind = kind;
  }
}

export function failureOf(error: unknown): FailureKind {
  return error instanceof Failure ? error.kind : "other";
}

/** For `catch`: the same error as a failure of this kind, where it is none yet. */
export function as(kind: FailureKind): (error: unknown) => never {
  return (error) => {
    if (error instanceof Failure) throw error;
    throw new Failure(kind, error instanceof Error ? error.message : String(error), { cause: error });
  };
}
