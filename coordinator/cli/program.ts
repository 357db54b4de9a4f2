/** The command line as a program: one file per command, put together here, and its failures as sentences and exit codes. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Command, CommanderError } from "commander";
import { addAutotune } from "./autotune.ts";
import { addBench } from "./bench.ts";
import { addData } from "./data.ts";
import { addDoctor } from "./doctor.ts";
import { addEval } from "./eval.ts";
import { describeFailure, EXIT, EXIT_CODES_HELP, exitCodeOf, type ExitCode } from "./exit_codes.ts";
import { addExport } from "./export.ts";
import { addJoin } from "./join.ts";
import { addModel } from "./model.ts";
import { addNew } from "./new.ts";
import { Output } from "./output.ts";
import { CHECKOUT } from "./places.ts";
import { addReplay } from "./replay.ts";
import { addReproduce } from "./reproduce.ts";
import { addRuns } from "./runs.ts";
import { addServe } from "./serve.ts";
import { addSimulate } from "./simulate.ts";
import { addStatus } from "./status.ts";
import { addTrain } from "./train.ts";
import { usageSentence } from "./usage.ts";

const EXAMPLE = "\nExample:\n  drove train --model lenet --data mnist --target-accuracy 0.98 --volunteers 2\n";

/** Runs one command line (without `node drove.ts`) and gives its exit code. */
export async function runCommandLine(argumentsGiven: readonly string[]): Promise<ExitCode> {
  const output = new Output(argumentsGiven.includes("--json"));
  let exitCode: ExitCode = EXIT.ok;
  let complaint = "";
  const program = new Command("drove")
    .description("Anyone who opens a link trains a neural network on their own GPU, asynchronously, together.")
    .version(versionOf(), "-V, --version")
    .enablePositionalOptions()
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({
      outputError: (text) => {
        complaint += text;
      },
    })
    .addHelpText("after", EXAMPLE + EXIT_CODES_HELP);
  const done = (code: ExitCode): void => {
    exitCode = code;
  };
  for (const add of [
    addNew,
    addTrain,
    addServe,
    addJoin,
    addStatus,
    addRuns,
    addDoctor,
    addBench,
    addData,
    addModel,
    addEval,
    addExport,
    addReplay,
    addSimulate,
    addAutotune,
    addReproduce,
  ])
    add(program, done);
  try {
    await program.parseAsync([...argumentsGiven], { from: "user" });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return EXIT.ok;
      // Without any command commander has shown the help already.
      if (complaint === "") return EXIT.usage;
      return fail(output, usageSentence(complaint, argumentsGiven), EXIT.usage);
    }
    return fail(output, describeFailure(error), exitCodeOf(error));
  }
}

function fail(output: Output, sentence: string, exitCode: ExitCode): ExitCode {
  output.note(`drove: ${sentence}`);
  if (output.isJson) output.result({ error: sentence, exitCode }, []);
  return exitCode;
}

function versionOf(): string {
  const { version } = JSON.parse(readFileSync(join(CHECKOUT, "package.json"), "utf8")) as { version: string };
  return version;
}
