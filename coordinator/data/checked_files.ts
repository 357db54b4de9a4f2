/**
 * Files that are what they were: their lengths and sha256, and a cheap way to ask again. Once files were found right, a note
 * beside them says how long and how old they were then; as long as both stay, nothing is read to check them.
 */

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import * as v from "valibot";

export const fileSumSchema = v.strictObject({
  /** Inside the folder. */
  name: v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/)),
  bytes: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
});

export type FileSum = v.InferOutput<typeof fileSumSchema>;

const NOTE_FILE = ".checked.json";
const noteSchema = v.record(v.string(), v.object({ bytes: v.number(), mtimeMs: v.number(), sha256: v.string() }));
type Note = v.InferOutput<typeof noteSchema>;

export async function sumsOf(folder: string, names: readonly string[]): Promise<FileSum[]> {
  const sums: FileSum[] = [];
  for (const name of names) {
    const { size } = await stat(join(folder, name));
    sums.push({ name, bytes: size, sha256: await sha256Of(join(folder, name)) });
  }
  return sums;
}

export interface CheckOptions {
  /** Read every byte, with no look at the note, and leave none. */
  readonly isFull?: boolean;
}

/** What is wrong with the first file that is not as it was ("x.idx holds 3 bytes instead of 4"); undefined if none. */
export async function findDamage(
  folder: string,
  files: readonly FileSum[],
  { isFull = false }: CheckOptions = {},
): Promise<string | undefined> {
  const note = isFull ? {} : await readNote(folder);
  const checked: Note = {};
  let hasNews = false;
  for (const { name, bytes, sha256 } of files) {
    const found = await stat(join(folder, name)).catch(() => undefined);
    if (!found) return `${name} is missing`;
    if (found.size !== bytes) return `${name} holds ${found.size} bytes instead of ${bytes}`;
    const { mtimeMs } = found;
    const isKnown = note[name]?.sha256 === sha256 && note[name].bytes === bytes && note[name].mtimeMs === mtimeMs;
    if (!isKnown) {
      const read = await sha256Of(join(folder, name)).catch((error: NodeJS.ErrnoException) => error);
      if (typeof read !== "string") return `${name} cannot be read (${read.code ?? read.message})`;
      if (read !== sha256) return `${name} has other bytes than when it was written (its sha256 differs)`;
      hasNews = true;
    }
    checked[name] = { bytes, mtimeMs, sha256 };
  }
  // Where the folder may not be written, the next one reads again.
  if (hasNews && !isFull) await writeFile(join(folder, NOTE_FILE), JSON.stringify(checked)).catch(() => {});
  return undefined;
}

async function readNote(folder: string): Promise<Note> {
  try {
    return v.parse(noteSchema, JSON.parse(await readFile(join(folder, NOTE_FILE), "utf8")));
  } catch {
    return {};
  }
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  return hash.digest("hex");
}
