/**
 * The run's token: whoever has it is its operator (SPEC O1). Made when the run begins, kept in its folder for this user alone, the
 * same again when the run goes on. It is shown once, in the operator's link, and is in no log, metric or event.
 */

import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isMissing, writeError } from "../store/durable_file.ts";

export const TOKEN_FILE = "operator.token";

const TOKEN_BYTES = 24;
const TOKEN = /^[A-Za-z0-9_-]{22,100}$/;
const FOR_THIS_USER = 0o600;

/** The token of the run in `folder`; another one where the file is lost or damaged. */
export async function operatorTokenOf(folder: string): Promise<string> {
  const path = join(folder, TOKEN_FILE);
  const kept = await keptToken(path);
  if (kept !== undefined) return kept;
  const token = randomBytes(TOKEN_BYTES).toString("base64url");
  try {
    await writeFile(path, `${token}\n`, { mode: FOR_THIS_USER });
    // A file that was there keeps its mode.
    await chmod(path, FOR_THIS_USER);
  } catch (error) {
    throw writeError(path, error);
  }
  return token;
}

/** What a token file holds; undefined where there is none, or none that can be read. */
export async function keptToken(path: string): Promise<string | undefined> {
  try {
    const text = (await readFile(path, "utf8")).trim();
    return TOKEN.test(text) ? text : undefined;
  } catch (error) {
    if (isMissing(error) || (error as NodeJS.ErrnoException).code === "EACCES") return undefined;
    throw error;
  }
}

/** In a time that says nothing about how much of it was right. */
export function isSameToken(given: string, token: string): boolean {
  return timingSafeEqual(digestOf(given), digestOf(token));
}

function digestOf(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
