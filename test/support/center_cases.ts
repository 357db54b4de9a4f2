/**
 * What the tests of the center share: centers that end with their test, seeded vectors, payload bytes, and the apply of
 * one push in plain JavaScript, rounded after each operation as SPEC X5 says.
 */

import { onTestFinished } from "vitest";
import {
  Center,
  type Applier,
  type CenterOptions,
  type CenterSlot,
  type PushJob,
} from "../../coordinator/center/center.ts";
import { ApplierCore } from "../../coordinator/center/applier.ts";
import { CenterMemory, type CenterShape } from "../../coordinator/center/center_memory.ts";
import { Control } from "../../coordinator/center/control.ts";
import { compileKernels, instantiateKernels, type Kernels } from "../../coordinator/center/kernels.ts";
import { Random } from "../../shared/random.ts";

export const MAX_MAGNITUDE = 10_000;

export interface CenterCase extends Partial<Omit<CenterOptions, "layout">> {
  readonly initial: Float32Array;
  /** Running statistics follow. */
  readonly trainableElements?: number;
  readonly layout?: CenterShape;
}

export async function openCenter({ trainableElements, ...options }: CenterCase): Promise<Center> {
  const center = await Center.create({
    layout: shapeOf(options.initial.length, trainableElements),
    applier: "lock-free",
    threads: 1,
    maxMagnitude: MAX_MAGNITUDE,
    ...options,
  });
  onTestFinished(() => center.close());
  return center;
}

/** Elements without tensors: enough for every move but LARS. */
export function shapeOf(elements: number, trainableElements = elements): CenterShape {
  return { elements, trainableElements, tensors: [] };
}

export const APPLIERS: readonly Applier[] = ["lock-free", "compare-and-swap", "locked"];

/** One replica's elastic push, against a base of version 0. */
export function elasticJob(movingRate: number, changes: Partial<PushJob> = {}): PushJob {
  const move = { kind: "elastic", movingRate } as const;
  return { content: "parameters", baseVersion: 0, move, policy: { kind: "none" }, ...changes };
}

/** A difference that is added as it is. */
export function differenceJob(changes: Partial<PushJob> = {}): PushJob {
  const move = { kind: "difference", rate: 1 } as const;
  return { content: "difference", baseVersion: 0, move, policy: { kind: "none" }, ...changes };
}

/** Values in [-1, 1). */
export function vector(elements: number, seed: number): Float32Array<ArrayBuffer> {
  const random = new Random(seed);
  return new Float32Array(elements).map(() => random.uniform() * 2 - 1);
}

/** The bytes of `values`, at an odd address when asked. */
export function payloadOf(values: Float32Array, offsetBytes = 0): Uint8Array {
  const payload = new Uint8Array(values.byteLength + offsetBytes).subarray(offsetBytes);
  payload.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  return payload;
}

/** A copy of what the slot holds: the center that its replica was last answered with. */
export function heldBy(slot: CenterSlot): Float32Array<ArrayBuffer> {
  return new Float32Array(Uint8Array.from(slot.bytes()).buffer);
}

/** x = base + payload, in f32. */
export function decoded(base: Float32Array, payload: Float32Array): Float32Array<ArrayBuffer> {
  return new Float32Array(base).map((value, k) => value + payload[k]!);
}

/** The center after one elastic apply. */
export function moved(center: Float32Array, x: Float32Array, movingRate: number): Float32Array<ArrayBuffer> {
  const rate = Math.fround(movingRate);
  return new Float32Array(center).map((c, k) => c + Math.fround(rate * Math.fround(x[k]! - c)));
}

/** For comparing bit for bit, so that 0 and -0 differ and a NaN would show. */
export function bitsOf(values: Float32Array): Buffer {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength);
}

/** NaN where anything is NaN. */
export function largestError(actual: Float32Array, expected: Float64Array): number {
  return Math.max(...Array.from(actual, (value, k) => Math.abs(value - (expected[k] ?? Number.NaN))));
}

export interface SoloCore {
  readonly core: ApplierCore;
  readonly kernels: Kernels;
  readonly memory: CenterMemory;
  /** A new area with these values. */
  readonly areaOf: (values: Float32Array) => number;
  /** Copies. */
  readonly values: (area: number) => Float32Array<ArrayBuffer>;
  readonly center: () => Float32Array<ArrayBuffer>;
}

/** The applier as the simulator has it: without threads, over a memory of its own. */
export async function openCore({ initial, layout }: CenterCase): Promise<SoloCore> {
  const memory = new CenterMemory(layout ?? shapeOf(initial.length));
  const kernels = instantiateKernels(await compileKernels(), memory.memory);
  const settings = {
    layout: memory.layout,
    applier: "lock-free",
    maxMagnitude: MAX_MAGNITUDE,
    index: 0,
    threads: 1,
  } as const;
  const values = (area: number): Float32Array<ArrayBuffer> => new Float32Array(memory.values(area));
  memory.values(memory.layout.center).set(initial);
  return {
    kernels,
    core: new ApplierCore(kernels, new Control(memory.memory.buffer), settings),
    memory,
    areaOf: (pushed) => {
      const area = memory.takeArea();
      memory.values(area).set(pushed);
      return area;
    },
    values,
    center: () => values(memory.layout.center),
  };
}
