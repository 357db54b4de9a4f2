/**
 * The typed face of the center's WebAssembly (`assembly/kernels.ts`): finds the compiled file and instantiates it over a
 * shared memory, once in each applier thread.
 */

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { webAssembly, type WasmMemory, type WasmModule } from "./wasm_api.ts";

/** What a checking pass found, numbered as in the assembly. */
export const SOUND = 0;
export const NOT_FINITE = 1;
export const OUT_OF_BOUNDS = 2;

/** Vectors are given by their byte offset; `count` is in elements, a multiple of 16. */
export interface Kernels {
  /** area = base + area; SOUND if every sum is finite and at most `limit` in magnitude. */
  readonly decode: (base: number, area: number, count: number, limit: number) => number;
  readonly check: (area: number, count: number, limit: number) => number;
  /** center = old + rate * (area - old), area = old. */
  readonly swapElastic: (center: number, area: number, count: number, rate: number) => void;
  /** center = old + rate * area, area = old. */
  readonly swapDifference: (center: number, area: number, count: number, rate: number) => void;
  /** target = target + source. */
  readonly addInto: (target: number, source: number, count: number) => void;
  /** velocity = momentum * velocity - learningRate * (sum / contributions); center = center + velocity; sum = 0. */
  readonly stepMomentum: (
    center: number,
    velocity: number,
    sum: number,
    count: number,
    learningRate: number,
    momentum: number,
    contributions: number,
  ) => void;
  /** target = target - sum / contributions; sum = 0. */
  readonly subtractMean: (target: number, sum: number, count: number, contributions: number) => void;
  /** target = source. */
  readonly copy: (target: number, source: number, count: number) => void;
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
