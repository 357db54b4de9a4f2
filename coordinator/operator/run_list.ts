/**
 * The runs of a runs folder, each with what its files tell: the run file what it is, the result how it ended, the lock whether a
 * coordinator has it, the newest checkpoint how far it came. A folder that is no run, or a damaged one, is passed over.
 */

import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import type { RunSummary } from "../../shared/run_list.ts";
import type { RunView } from "../../shared/run_view.ts";
import { SOLVER_NAMES } from "../../shared/solver/catalogue.ts";
import { STATE_FILE } from "../store/checkpoint.ts";
import { isRunName, runFiles, runNames } from "../store/run_folder.ts";
import { isLocked } from "../store/run_lock.ts";

const amount = v.pipe(v.number(), v.finite());

const runFileSchema = v.object({
  model: v.union([v.string(), v.object({ name: v.string() })]),
  data: v.string(),
  solver: v.picklist(SOLVER_NAMES),
});

const resultSchema = v.object({
  state: v.picklist(["reached", "stopped"]),
  accuracy: v.nullable(amount),
  samples: amount,
  trainingSeconds: amount,
});

const stateSchema = v.object({
  state: v.object({
    seconds: amount,
    history: v.array(v.object({ samples: amount, accuracy: amount })),
  }),
});

/** Of those in `root`, the one that was written to last first. `current`: the run of this coordinator, as it is now. */
export async function listRuns(root: string, current?: RunView): Promise<RunSummary[]> {
  const names = (await runNames(root)).filter(isRunName);
  const runs = await Promise.all(names.map((name) => summaryOf(root, name, current)));
  return runs.filter((run) => run !== undefined).toSorted((a, b) => b.at.localeCompare(a.at));
}

async function summaryOf(root: string, name: string, current: RunView | undefined): Promise<RunSummary | undefined> {
  const folder = join(root, name);
  const { settingsPath, resultPath } = runFiles(folder);
  const run = await readJson(settingsPath, runFileSchema);
  if (!run) return undefined;
  const { data, solver } = run;
  const model = typeof run.model === "string" ? run.model : run.model.name;
  const statePath = join(folder, STATE_FILE);
  const at = await newestOf([settingsPath, resultPath, statePath]);
  const told = { name, model, data, solver, at };
  if (current?.run === name) {
    const { accuracy, samples, seconds, state } = current;
    const isOver = state === "reached" || state === "stopped";
    return { ...told, state: isOver ? state : "running", accuracy, samples, seconds, isCurrent: true };
  }
  const isRunning = await isLocked(folder);
  // A run that went on after its result was written leaves a newer checkpoint, and its result behind.
  const result = isRunning ? undefined : await readJson(resultPath, resultSchema);
  if (result) {
    const { state, accuracy, samples, trainingSeconds } = result;
    return { ...told, state, accuracy, samples, seconds: trainingSeconds, isCurrent: false };
  }
  const kept = (await readJson(statePath, stateSchema))?.state;
  const last = kept?.history.at(-1);
  return {
    ...told,
    state: isRunning ? "running" : "unfinished",
    accuracy: last?.accuracy ?? null,
    samples: last?.samples ?? 0,
    seconds: kept?.seconds ?? 0,
    isCurrent: false,
  };
}

async function readJson<T>(path: string, schema: v.GenericSchema<unknown, T>): Promise<T | undefined> {
  try {
    const checked = v.safeParse(schema, JSON.parse(await readFile(path, "utf8")));
    return checked.success ? checked.output : undefined;
  } catch {
    return undefined;
  }
}

async function newestOf(paths: readonly string[]): Promise<string> {
  const times = await Promise.all(
    paths.map((path) =>
      stat(path).then(
        ({ mtimeMs }) => mtimeMs,
        () => 0,
      ),
    ),
  );
  return new Date(Math.max(...times)).toISOString();
}
