/**
 * What the measuring programs of this folder share: a job comes as JSON in the first argument, the result goes to stdout as
 * one JSON object, and a machine without WebGPU is a result too: `adapter` is null, and `problem` says in a sentence why.
 */

import * as v from "valibot";
import type { Random } from "../../shared/random.ts";
import { describeAdapter, featuresOf, limitsOf } from "../participation/adapter.ts";
import { sentenceOf } from "../replica/replica.ts";
import { firstLine } from "./backends.ts";
import { loadDawn } from "./dawn.ts";

/** A number of things. */
export const COUNT = v.pipe(v.number(), v.integer(), v.minValue(1));

export const SEEDS = v.pipe(v.array(v.pipe(v.number(), v.integer())), v.minLength(1));

export interface FoundAdapter {
  readonly adapter: GPUAdapter;
  readonly description: string;
  readonly isFallback: boolean;
}

/** With all that the engine makes use of. */
export function openDevice({ adapter }: FoundAdapter): Promise<GPUDevice> {
  return adapter.requestDevice({ requiredFeatures: featuresOf(adapter), requiredLimits: limitsOf(adapter) });
}

/** Does the job of the command line, prints what comes of it, and ends the process: Dawn's threads would hold it. */
export async function runProgram<J>(
  schema: v.GenericSchema<unknown, J>,
  work: (job: J, found: FoundAdapter) => Promise<object>,
): Promise<never> {
  process.stdout.write(`${JSON.stringify(await resultOf(schema, work))}\n`);
  process.exit();
}

async function resultOf<J>(
  schema: v.GenericSchema<unknown, J>,
  work: (job: J, found: FoundAdapter) => Promise<object>,
): Promise<object> {
  let job: J;
  try {
    job = v.parse(schema, JSON.parse(process.argv[2] ?? ""));
  } catch (error) {
    return nothing(`This is no job: ${sentenceOf(error)}`);
  }
  try {
    const found = await findAdapter();
    if (typeof found === "string") return nothing(found);
    const { description, isFallback } = found;
    return { adapter: { description, isFallback }, problem: null, ...(await work(job, found)) };
  } catch (error) {
    return nothing(firstLine(error));
  }
}

function nothing(problem: string): object {
  return { adapter: null, problem };
}

async function findAdapter(): Promise<FoundAdapter | string> {
  let gpu: GPU;
  try {
    gpu = await loadDawn();
  } catch (error) {
    return `The package webgpu cannot be loaded on this machine (${firstLine(error)}).`;
  }
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  return adapter ? { adapter, ...describeAdapter(adapter.info) } : "Dawn finds no graphics adapter on this machine.";
}

/** The middle one; of an even number the lower of both in the middle. */
export function medianOf(values: readonly number[]): number {
  const median = values.toSorted((one, other) => one - other)[Math.floor((values.length - 1) / 2)];
  if (median === undefined) throw new Error("invariant violation: the median of nothing");
  return median;
}

/** In an order of the generator's. */
export function shuffled<T>(values: readonly T[], random: Random): T[] {
  const order = Uint32Array.from(values, (_, index) => index);
  random.shuffle(order);
  return [...order].flatMap((index) => values[index] ?? []);
}
