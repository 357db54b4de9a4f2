/** How large a plan's buffers are, what they are called, and what a device refuses. */

import { elementsOf } from "../../model/model.ts";
import type { Plan } from "../plan.ts";

export interface Limits {
  readonly maxStorageBufferBindingSize: number;
  readonly maxBufferSize: number;
}

/** Words of one image in the data set: whole ones, so that an image starts where a write may start. */
export function imageWords(plan: Plan): number {
  return Math.ceil(elementsOf(plan.model.input) / 4);
}

/** Images with each row padded to whole words, as the device holds them. */
export function wholeWords(images: Uint8Array, imageBytes: number, rowBytes: number): Uint8Array {
  if (imageBytes === rowBytes) return images;
  const count = images.length / imageBytes;
  const padded = new Uint8Array(count * rowBytes);
  for (let image = 0; image < count; image++) {
    padded.set(images.subarray(image * imageBytes, (image + 1) * imageBytes), image * rowBytes);
  }
  return padded;
}

/** The largest tensor of a slot: the one that a refusal should name. */
export function slotName(plan: Plan, slot: number): string {
  const [largest] = plan.tensors.filter((tensor) => tensor.slot === slot).toSorted((a, b) => b.elements - a.elements);
  return largest?.name ?? `slot ${slot}`;
}

/** Views as vectors of 4 need whole ones. */
export function bufferBytes(elements: number): number {
  return Math.ceil(elements / 4) * 16;
}

/** Why a buffer of `elements` words cannot be made, as a sentence. */
export function refusal(plan: Plan, name: string, elements: number, limits: Limits): string | undefined {
  const { maxStorageBufferBindingSize, maxBufferSize } = limits;
  const bytes = bufferBytes(elements);
  const limit = Math.min(maxStorageBufferBindingSize, maxBufferSize);
  if (bytes <= limit) return undefined;
  const which = maxStorageBufferBindingSize <= maxBufferSize ? "maxStorageBufferBindingSize" : "maxBufferSize";
  return `Tensor "${name}" of model "${plan.model.name}" needs ${bytes} bytes; this device binds ${limit} (${which}). Take a smaller batch or data set.`;
}
