/**
 * Divides a plan's operations among threads by images, as Caffe con Troll divides a batch among cores (Hadjis et al. 2015):
 * each thread does the whole chain for its own images, with a gradient vector of its own.
 */

import type { Operation } from "../../operation.ts";
import type { Part } from "../memory_view.ts";

/**
 * Kernels may write up to three elements past the end of what is theirs; parts that begin at multiples of four images begin
 * at multiples of four elements in every tensor, so nobody writes into another's part.
 */
const GRAIN_IMAGES = 4;

/** At most `threads` parts, nearly equal. */
export function partsOf(batch: number, threads: number): readonly Part[] {
  const grains = Math.ceil(batch / GRAIN_IMAGES);
  const count = Math.max(1, Math.min(threads, grains));
  return Array.from({ length: count }, (_, index) => {
    const first = Math.floor((grains * index) / count) * GRAIN_IMAGES;
    const end = Math.min(batch, Math.floor((grains * (index + 1)) / count) * GRAIN_IMAGES);
    return { first, count: end - first };
  });
}

const COUNTS = ["batch", "rows", "elements", "tokens"] as const;

/** The same operation for the images of a part alone; `batch` is how many it was made for. */
export function partOf(operation: Operation, { count }: Part, batch: number): Operation {
  const whole = operation as unknown as Readonly<Record<string, unknown>>;
  const fields = COUNTS.flatMap((field) => {
    const value = whole[field];
    return typeof value === "number" ? [[field, (value / batch) * count] as const] : [];
  });
  const window = "window" in operation ? { window: { ...operation.window, batch: count } } : {};
  return { ...operation, ...Object.fromEntries(fields), ...window };
}
