/**
 * The kernels of a WASM module as the backend sees them: names, and instantiation together with the memory they work on.
 * `assembly/` holds their sources.
 */

import type { MemoryMap } from "./memory_map.ts";
import { webAssembly, type WasmMemory, type WasmModule } from "./webassembly.ts";

const KERNEL_NAMES = [
  "activate",
  "activateGradient",
  "adamwUpdate",
  "addDecoded",
  "addTensors",
  "addVector",
  "averagePool",
  "averagePoolGradient",
  "batchNormDataGradient",
  "clipScale",
  "copyChannels",
  "dataGradientCoefficients",
  "dense",
  "denseDataGradient",
  "denseFilterGradient",
  "depthwiseFilterGradient",
  "dropout",
  "embed",
  "embedGradient",
  "encodeDifference",
  "encodeGradient",
  "fillZero",
  "filterGradient",
  "finishMoments",
  "finishScaleGradients",
  "gather",
  "globalAveragePool",
  "globalAveragePoolGradient",
  "larsUpdate",
  "layerNorm",
  "layerNormDataGradient",
  "localResponse",
  "localResponseGradient",
  "maxPool",
  "maxPoolGradient",
  "meanSquaredError",
  "momentumUpdate",
  "multiply",
  "multiplyDepthwise",
  "nesterovUpdate",
  "normaliseChannels",
  "packDepthwise",
  "packPanels",
  "packPanelsTransposed",
  "packTaps",
  "pad",
  "runningFactors",
  "scaleFactors",
  "scatterPoolGradient",
  "settle",
  "softmaxCrossEntropy",
  "squareSum",
  "sumColumns",
  "sumLayerScaleGradients",
  "sumMoments",
  "sumScaleGradients",
  "takeDifference",
  "undoActivation",
] as const;

export type KernelName = (typeof KERNEL_NAMES)[number];
type Kernel = (...numbers: readonly number[]) => void;

/** One kernel call with all its numbers, known when the plan is compiled. */
export interface Invocation {
  readonly kernel: KernelName;
  readonly numbers: readonly number[];
}

export type Kernels = Readonly<Record<KernelName, Kernel>>;

export interface Instance {
  readonly kernels: Kernels;
  readonly memory: ArrayBuffer;
  /** The same, as other threads are given it. */
  readonly wasmMemory: WasmMemory;
}

/** Makes the memory that `map` describes, writes its tables and instantiates the module over it. */
export async function instantiate(module: WasmModule, map: MemoryMap, isShared = false): Promise<Instance> {
  const wasmMemory = new webAssembly.Memory({ initial: map.pages, maximum: map.pages, shared: isShared });
  const memory = wasmMemory.buffer;
  for (const { address, words } of map.tables) new Uint32Array(memory, address, words.length).set(words);
  return { kernels: await kernelsOver(module, wasmMemory), memory, wasmMemory };
}

/** An instance of the module over a memory that exists: what each further thread has. */
export async function kernelsOver(module: WasmModule, memory: WasmMemory): Promise<Kernels> {
  const { exports } = await webAssembly.instantiate(module, { env: { memory } });
  return Object.fromEntries(KERNEL_NAMES.map((name) => [name, kernelOf(exports, name)])) as Record<KernelName, Kernel>;
}

function kernelOf(exports: Readonly<Record<string, unknown>>, name: KernelName): Kernel {
  const kernel = exports[name];
  if (typeof kernel !== "function") {
    throw new Error(
      `The WASM module has no kernel "${name}": it is of another version. Build it again with npm run build:wasm.`,
    );
  }
  return kernel as Kernel;
}

export function invoke({ kernels }: Pick<Instance, "kernels">, invocations: readonly Invocation[]): void {
  for (const { kernel, numbers } of invocations) kernels[kernel](...numbers);
}
