/**
 * A folder that appears whole or not at all: what goes into it is written beside it, on the same disk, and takes its place
 * at the end. So no reader ever finds half of a data set, whatever is killed when.
 */

import { mkdir, mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { DataError } from "./idx.ts";

/** Nobody writes for that long: what is older was left by a process that was killed. */
const ABANDONED_MS = 24 * 3_600_000;

/** Lets `fill` write into an empty folder, which then is `folder`, instead of one that was there. `aside` takes what is not kept. */
export async function fillFolder<T>(
  folder: string,
  fill: (made: string, aside: string) => Promise<T>,
  fix: string,
): Promise<T> {
  const outer = await openBeside(folder, fix);
  try {
    const [made, aside] = [join(outer, "made"), join(outer, "aside")];
    await Promise.all([mkdir(made), mkdir(aside)]);
    const result = await fill(made, aside);
    await putInPlace(made, folder);
    return result;
  } finally {
    await rm(outer, { recursive: true, force: true });
  }
}

export async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** A new folder beside the target, without what killed processes left. */
async function openBeside(folder: string, fix: string): Promise<string> {
  const [root, prefix] = [dirname(folder), `.${basename(folder)}.`];
  try {
    await mkdir(root, { recursive: true });
    for (const name of await readdir(root)) {
      if (!name.startsWith(prefix)) continue;
      const { mtimeMs } = await stat(join(root, name));
      if (Date.now() - mtimeMs > ABANDONED_MS) await rm(join(root, name), { recursive: true, force: true });
    }
    return await mkdtemp(join(root, prefix));
  } catch (error) {
    throw new DataError(`${root} cannot be written (${(error as Error).message}); ${fix}.`);
  }
}

async function putInPlace(made: string, folder: string): Promise<void> {
  // Moved away rather than removed: at no time does a reader find half of it.
  if (await isThere(folder)) await rename(folder, join(dirname(made), "former"));
  await rename(made, folder).catch(async (error: unknown) => {
    // Somebody else who did the same at the same time was first.
    if (!(await isThere(folder))) throw error;
  });
}
