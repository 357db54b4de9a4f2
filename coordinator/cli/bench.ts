/**
 * `drove bench NAME`: starts a benchmark of a checkout by its path, as a program of its own, and passes all flags through.
 * Installed copies have none: the peers that they measure against are development dependencies.
 */

import { spawn } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { ConfigError, listed } from "../run_config.ts";
import { CommandError, EXIT, EXIT_CODES_HELP, type ExitCode } from "./exit_codes.ts";
import { BENCH_FOLDER, CHECKOUT } from "./places.ts";

export function addBench(program: Command, done: (exitCode: ExitCode) => void): void {
  program
    .command("bench")
    .description("measures a part of Drove on this machine (in a checkout)")
    .argument("<NAME>", "which benchmark, such as center")
    .argument("[FLAGS...]", "handed to the benchmark")
    .allowUnknownOption()
    .passThroughOptions()
    .addHelpText("after", `\nExample:\n  drove bench center --json\n${EXIT_CODES_HELP}`)
    .action(async (name: string, flags: string[]) => done(await runBenchmark(name, flags)));
}

async function runBenchmark(name: string, flags: readonly string[]): Promise<ExitCode> {
  const names = await benchmarkNames();
  if (names.length === 0) {
    throw new CommandError(
      `Benchmarks come only with a checkout of the repository (${BENCH_FOLDER} has none); clone it and run \`npm ci\` there.`,
    );
  }
  if (!names.includes(name)) throw new ConfigError(`There is no benchmark "${name}"; accepted is ${listed(names)}.`);
  const child = spawn(process.execPath, [join(BENCH_FOLDER, `${name}.ts`), ...flags], {
    cwd: CHECKOUT,
    stdio: "inherit",
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve(code === 0 ? EXIT.ok : code === EXIT.usage ? EXIT.usage : EXIT.failed));
  });
}

/** Every program of the folder; helpers lie in folders below it. */
async function benchmarkNames(): Promise<string[]> {
  const files = await readdir(BENCH_FOLDER).catch(() => []);
  return files.filter((file) => file.endsWith(".ts")).map((file) => file.slice(0, -".ts".length));
}
