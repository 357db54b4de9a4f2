/** Tables for people on stderr, one JSON object for programs as the last line of stdout, and the exit code of a failure. */

import { cpus } from "node:os";
import type { Peaks } from "./job.ts";
import { StageError } from "./stage_error.ts";

/** A Markdown table. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = heads.map((head, at) => Math.max(head.length, ...rows.map((row) => row[at]!.length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, at) => cell.padEnd(widths[at]!)).join(" | ")} |`;
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`;
  return [line(heads), rule, ...rows.map(line)].join("\n");
}

export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

export function number(value: number | undefined, digits = 2): string {
  if (value === undefined) return "";
  return value >= 1000 ? value.toFixed(0) : value.toFixed(digits);
}

export function percent(value: number | undefined): string {
  return value === undefined ? "" : `${value.toFixed(0)} %`;
}

export function peaksInWords(runtime: string, peaks: Peaks): string {
  const { adapter, fmaGflops, copyGbPerSecond, dispatchMs, submitMs, usesTimestamps } = peaks;
  const rates = `${number(fmaGflops)} GFLOP/s of multiply-adds in registers, ${number(copyGbPerSecond)} GB/s copied`;
  // No device behind a queue.
  if (submitMs === 0) return `${runtime}, ${adapter}: ${rates}, one thread.`;
  const clock = usesTimestamps ? "the device's timestamps" : "the host's clock";
  return `${runtime}, ${adapter}: ${rates} by a kernel, ${number(1000 * dispatchMs, 1)} us a dispatch, ${number(1000 * submitMs, 0)} us a submit; timed by ${clock}.`;
}

export function machine(): { readonly date: string; readonly processor: string; readonly processors: number } {
  const all = cpus();
  return { date: new Date().toISOString(), processor: all[0]?.model ?? "unknown", processors: all.length };
}

/** Runs a benchmark's main function; expected failures are one sentence. */
export async function run(main: () => Promise<object>, json: boolean): Promise<void> {
  try {
    const report = await main();
    if (json) process.stdout.write(`${JSON.stringify(report)}\n`);
  } catch (error) {
    if (error instanceof UsageError) {
      say(error.message);
      process.exitCode = 2;
      return;
    }
    if (!(error instanceof StageError)) throw error;
    say(error.message);
    process.exitCode = 1;
  }
}

export class UsageError extends Error {
  override readonly name = "UsageError";
}
