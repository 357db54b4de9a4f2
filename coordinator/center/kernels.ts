/**
 * The typed face of the center's WebAssembly (`assembly/kernels.ts`): finds the compiled file and instantiates it over a
 * shared memory, once in each applier thread.
 */

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { CODEC_NAMES, type CodecName } from "../../shared/wire/codec/codec.ts";
import { webAssembly, type WasmMemory, type WasmModule } from "./wasm_api.ts";

/** What a checking pass found, numbered as in the assembly. */
export const SOUND = 0;
export const NOT_FINITE = 1;
export const OUT_OF_BOUNDS = 2;

/** Vectors are given by their byte offset; `count` is in elements, a multiple of 16 but for the codecs'. */
export interface Kernels {
  /** area = base + area; SOUND if every sum is finite and at most `limit` in magnitude. */
  readonly decode: (base: number, area: number, count: number, limit: number) => number;
  readonly check: (area: number, count: number, limit: number) => number;
  /**
   * area = base + decoded(words), or decoded(words) where `base` is 0; the verdict of `decode`. `codec` by `codecNumber`; `count` from the
   * beginning of a block to the end of one or of the layout. The words may lie in the area, where `wordsAt` (payload.ts) says.
   */
  readonly decodeCoded: (
    codec: number,
    base: number,
    words: number,
    area: number,
    count: number,
    limit: number,
  ) => number;
  /** words = encoded(target - previous), next = previous + decoded(words): SOUND, or NOT_FINITE if that is not. Codec and count as above. */
  readonly encode: (
    codec: number,
    target: number,
    previous: number,
    next: number,
    words: number,
    count: number,
  ) => number;
  /** center = old + rate * (area - old), area = old. */
  readonly swapElastic: (center: number, area: number, count: number, rate: number) => void;
  /** center = old + rate * area, area = old. */
  readonly swapDifference: (center: number, area: number, count: number, rate: number) => void;
  /** d = rate * (area - center); center = center + d, area = area - d. */
  readonly meetElastic: (center: number, area: number, count: number, rate: number) => void;
  /** center = center + rate * area, area = center. */
  readonly addUpdate: (center: number, area: number, count: number, rate: number) => void;
  /** target = target + weight * source. */
  readonly addWeighted: (target: number, source: number, count: number, weight: number) => void;
  /** vector = vector / divisor. */
  readonly divide: (vector: number, count: number, divisor: number) => void;
  /** vector = 0. */
  readonly clear: (vector: number, count: number) => void;
  /** target = source. */
  readonly copy: (target: number, source: number, count: number) => void;
  /** area = area + lambda * area * area * (center - base). */
  readonly compensate: (area: number, base: number, center: number, count: number, lambda: number) => void;
  readonly squareSum: (vector: number, count: number) => number;
  /** center = center - rate * (area + decay * center), area = center; as do the steps below. */
  readonly descend: (center: number, area: number, count: number, rate: number, decay: number) => void;
  /** velocity = momentum * velocity - rate * (area + decay * center); center = center + velocity. */
  readonly stepMomentum: (
    center: number,
    area: number,
    velocity: number,
    count: number,
    rate: number,
    momentum: number,
    decay: number,
  ) => void;
  /** d = -area; velocity = momentum * velocity + d; center = center - rate * (d + momentum * velocity). */
  readonly stepNesterov: (
    center: number,
    area: number,
    velocity: number,
    count: number,
    rate: number,
    momentum: number,
  ) => void;
  /**
   * d = -area / delay; sum = sum + d; center = center - rate * d. At a boundary instead velocity = momentum * velocity + sum,
   * center = center - rate * (d + momentum * velocity), sum = 0.
   */
  readonly stepDelayed: (
    center: number,
    area: number,
    velocity: number,
    sum: number,
    count: number,
    rate: number,
    momentum: number,
    delay: number,
    isBoundary: boolean,
  ) => void;
  /** swapElastic, or meetElastic where it `isMean`, without losing the move of an element to another thread. */
  readonly casElastic: (center: number, area: number, count: number, rate: number, isMean: boolean) => void;
  /** swapDifference where it `keepsOld`, else addUpdate, likewise. */
  readonly casAdd: (center: number, area: number, count: number, rate: number, keepsOld: boolean) => void;
  /** descend, likewise. */
  readonly casDescend: (center: number, area: number, count: number, rate: number, decay: number) => void;
}

/** A codec as the assembly names it. f32 needs none of its kernels. */
export function codecNumber(codec: CodecName): number {
  if (codec === "f32") throw new Error("invariant violation: f32 is not encoded");
  return CODEC_NAMES.indexOf(codec);
}

export async function compileKernels(file: URL = new URL("./build/center.wasm", import.meta.url)): Promise<WasmModule> {
  let source: Uint8Array;
  try {
    source = await readFile(file);
  } catch (cause) {
    throw new Error(
      `The center's WebAssembly could not be read from ${fileURLToPath(file)}: run \`npm run build:wasm\`.`,
      { cause },
    );
  }
  return webAssembly.compile(source);
}

export function instantiateKernels(module: WasmModule, memory: WasmMemory): Kernels {
  return new webAssembly.Instance(module, { env: { memory } }).exports as Kernels;
}
