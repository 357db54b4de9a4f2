/**
 * The winners of tuning in Node: one JSON file in the user's cache folder, or in the one that DROVE_CACHE names. Several
 * volunteers share it: a write reads what the others have written and replaces the file whole. Nothing here rejects.
 */

import { randomUUID } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import type { Winners } from "../../shared/engine/tuning.ts";

/** A few thousand shapes; the oldest go first, such as those of shaders that have changed. */
const MOST_ENTRIES = 4000;

export class FileOfWinners implements Winners {
  readonly #path: string;
  #writing: Promise<void> = Promise.resolve();

  constructor(path = pathOfWinners(process.platform, process.env, homedir())) {
    this.#path = path;
  }

  async get(key: string): Promise<string | undefined> {
    await this.#writing;
    return (await this.#read()).get(key);
  }

  set(key: string, value: string): Promise<void> {
    this.#writing = this.#writing.then(() => this.#write(key, value));
    return this.#writing;
  }

  async #write(key: string, value: string): Promise<void> {
    const part = `${this.#path}.${randomUUID()}`;
    try {
      const entries = await this.#read();
      entries.delete(key);
      entries.set(key, value);
      const kept = [...entries].slice(-MOST_ENTRIES);
      await mkdir(dirname(this.#path), { recursive: true });
      await writeFile(part, JSON.stringify(Object.fromEntries(kept)));
      await rename(part, this.#path);
    } catch {
      // A disk that is full or not ours: it is measured again.
      await rm(part, { force: true }).catch(() => {});
    }
  }

  async #read(): Promise<Map<string, string>> {
    try {
      const value = JSON.parse(await readFile(this.#path, "utf8")) as unknown;
      if (typeof value !== "object" || value === null) return new Map();
      return new Map(Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === "string"));
    } catch {
      return new Map();
    }
  }
}

/** Pure, for tests. */
export function pathOfWinners(
  platform: NodeJS.Platform,
  { DROVE_CACHE, XDG_CACHE_HOME, LOCALAPPDATA }: Readonly<Record<string, string | undefined>>,
  home: string,
): string {
  const users = platform === "win32" ? (LOCALAPPDATA ?? join(home, "AppData", "Local")) : join(home, ".cache");
  return join(DROVE_CACHE || join(XDG_CACHE_HOME || users, "drove"), "winners.json");
}
