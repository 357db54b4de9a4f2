/**
 * A run's checkpoint: the center (and the center's velocity, where the solver has one) as safetensors, and beside it the
 * run's state as JSON. The JSON names the tensors file by its SHA-256, so a crash anywhere can never pair the wrong two:
 * the reader takes the newest two files that belong together (SPEC L5).
 *
 * A write takes four renames in an order that leaves a whole pair on disk after each of them; the crash test in
 * `test/null/store_checkpoint.test.ts` looks at every one.
 */

import { createHash } from "node:crypto";
import { readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as v from "valibot";
import type { ParameterLayout } from "../../shared/model/layout.ts";
import { asideOf, isMissing, moveInto, StoreError, syncFolder, writeAside, writeError } from "./durable_file.ts";
import { encodeSafetensors, parseSafetensors, type NamedTensor, type TensorFile } from "./safetensors.ts";

export const CHECKPOINT_FILE = "checkpoint.safetensors";
export const STATE_FILE = "state.json";

const FORMAT = 1;
const VELOCITY_PREFIX = "velocity.";

export interface Snapshot {
  /** Completed applies (SPEC X7); a checkpoint with a higher version is newer. */
  readonly version: number;
  /** Vectors of the layout's elements. The gaps between tensors are zero and are not written. */
  readonly parameters: Float32Array<ArrayBuffer>;
  readonly velocity: Float32Array<ArrayBuffer> | null;
  /** Whatever the run wants back; plain JSON. */
  readonly state: object;
}

export interface Checkpoint extends Omit<Snapshot, "state"> {
  /** As it was written; whoever wrote it checks it. */
  readonly state: unknown;
}

const stateSchema = v.object({
  format: v.literal(FORMAT),
  version: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  layoutHash: v.string(),
  tensorsSha256: v.string(),
  state: v.unknown(),
});
type StateFile = v.InferOutput<typeof stateSchema>;

/** Where the files of a pair can lie, newest first. */
const PLACES = [asideOf, (path: string) => path, previousOf] as const;

function previousOf(path: string): string {
  return path.replace(/\.(\w+)$/, ".previous.$1");
}

/** Writes a pair and keeps the one before it; `beforeStep` is called before each thing that changes the folder. */
export async function writeCheckpoint(
  folder: string,
  layout: ParameterLayout,
  snapshot: Snapshot,
  beforeStep: (step: string) => void = () => {},
): Promise<{ readonly bytes: number }> {
  const { version, state } = snapshot;
  const parts = encodeSafetensors(namedTensors(layout, snapshot), {
    format: `drove checkpoint ${FORMAT}`,
    version: String(version),
    layout: layout.hash,
  });
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  const stateFile: StateFile = {
    format: FORMAT,
    version,
    layoutHash: layout.hash,
    tensorsSha256: hash.digest("hex"),
    state,
  };
  const tensorsPath = join(folder, CHECKPOINT_FILE);
  const statePath = join(folder, STATE_FILE);

  beforeStep("write tensors aside");
  await writeAside(asideOf(tensorsPath), parts);
  beforeStep("write state aside");
  await writeAside(asideOf(statePath), `${JSON.stringify(stateFile, null, 2)}\n`);
  // First the pair that stands becomes the previous one, tensors before state: its state stays a partner for them throughout.
  for (const path of [tensorsPath, statePath]) {
    beforeStep(`keep ${path}`);
    await keepPrevious(path);
  }
  beforeStep("sync folder");
  await syncFolder(folder);
  for (const path of [tensorsPath, statePath]) {
    beforeStep(`replace ${path}`);
    await moveInto(asideOf(path), path);
  }
  beforeStep("sync folder again");
  await syncFolder(folder);
  return { bytes: parts.reduce((sum, part) => sum + part.byteLength, 0) };
}

/**
 * The newest whole checkpoint in `folder`; undefined where there is none at all. Throws a `StoreError` where there are
 * files but no two of them belong together, or where they belong to another model.
 */
export async function readCheckpoint(folder: string, layout: ParameterLayout): Promise<Checkpoint | undefined> {
  // Another process may be renaming while this one reads (`drove export` of a running run): then look again.
  for (let attempt = 0; ; attempt++) {
    try {
      return await readOnce(folder, layout);
    } catch (error) {
      if (attempt === 3 || !(error instanceof TornCheckpoint)) throw error;
      await sleep(50);
    }
  }
}

class TornCheckpoint extends StoreError {}

/**
 * Moves the newest whole pair to where the next write expects it. A crash may have left it partly aside, and the next
 * write's own files aside would destroy it; moving one file at a time never does, because pairs are found by content.
 */
export async function recoverCheckpoint(folder: string): Promise<void> {
  const pair = await findPair(folder);
  if (!pair) return;
  await moveInto(pair.tensorsPath, join(folder, CHECKPOINT_FILE));
  await moveInto(pair.statePath, join(folder, STATE_FILE));
  await syncFolder(folder);
}

async function readOnce(folder: string, layout: ParameterLayout): Promise<Checkpoint | undefined> {
  const pair = await findPair(folder);
  return pair && toCheckpoint(pair.state, parseSafetensors(pair.bytes, pair.tensorsPath), layout, pair.tensorsPath);
}

interface Pair {
  readonly state: StateFile;
  readonly statePath: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly tensorsPath: string;
}

async function findPair(folder: string): Promise<Pair | undefined> {
  const problems: string[] = [];
  let onlyAside = true;
  const states: { state: StateFile; statePath: string }[] = [];
  const tensorFiles = new Map<string, { tensorsPath: string; bytes: Uint8Array<ArrayBuffer> }>();
  for (const place of PLACES) {
    const tensorsPath = place(join(folder, CHECKPOINT_FILE));
    const bytes = await readIfThere(tensorsPath);
    if (bytes) tensorFiles.set(createHash("sha256").update(bytes).digest("hex"), { tensorsPath, bytes });
    const statePath = place(join(folder, STATE_FILE));
    const text = await readIfThere(statePath);
    if (place !== asideOf && (bytes || text)) onlyAside = false;
    if (!text) continue;
    const state = parseState(text);
    if (state) states.push({ state, statePath });
    else problems.push(`${statePath} is not a whole state file`);
  }
  // A stable sort: of equal versions the one in the newest place stays first.
  for (const { state, statePath } of states.toSorted((a, b) => b.state.version - a.state.version)) {
    const found = tensorFiles.get(state.tensorsSha256);
    if (found) return { state, statePath, ...found };
    problems.push(`no tensors file is the one that the state of version ${state.version} was written with`);
  }
  // Files aside alone are a first write that was cut off: there never was a checkpoint.
  if (onlyAside) return undefined;
  if (problems.length === 0) problems.push(`${STATE_FILE} is missing`);
  throw new TornCheckpoint(
    `${folder} holds no whole checkpoint (${problems.join("; ")}); copy ${CHECKPOINT_FILE} and ${STATE_FILE} of one moment back from a backup, or start a new run.`,
  );
}

function parseState(text: Uint8Array): StateFile | undefined {
  try {
    return v.parse(stateSchema, JSON.parse(Buffer.from(text).toString("utf8")));
  } catch {
    return undefined;
  }
}

async function readIfThere(path: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw new StoreError(`${path} cannot be read (${(error as NodeJS.ErrnoException).code}); check who may read it.`);
  }
}

async function keepPrevious(path: string): Promise<void> {
  try {
    await rename(path, previousOf(path));
  } catch (error) {
    // A first checkpoint has nothing to keep; nor has the first after a crash between two renames.
    if (!isMissing(error)) throw writeError(path, error);
  }
}

function namedTensors(layout: ParameterLayout, { parameters, velocity }: Snapshot): NamedTensor[] {
  const cut = (prefix: string, vector: Float32Array): NamedTensor[] => {
    if (vector.length !== layout.elements) {
      throw new Error(`invariant violation: a vector of ${vector.length} elements for a layout of ${layout.elements}`);
    }
    return layout.tensors.map(({ name, shape, offset, elements }) => ({
      name: prefix + name,
      shape,
      values: vector.subarray(offset, offset + elements),
    }));
  };
  return [...cut("", parameters), ...(velocity ? cut(VELOCITY_PREFIX, velocity) : [])];
}

function toCheckpoint(state: StateFile, tensorFile: TensorFile, layout: ParameterLayout, file: string): Checkpoint {
  if (state.layoutHash !== layout.hash || tensorFile.metadata["layout"] !== layout.hash) {
    throw new StoreError(
      `${file} belongs to another model (layout ${tensorFile.metadata["layout"] ?? "unknown"}, this run has ${layout.hash}); resume with the model that the run was started with.`,
    );
  }
  return {
    version: state.version,
    parameters: gather(tensorFile, layout, "", file),
    velocity:
      tensorFile.tensors.size > layout.tensors.length ? gather(tensorFile, layout, VELOCITY_PREFIX, file) : null,
    state: state.state,
  };
}

/** The opposite of `namedTensors`: one vector in the layout's order, gaps zero. */
function gather(
  tensorFile: TensorFile,
  layout: ParameterLayout,
  prefix: string,
  file: string,
): Float32Array<ArrayBuffer> {
  const vector = new Float32Array(layout.elements);
  const bytes = new Uint8Array(vector.buffer);
  for (const { name, elements, offset } of layout.tensors) {
    const stored = tensorFile.tensors.get(prefix + name);
    if (stored?.dtype !== "F32" || stored.bytes.length !== elements * 4) {
      throw new StoreError(
        `${file} lacks the tensor "${prefix + name}" with ${elements} elements; it is from another model.`,
      );
    }
    bytes.set(stored.bytes, offset * 4);
  }
  return vector;
}
