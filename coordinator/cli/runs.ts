/** `drove runs`: the runs of a runs folder, the one that was written to last first. */

import type { Command } from "commander";
import type { RunSummary } from "../../shared/run_list.ts";
import { listRuns } from "../operator/run_list.ts";
import { EXIT, EXIT_CODES_HELP, type ExitCode } from "./exit_codes.ts";
import { JSON_FLAG, Output, percent, tableLines, thousands } from "./output.ts";
import { addRunFileFlag, placeOfRun, type PlaceOptions } from "./run_file.ts";

interface RunsOptions extends PlaceOptions {
  readonly json?: boolean;
}

const HEAD = ["run", "model", "data", "solver", "state", "accuracy", "samples", "trained", "last written"];

export function addRuns(program: Command, done: (exitCode: ExitCode) => void): void {
  const command = program.command("runs").description("lists the runs of this machine's runs folder");
  addRunFileFlag(command)
    .option("--runs-folder <FOLDER>", "where runs are kept, one folder each")
    .option(...JSON_FLAG)
    .addHelpText("after", `\nExample:\n  drove runs --runs-folder runs\n${EXIT_CODES_HELP}`)
    .action(async (options: RunsOptions) => {
      const { runsFolder } = await placeOfRun(options);
      const runs = await listRuns(runsFolder);
      new Output(options.json ?? false).result({ runsFolder, runs }, describe(runs, runsFolder));
      done(EXIT.ok);
    });
}

function describe(runs: readonly RunSummary[], runsFolder: string): string[] {
  if (runs.length === 0)
    return [`There are no runs in ${runsFolder}; begin one with \`drove train\` or \`drove serve\`.`];
  return tableLines([HEAD, ...runs.map(rowOf)]);
}

function rowOf({ name, model, data, solver, state, accuracy, samples, seconds, at }: RunSummary): string[] {
  const when = at.replace("T", " ").replace(/:\d\d\.\d+Z$/, " UTC");
  return [name, model, data, solver, state, percent(accuracy), thousands(samples), `${thousands(seconds)} s`, when];
}
