/** `drove doctor`: does this machine have what a run needs? With `--install` it gets a browser where there is none. */

import type { Command } from "commander";
import { readConfig } from "../run_config.ts";
import { FIELDS } from "../run_fields.ts";
import { runChecks, type Check } from "./doctor_checks.ts";
import { EXIT, EXIT_CODES_HELP, type ExitCode } from "./exit_codes.ts";
import { JSON_FLAG, Output } from "./output.ts";
import { placeOfRun, RUN_FILE } from "./run_file.ts";

interface DoctorOptions {
  readonly install?: boolean;
  readonly config?: string;
  readonly port?: string;
  readonly runsFolder?: string;
  readonly json?: boolean;
}

export function addDoctor(program: Command, done: (exitCode: ExitCode) => void): void {
  program
    .command("doctor")
    .description("checks whether this machine has what a run needs, and the run file, where there is one")
    .option("--config <FILE>", `run file to check (default: ${RUN_FILE}, where there is one)`)
    .option("--install", "install a browser if there is none")
    .option("--port <N>", `the port to look at (default: the run file's, or ${FIELDS.port.initial})`)
    .option("--runs-folder <FOLDER>", `where runs are kept (default: the run file's, or ${FIELDS.runsFolder.initial})`)
    .option(...JSON_FLAG)
    .addHelpText("after", `\nExample:\n  drove doctor --install\n${EXIT_CODES_HELP}`)
    .action(async (options: DoctorOptions) => done(await doctor(options)));
}

async function doctor(options: DoctorOptions): Promise<ExitCode> {
  const output = new Output(options.json ?? false);
  const { path, ...place } = await placeOfRun(options);
  const { port } = readConfig({ flags: { port: options.port ?? place.port } });
  const { runsFolder } = place;
  const onStep = (sentence: string): void => output.note(sentence);
  const install = options.install ?? false;
  const checks = await runChecks({ install, port, runsFolder, runFile: path, onStep });
  const isOk = checks.every((check) => check.isOk || !check.isRequired);
  const found = checks.map((check) => ({
    name: check.name,
    ok: check.isOk,
    required: check.isRequired,
    detail: check.detail,
  }));
  output.result({ ok: isOk, checks: found }, [
    ...checks.map((check) => `${verdictOf(check)}  ${check.name}: ${check.detail}`),
    isOk ? "This machine can run Drove." : "Something that a run needs is missing; see above.",
  ]);
  return isOk ? EXIT.ok : EXIT.failed;
}

function verdictOf({ isOk, isRequired }: Check): string {
  if (isOk) return "ok     ";
  return isRequired ? "MISSING" : "hint   ";
}
