/**
 * Everything that the operator's addresses offer (`server/operator_routes.ts`), put together for one run: its orders, the runs of its
 * folder, their events, and what can be taken home.
 */

import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { Run } from "../run.ts";
import type { Exported, OperatorPort } from "../server/operator_routes.ts";
import { isRunName, runFiles } from "../store/run_folder.ts";
import type { Control } from "./control.ts";
import { listRuns } from "./run_list.ts";

export interface DeskOptions {
  readonly token: string;
  readonly run: Run;
  /** Where all runs lie. */
  readonly runsFolder: string;
  readonly control: Control;
  readonly export: (format: string) => Promise<Exported>;
}

export function operatorDesk({ token, run, runsFolder, control, export: exportAs }: DeskOptions): OperatorPort {
  return {
    token,
    obey: (request) => control.obey(request),
    runs: () => listRuns(runsFolder, run.view()),
    eventsOf: (name) => eventsOf(runsFolder, name),
    export: exportAs,
  };
}

/** A name is one folder in `runsFolder`, whatever it says. */
async function eventsOf(runsFolder: string, name: string): ReturnType<OperatorPort["eventsOf"]> {
  if (!isRunName(name)) return undefined;
  const path = runFiles(join(runsFolder, name)).eventsPath;
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() === true ? { path, bytes: found.size } : undefined;
}
