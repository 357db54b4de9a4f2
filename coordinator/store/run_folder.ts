/**
 * Everything that a run leaves on disk, in one folder: `runs/<name>/`. Creates or resumes it, holds its lock, and knows
 * what the files are called; what is in them is for those who write them.
 */

import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { CHECKPOINT_FILE, STATE_FILE } from "./checkpoint.ts";
import { isMissing, StoreError, writeDurably, writeError } from "./durable_file.ts";
import { LOCK_FILE, RunLock } from "./run_lock.ts";

export interface RunFolderRequest {
  /** The folder that holds all runs. */
  readonly root: string;
  /** Without a name the first free one of `<model>-<data>-<solver>-<n>` is taken. */
  readonly name?: string;
  readonly model: string;
  readonly data: string;
  readonly solver: string;
  /** Go on with a run that exists; needs its name. */
  readonly resume: boolean;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

export function isRunName(text: string): boolean {
  return NAME.test(text);
}

/** Where a run's files lie in its folder. */
export function runFiles(folder: string) {
  return {
    settingsPath: join(folder, "run.json"),
    checkpointPath: join(folder, CHECKPOINT_FILE),
    statePath: join(folder, STATE_FILE),
    ledgerPath: join(folder, "ledger.jsonl"),
    resultPath: join(folder, "result.json"),
    eventsPath: join(folder, "events.jsonl"),
  } as const;
}

export class RunFolder {
  readonly name: string;
  readonly path: string;
  /** True where a run of this name existed and is continued. */
  readonly resumed: boolean;
  readonly settingsPath: string;
  readonly checkpointPath: string;
  readonly statePath: string;
  readonly ledgerPath: string;
  readonly resultPath: string;
  readonly eventsPath: string;
  readonly #lock: RunLock;

  private constructor(path: string, name: string, resumed: boolean, lock: RunLock) {
    this.name = name;
    this.path = path;
    this.resumed = resumed;
    const files = runFiles(path);
    this.settingsPath = files.settingsPath;
    this.checkpointPath = files.checkpointPath;
    this.statePath = files.statePath;
    this.ledgerPath = files.ledgerPath;
    this.resultPath = files.resultPath;
    this.eventsPath = files.eventsPath;
    this.#lock = lock;
  }

  static async open(request: RunFolderRequest): Promise<RunFolder> {
    const { root, resume } = request;
    await mkdir(root, { recursive: true }).catch((error: unknown) => {
      throw writeError(root, error);
    });
    if (request.name === undefined) {
      if (resume)
        throw new StoreError(`Which run shall go on? Name one of those in ${root}: ${await describeRuns(root)}.`);
      return RunFolder.#createUnnamed(root, `${request.model}-${request.data}-${request.solver}`);
    }
    const { name } = request;
    if (!isRunName(name)) {
      throw new StoreError(
        `"${name}" cannot name a run; use letters, digits, dots, dashes and underscores, at most 100.`,
      );
    }
    return resume ? RunFolder.#resume(root, name) : RunFolder.#create(root, name);
  }

  /** Replaces one of the run's JSON files; whole or not at all. */
  async writeJson(path: string, value: unknown): Promise<void> {
    await writeDurably(path, `${JSON.stringify(value, null, 2)}\n`);
  }

  /** Undefined where there is no such file yet. */
  async readJson(path: string): Promise<unknown> {
    try {
      return JSON.parse(await readFile(path, "utf8")) as unknown;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw new StoreError(`${path} cannot be read (${(error as Error).message}); restore it from a backup.`);
    }
  }

  /** Lets another coordinator have the run. */
  release(): Promise<void> {
    return this.#lock.release();
  }

  static async #createUnnamed(root: string, prefix: string): Promise<RunFolder> {
    for (let n = 1; ; n++) {
      const name = `${prefix}-${n}`;
      // Making a folder succeeds for one of several that try at once.
      if (await makeFolder(join(root, name))) return RunFolder.#locked(root, name, false);
    }
  }

  static async #create(root: string, name: string): Promise<RunFolder> {
    const path = join(root, name);
    if (!(await makeFolder(path)) && !(await isEmpty(path))) {
      throw new StoreError(
        `There is already a run named "${name}" in ${root}; go on with it by --resume, or choose another name.`,
      );
    }
    return RunFolder.#locked(root, name, false);
  }

  static async #resume(root: string, name: string): Promise<RunFolder> {
    const path = join(root, name);
    const files = await readdir(path).catch(() => undefined);
    if (!files?.includes("run.json")) {
      throw new StoreError(
        `There is no run named "${name}" in ${root} to go on with; there are: ${await describeRuns(root)}.`,
      );
    }
    return RunFolder.#locked(root, name, true);
  }

  static async #locked(root: string, name: string, resumed: boolean): Promise<RunFolder> {
    const path = join(root, name);
    return new RunFolder(path, name, resumed, await RunLock.take(path));
  }
}

/** The runs in a folder, by name; for `drove status` and for sentences. */
export async function runNames(root: string): Promise<string[]> {
  const entries = await readdir(root, { withFileTypes: true }).catch(() => []);
  return entries
    .flatMap((entry) => (entry.isDirectory() && !entry.name.startsWith(".") ? [entry.name] : []))
    .toSorted();
}

async function describeRuns(root: string): Promise<string> {
  const names = await runNames(root);
  return names.length === 0 ? "none" : names.join(", ");
}

async function makeFolder(path: string): Promise<boolean> {
  try {
    await mkdir(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw writeError(path, error);
  }
}

/** A start that was killed before it wrote anything leaves at most its lock. */
async function isEmpty(path: string): Promise<boolean> {
  return (await readdir(path)).every((file) => file.startsWith(LOCK_FILE));
}
