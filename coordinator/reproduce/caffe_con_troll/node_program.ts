/**
 * Starts a measuring program of `client/node/` with a job, in the surroundings in which Node finds the best adapter. A program
 * of its own, since Vulkan looks around only once in a process and a driver may take its process with it.
 */

import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import * as v from "valibot";
import { NODE_CLIENT } from "../../cli/places.ts";
import { findNodeAdapter, type NodeAdapter } from "../../node/adapter.ts";
import { OutOfTime } from "../pool.ts";

export interface ProgramRequest<T> {
  /** A file of `client/node/`. */
  readonly program: "lowerings.ts" | "hybrid_speeds.ts";
  readonly job: object;
  /** Of the result for one seed. */
  readonly seedSchema: v.GenericSchema<unknown, T>;
  /** An adapter in software computes on one core, and leaves the others to the program itself. */
  readonly onOneCore?: boolean;
  readonly secondsLeft: number;
}

/** For each seed of the job what was measured; or why nothing was, in a sentence. */
export type ProgramAnswer<T> =
  | { readonly adapter: string; readonly isSoftware: boolean; readonly seeds: readonly T[] }
  | { readonly problem: string };

/** SwiftShader reads this file in the folder in which a process starts. */
const SWIFTSHADER_FILE = "SwiftShader.ini";
const SWIFTSHADER_ON_ONE_CORE = "[Processor]\nThreadCount=1\n";
/** The same for Mesa's software. */
const MESA_ON_ONE_CORE = { LP_NUM_THREADS: "1" };

let looking: Promise<NodeAdapter> | undefined;

export async function askProgram<T>(request: ProgramRequest<T>): Promise<ProgramAnswer<T>> {
  looking ??= findNodeAdapter(join(NODE_CLIENT, "probe.ts"));
  const found = await looking;
  if (found.problem !== undefined) {
    return { problem: `The package webgpu cannot be loaded on this machine (${found.problem}).` };
  }
  if (found.adapter === undefined) return { problem: "Node finds no graphics adapter on this machine." };
  const folder = await mkdtemp(join(tmpdir(), "drove-program-"));
  try {
    if (request.onOneCore ?? false) await writeFile(join(folder, SWIFTSHADER_FILE), SWIFTSHADER_ON_ONE_CORE);
    return answerOf(await run(request, found, folder), request.seedSchema);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function run<T>(
  { program, job, onOneCore = false, secondsLeft }: ProgramRequest<T>,
  { environment }: NodeAdapter,
  cwd: string,
): Promise<string> {
  const timeout = Math.max(1, Math.ceil(1000 * secondsLeft));
  const env = { ...process.env, ...environment, ...(onOneCore ? MESA_ON_ONE_CORE : {}) };
  try {
    const flags = [join(NODE_CLIENT, program), JSON.stringify(job)];
    return (await promisify(execFile)(process.execPath, flags, { cwd, env, timeout, killSignal: "SIGKILL" })).stdout;
  } catch (error) {
    if ((error as { killed?: boolean }).killed) throw new OutOfTime("The reproduction's time is over.");
    // Dawn says on stderr what it looked for and did not find; the last line is what ended the program.
    const lastWords = (error as { stderr?: string }).stderr?.trim().split("\n").at(-1) ?? String(error);
    return JSON.stringify({ adapter: null, problem: `${program} ended before its result: ${lastWords}` });
  }
}

function answerOf<T>(stdout: string, seedSchema: v.GenericSchema<unknown, T>): ProgramAnswer<T> {
  const schema = v.union([
    v.object({ adapter: v.null(), problem: v.string() }),
    v.object({
      adapter: v.object({ description: v.string(), isFallback: v.boolean() }),
      problem: v.null(),
      seeds: v.array(seedSchema),
    }),
  ]);
  const answer = v.parse(schema, JSON.parse(stdout));
  if (answer.adapter === null) return { problem: answer.problem };
  const { description, isFallback } = answer.adapter;
  return { adapter: description, isSoftware: isFallback, seeds: answer.seeds };
}
