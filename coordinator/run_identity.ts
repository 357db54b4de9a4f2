/**
 * What makes a run the same run after a restart: its incarnation, one higher with each start (SPEC H6), and the secret
 * that proves replicas to it (SPEC H5). In the run's folder, on disk before anybody connects.
 */

import { randomBytes } from "node:crypto";
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { StoreError } from "./store/durable_file.ts";
import type { RunFolder } from "./store/run_folder.ts";

const SECRET_BYTES = 32;

const schema = v.object({
  incarnation: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  secret: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
});

export interface RunIdentity {
  readonly incarnation: number;
  readonly secret: Uint8Array;
}

/** The identity of this start of the run. */
export async function nextIdentity(folder: RunFolder): Promise<RunIdentity> {
  const path = join(folder.path, "identity.json");
  const earlier = folder.resumed ? readIdentity(await folder.readJson(path), path) : undefined;
  const incarnation = (earlier?.incarnation ?? 0) + 1;
  const secret = earlier?.secret ?? randomBytes(SECRET_BYTES).toString("hex");
  await folder.writeJson(path, { incarnation, secret });
  // Whoever reads the secret can pass for any replica.
  await chmod(path, 0o600);
  return { incarnation, secret: Buffer.from(secret, "hex") };
}

function readIdentity(value: unknown, path: string): v.InferOutput<typeof schema> {
  const checked = v.safeParse(schema, value);
  if (checked.success) return checked.output;
  throw new StoreError(`${path} is missing or damaged; restore it from a backup, or start a new run.`);
}
