/**
 * A run's folder as exports see it: its settings, its center, and what is known of how it went. Reads only, and reads a folder that a
 * coordinator is writing as well as one that is finished, or older than some of the files.
 */

import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { createInterface } from "node:readline/promises";
import type { Normalisation } from "../../shared/engine/plan.ts";
import { layoutOf, type ParameterLayout } from "../../shared/model/layout.ts";
import type { ModelDescription } from "../../shared/model/model.ts";
import { RunReplay } from "../../shared/run_replay.ts";
import { readRunSettings, type RunSettings } from "../../shared/run_settings.ts";
import type { RunView } from "../../shared/run_view.ts";
import type { Dataset } from "../data/dataset.ts";
import { DataError } from "../data/idx.ts";
import { loadDataset } from "../data/library.ts";
import { modelOf, readConfig, type RunConfig } from "../run_config.ts";
import { readRunRecord, type RunRecord } from "../run_record.ts";
import type { RunResult } from "../run_result.ts";
import { readCheckpoint } from "../store/checkpoint.ts";
import { isMissing } from "../store/durable_file.ts";
import { ExportError } from "./formats.ts";

export interface Center {
  readonly version: number;
  /** In the layout's order, gaps included. */
  readonly parameters: Float32Array<ArrayBuffer>;
}

interface RunStory {
  /** As volunteers got them; undefined where the run has no event log. */
  readonly settings: RunSettings | undefined;
  /** As an operator saw it last; undefined where the run has no event log. */
  readonly view: RunView | undefined;
  /** Of a run that ended; older versions lack some fields. */
  readonly result: Partial<RunResult> | undefined;
  /** Of the checkpoint. */
  readonly record: RunRecord | undefined;
}

export interface SourceRun extends RunStory {
  readonly name: string;
  readonly folder: string;
  readonly config: RunConfig;
  readonly model: ModelDescription;
  readonly layout: ParameterLayout;
  readonly center: Center;
  readonly incarnation: number;
}

/** `center` in the place of the checkpoint's, where it is newer. Throws an `ExportError` or `StoreError` with the way out. */
export async function openRun(folder: string, center?: Center): Promise<SourceRun> {
  const config = await readSettings(folder);
  const model = modelOf(config);
  const layout = layoutOf(model);
  const checkpoint = await readCheckpoint(folder, layout);
  const newest = center && center.version >= (checkpoint?.version ?? 0) ? center : checkpoint;
  if (!newest) {
    throw new ExportError(`${folder} holds no checkpoint yet; wait until the run has begun, a second or so.`);
  }
  const story = await storyOf(folder, checkpoint?.state);
  return {
    name: basename(folder),
    folder,
    config,
    model,
    layout,
    center: { version: newest.version, parameters: newest.parameters },
    incarnation: story.view?.incarnation ?? story.result?.incarnation ?? 1,
    ...story,
  };
}

export function eventsPath(folder: string): string {
  return join(folder, "events.jsonl");
}

export function ledgerPath(folder: string): string {
  return join(folder, "ledger.jsonl");
}

/** The lines of a file, without holding them all; none where there is no such file. */
export async function* linesOf(path: string): AsyncGenerator<string> {
  if (!(await isThere(path))) return;
  yield* createInterface({ input: createReadStream(path), crlfDelay: Infinity });
}

/** With which the center was trained: the run's own word, or else that of its data. */
export async function normalisationOf({ settings, config }: SourceRun, dataRoot: string): Promise<Normalisation> {
  return settings?.data.normalisation ?? (await loadDataset(dataRoot, config.data)).normalisation;
}

/** Undefined where the data are not on this machine. */
export async function datasetOf({ config }: SourceRun, dataRoot: string): Promise<Dataset | undefined> {
  return loadDataset(dataRoot, config.data).catch((error: unknown) => {
    if (error instanceof DataError) return undefined;
    throw error;
  });
}

async function readSettings(folder: string): Promise<RunConfig> {
  const path = join(folder, "run.json");
  const value = await readJson(path);
  if (value === undefined) throw new ExportError(`${folder} is no run: it holds no run.json; name the folder of one.`);
  return readConfig({ file: { path, value } });
}

async function storyOf(folder: string, state: unknown): Promise<RunStory> {
  const replay = new RunReplay({ keepsViews: false });
  for await (const line of linesOf(eventsPath(folder))) replay.add(line);
  const record = state === undefined ? undefined : readRunRecord(state);
  const settings = replay.settings && readRunSettings(replay.settings);
  return {
    settings: settings && "problem" in settings ? undefined : settings,
    view: replay.events === 0 ? undefined : replay.viewAfter(replay.events - 1),
    // We wrote it; what an older version left out is looked for elsewhere.
    result: (await readJson(join(folder, "result.json"))) as Partial<RunResult> | undefined,
    record: record && "problem" in record ? undefined : record,
  };
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, "utf8")) as unknown;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw new ExportError(`${path} cannot be read (${(error as Error).message}); restore it from a backup.`);
  }
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
