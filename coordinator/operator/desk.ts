/**
 * Everything that the operator's addresses offer (`server/operator_routes.ts`), put together for one run: its orders, the runs of its
 * folder, their events, and what can be taken home.
 */

import { stat } from "node:fs/promises";
import { join } from "node:path";
import { exportAside } from "../export/export_aside.ts";
import type { ExportRequest } from "../export/export_of.ts";
import { EXPORT_FORMATS, ExportError, isExportFormat } from "../export/formats.ts";
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
  /** The run as it is at this moment, to be taken home. */
  readonly toExport: () => ExportRequest;
}

export function operatorDesk({ token, run, runsFolder, control, toExport }: DeskOptions): OperatorPort {
  return {
    token,
    obey: (request) => control.obey(request),
    runs: () => listRuns(runsFolder, run.view()),
    eventsOf: (name) => eventsOfRun(runsFolder, name),
    export: (format) => exportedAs(format, toExport),
  };
}

export async function exportedAs(format: string, toExport: () => ExportRequest): Promise<Exported> {
  if (!isExportFormat(format)) {
    return { status: 404, problem: `There is no export as "${format}"; accepted is ${EXPORT_FORMATS.join(", ")}.` };
  }
  try {
    return { status: 200, file: await exportAside(format, toExport()) };
  } catch (error) {
    if (error instanceof ExportError) return { status: 409, problem: error.message };
    throw error;
  }
}

/** A name is one folder in `runsFolder`, whatever it says. */
export async function eventsOfRun(runsFolder: string, name: string): ReturnType<OperatorPort["eventsOf"]> {
  if (!isRunName(name)) return undefined;
  const path = runFiles(join(runsFolder, name)).eventsPath;
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() === true ? { path, bytes: found.size } : undefined;
}
