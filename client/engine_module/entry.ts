/**
 * Drove's engine as one JavaScript file for browsers and Node, shaders and WASM inside: `npm run build` makes
 * `build/engine/drove_engine.js` of it. README, "Use the engine alone", has an example.
 */

import type { Backend } from "../../shared/engine/backend.ts";
import {
  compileTrainer,
  type CompileOptions,
  type EngineDevice,
  type Trainer,
} from "../../shared/engine/standalone.ts";
import { createWasmBackend } from "../../shared/engine/wasm/wasm_backend.ts";
import { createWebGpuBackend } from "../../shared/engine/webgpu/webgpu_backend.ts";
import { MODELS } from "../../shared/model/catalogue.ts";
import type { ModelDescription } from "../../shared/model/model.ts";
import plainUrl from "../../shared/engine/wasm/build/plain.wasm?url";
import relaxedUrl from "../../shared/engine/wasm/build/relaxed.wasm?url";
import { describeAdapter, featuresOf, limitsOf } from "../participation/adapter.ts";

const shaderFiles = import.meta.glob<string>("../../shaders/*.wgsl", { query: "?raw", import: "default", eager: true });

/** Pages, workers and Node have both. */
declare function atob(base64: string): string;
declare const performance: { now(): number };

const nowMs = (): number => performance.now();

/** By file name, without folder and ending. */
const SHADERS: ReadonlyMap<string, string> = new Map(
  Object.entries(shaderFiles).map(([path, text]) => [path.replace(/^.*\/|\.wgsl$/g, ""), text]),
);

/** A backend keeps the kernels that it has compiled: a second model on a device starts sooner. */
const backends = new WeakMap<GPUDevice, Promise<Backend>>();
let wasm: Promise<Backend> | undefined;

/** The models that Drove's runs know by name. */
export { MODELS as models };

/**
 * Compiles `model` for `device`: a `GPUDevice`, best from `requestDevice`, or "wasm". Resolves with a trainer; rejects with a
 * sentence that names the layer or the kernel that does not fit.
 */
export async function compile(
  device: EngineDevice,
  model: ModelDescription,
  options: CompileOptions,
): Promise<Trainer> {
  return compileTrainer(await backendOf(device), model, options, nowMs);
}

/** A device with everything that the kernels can use. Rejects with a sentence where there is no adapter. */
export async function requestDevice(gpu: GPU): Promise<GPUDevice> {
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) throw new Error("WebGPU offers no adapter here.");
  return adapter.requestDevice({ requiredFeatures: featuresOf(adapter), requiredLimits: limitsOf(adapter) });
}

function backendOf(device: EngineDevice): Promise<Backend> {
  if (device === "wasm") {
    wasm ??= createWasmBackend({ plain: bytesOf(plainUrl), relaxed: bytesOf(relaxedUrl) });
    return wasm;
  }
  const known = backends.get(device);
  if (known) return known;
  const backend = createWebGpuBackend(device, { ...describeAdapter(device.adapterInfo), nowMs }, SHADERS);
  backends.set(device, backend);
  return backend;
}

/** Of a data: URL in base64. Pages may forbid to fetch those. */
function bytesOf(url: string): Uint8Array<ArrayBuffer> {
  const text = atob(url.slice(url.indexOf(",") + 1));
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
