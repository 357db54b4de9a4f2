/**
 * Files that are either whole or not there: written aside, forced to disk, renamed into place, and the folder's own entry
 * forced to disk. Everything in a run's folder but the ledger goes through here.
 */

import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

/** Something in a run's folder that cannot be used or written: a sentence that names it and says what to do. */
export class StoreError extends Error {
  override readonly name = "StoreError";
}

/** Creates or replaces `path` by `parts`, one after the other. Nobody ever sees a half of it. */
export async function writeDurably(path: string, parts: readonly Uint8Array[] | string): Promise<void> {
  const aside = asideOf(path);
  await writeAside(aside, parts);
  await moveInto(aside, path);
  await syncFolder(dirname(path));
}

/** Where the new content of `path` lies until it is whole. */
export function asideOf(path: string): string {
  return `${path}.tmp`;
}

/** Writes and forces to disk; what it left of a failed write is removed, because the usual cause is a full disk. */
export async function writeAside(aside: string, parts: readonly Uint8Array[] | string): Promise<void> {
  try {
    const file = await open(aside, "w");
    try {
      for (const part of typeof parts === "string" ? [parts] : parts) await file.writeFile(part);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    await rm(aside, { force: true }).catch(() => {});
    throw writeError(aside, error);
  }
}

export async function moveInto(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    throw writeError(to, error);
  }
}

/** Makes renames in it survive a power cut. Windows has no such call and needs none (NTFS journals its folders). */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export function writeError(path: string, error: unknown): StoreError {
  const { code, message } = error as NodeJS.ErrnoException;
  const fix =
    code === "ENOSPC" || code === "EDQUOT"
      ? "the disk is full; free some space and resume the run"
      : code === "EACCES" || code === "EROFS" || code === "EPERM"
        ? "this user may not write there; choose another folder for runs"
        : "check the disk and resume the run";
  return new StoreError(`${path} cannot be written (${code ?? message}): ${fix}.`);
}

export function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "ENOENT";
}
