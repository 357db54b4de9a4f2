/** Where imported data sets lie, as the commands of `drove data` are told: what the flag says, else the run file, else `runs`. */

import type { Command } from "commander";
import { dataRoot } from "./places.ts";
import { addRunFileFlag, placeOfRun, type PlaceOptions } from "./run_file.ts";

export interface DataOptions extends PlaceOptions {
  readonly json?: boolean;
}

export function addRootFlags(command: Command): Command {
  return addRunFileFlag(command.option("--runs-folder <FOLDER>", "the folder of runs that the data is for"));
}

export async function rootOf(options: DataOptions): Promise<string> {
  return dataRoot((await placeOfRun(options)).runsFolder);
}
