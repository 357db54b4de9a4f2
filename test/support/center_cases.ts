/**
 * What the tests of the center share: centers that end with their test, seeded vectors, payload bytes, and the apply of
 * one push in plain JavaScript, rounded after each operation as SPEC X5 says.
 */

import { onTestFinished } from "vitest";
import { Center, type Applier, type CenterOptions, type CenterSlot } from "../../coordinator/center/center.ts";
import { Random } from "../../shared/random.ts";

export const MAX_MAGNITUDE = 10_000;

export async function openCenter(options: Partial<CenterOptions> & { initial: Float32Array }): Promise<Center> {
  const center = await Center.create({
    elements: options.initial.length,
    applier: "lock-free",
    threads: 1,
    maxMagnitude: MAX_MAGNITUDE,
    ...options,
  });
  onTestFinished(() => center.close());
  return center;
}

export const APPLIERS: readonly Applier[] = ["lock-free", "locked"];

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
