/**
 * One coordinator per run folder: a lock file that names its process. A process that is gone, killed or rebooted away
 * leaves a stale lock, which the next one takes over; a process that merely got the same number is told apart where the
 * system can (Linux: boot and start time).
 */

import { link, readFile, rename, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import * as v from "valibot";
import { isMissing, StoreError, writeError } from "./durable_file.ts";

export const LOCK_FILE = "lock";

const holderSchema = v.object({ pid: v.number(), host: v.string(), birth: v.string() });
type Holder = v.InferOutput<typeof holderSchema>;

export class RunLock {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /** Throws a sentence if a living process holds it. */
  static async take(folder: string): Promise<RunLock> {
    const path = join(folder, LOCK_FILE);
    const own: Holder = { pid: process.pid, host: hostname(), birth: await birthOf(process.pid) };
    const aside = `${path}.${process.pid}`;
    try {
      await writeFile(aside, JSON.stringify(own));
      // Twice: the second time after a stale lock was removed.
      if ((await tryLink(aside, path)) || ((await removeStale(path)) && (await tryLink(aside, path))))
        return new RunLock(path);
    } catch (error) {
      throw error instanceof StoreError ? error : writeError(path, error);
    } finally {
      await rm(aside, { force: true });
    }
    throw new StoreError(
      `Another coordinator is just starting the run in ${folder}; wait for it, or choose another name.`,
    );
  }

  async release(): Promise<void> {
    await rm(this.#path, { force: true });
  }
}

/** Whether a living coordinator has the run in `folder`. */
export async function isLocked(folder: string): Promise<boolean> {
  const holder = await readHolder(join(folder, LOCK_FILE));
  return holder !== undefined && holder !== "torn" && (await lives(holder));
}

/** A hard link appears whole and only if there is none. */
async function tryLink(aside: string, path: string): Promise<boolean> {
  try {
    await link(aside, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** True when the lock is gone; throws where its holder lives. */
async function removeStale(path: string): Promise<boolean> {
  const seen = await readHolder(path);
  if (seen === undefined) return true;
  if (seen !== "torn" && (await lives(seen))) {
    throw new StoreError(
      `Process ${seen.pid} on ${seen.host} is running this run (${path}); stop it first, or choose another name. If it surely is not, remove that file.`,
    );
  }
  // Moved, then looked at again: another starter may have replaced the stale lock by its own since it was read.
  const moved = `${path}.stale.${process.pid}`;
  await rename(path, moved).catch((error: unknown) => {
    if (!isMissing(error)) throw error;
  });
  const got = await readHolder(moved);
  const same = got === undefined || JSON.stringify(got) === JSON.stringify(seen);
  if (!same) await tryLink(moved, path);
  await rm(moved, { force: true });
  return same;
}

async function readHolder(path: string): Promise<Holder | "torn" | undefined> {
  try {
    return v.parse(holderSchema, JSON.parse(await readFile(path, "utf8")));
  } catch (error) {
    return isMissing(error) ? undefined : "torn";
  }
}

async function lives(holder: Holder): Promise<boolean> {
  // Another machine's processes cannot be seen from here: better refuse than have two write one run.
  if (holder.host !== hostname()) return true;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    // EPERM: it lives and belongs to somebody else.
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  const birth = await birthOf(holder.pid);
  return birth === "" || holder.birth === "" || birth === holder.birth;
}

/** Boot and start time of a process; empty where the system does not tell. In a container pids repeat with each start. */
async function birthOf(pid: number): Promise<string> {
  try {
    const boot = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    // Field 22, counted behind the name, which is in brackets and may hold anything.
    return `${boot}:${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]}`;
  } catch {
    return "";
  }
}
