/**
 * How a command ends: with one of four exit codes, and where it fails, with one sentence on stderr. Failures that the
 * environment or the user caused have sentences of their own; everything else is our bug and shows its stack.
 */

import { BrowserError } from "../browser/find.ts";
import { EvaluationError } from "../evaluation/wasm_sources.ts";
import { ExportError } from "../export/formats.ts";
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
  /** Ctrl-C before a command was done that has no other end; as shells have it, 128 + SIGINT. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export const EXIT_CODES_HELP =
  "\nExit codes: 0 done (target reached, if there was one) · 1 failed or target not reached · 2 wrong usage or config · 130 interrupted before it was done";

/** A failure of the environment that a command found; the message is one sentence with the fix. */
export class CommandError extends Error {
  override readonly name = "CommandError";
}

/** Somebody ended the command before it was done. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
}

export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof Interrupted) return EXIT.interrupted;
  return error instanceof ConfigError ? EXIT.usage : EXIT.failed;
}

/** The sentence of an expected failure, the whole stack of a bug. */
export function describeFailure(error: unknown): string {
  const expected = [
    ConfigError,
    CommandError,
    Interrupted,
    BrowserError,
    DataError,
    StoreError,
    ExportError,
    EvaluationError,
    ClientBuildError,
    ModelError,
    WebRtcError,
  ];
  if (expected.some((kind) => error instanceof kind)) return (error as Error).message;
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return `Drove failed where it should not; please report this:\n${stack}`;
}
