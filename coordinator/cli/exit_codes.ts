/**
 * How a command ends: with one of three exit codes, and where it fails, with one sentence on stderr. Failures that the
 * environment or the user caused have sentences of their own; everything else is our bug and shows its stack.
 */

import { BrowserError } from "../browser/find.ts";
import { EvaluationError } from "../evaluation/wasm_sources.ts";
import { StoreError } from "../store/durable_file.ts";
import { DataError } from "../data/idx.ts";
import { ConfigError } from "../run_config.ts";
import { ClientBuildError } from "../server/client_files.ts";
import { WebRtcError } from "../server/webrtc.ts";
import { ModelError } from "../../shared/model/model.ts";

export const EXIT = {
  /** Done; where there was a target, it was reached. */
  ok: 0,
  /** Something failed, or the target was not reached. */
  failed: 1,
  /** The command line or the run file is wrong. */
  usage: 2,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export const EXIT_CODES_HELP =
  "\nExit codes: 0 done (target reached, if there was one) · 1 failed or target not reached · 2 wrong usage or config";

/** A failure of the environment that a command found; the message is one sentence with the fix. */
export class CommandError extends Error {
  override readonly name = "CommandError";
}

export function exitCodeOf(error: unknown): ExitCode {
  return error instanceof ConfigError ? EXIT.usage : EXIT.failed;
}

/** The sentence of an expected failure, the whole stack of a bug. */
export function describeFailure(error: unknown): string {
  const expected = [
    ConfigError,
    CommandError,
    BrowserError,
    DataError,
    StoreError,
    EvaluationError,
    ClientBuildError,
    ModelError,
    WebRtcError,
  ];
  if (expected.some((kind) => error instanceof kind)) return (error as Error).message;
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return `Drove failed where it should not; please report this:\n${stack}`;
}
