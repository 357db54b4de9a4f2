/** Opens the backends of a browser: finds the adapter, fetches the kernels' sources, and says in plain words what is missing. */

import type { Backend } from "../../shared/engine/backend.ts";
import { createWasmBackend } from "../../shared/engine/wasm/wasm_backend.ts";
import plainUrl from "../../shared/engine/wasm/build/plain.wasm?url";
import relaxedUrl from "../../shared/engine/wasm/build/relaxed.wasm?url";
import { createWebGpuBackend } from "../../shared/engine/webgpu/webgpu_backend.ts";
import type { Clock } from "../replica/clock.ts";
import { within } from "./measurement.ts";

const shaderFiles = import.meta.glob<string>("../../shaders/*.wgsl", { query: "?raw", import: "default", eager: true });

/** By file name, without folder and ending. */
const SHADERS: ReadonlyMap<string, string> = new Map(
  Object.entries(shaderFiles).map(([path, text]) => [path.replace(/^.*\/|\.wgsl$/g, ""), text]),
);

/** After two crashes of its GPU process Chromium's `requestAdapter` never answers. */
const ADAPTER_MS = 8000;

interface Unavailable {
  readonly note: string;
}

export type OpenedBackend = Backend | Unavailable;

export async function openWasm(): Promise<OpenedBackend> {
  try {
    const [plain, relaxed] = await Promise.all([bytesOf(plainUrl), bytesOf(relaxedUrl)]);
    return await createWasmBackend({ plain, relaxed });
  } catch (error) {
    return { note: `Its kernels could not be loaded (${sentenceOf(error)}). Reload the page.` };
  }
}

export async function openWebGpu(clock: Clock): Promise<OpenedBackend> {
  // The types promise it; older browsers and plain http: pages lack it.
  const gpu = navigator.gpu as GPU | undefined;
  if (!gpu) return { note: isSecureContext ? NO_WEBGPU : NOT_SECURE };
  try {
    const adapter = await within(
      ADAPTER_MS,
      clock,
      "Asking for a graphics adapter",
      gpu.requestAdapter({ powerPreference: "high-performance" }),
    );
    if (!adapter) return { note: NO_ADAPTER };
    const device = await adapter.requestDevice({
      requiredFeatures: featuresOf(adapter),
      requiredLimits: limitsOf(adapter),
    });
    return await createWebGpuBackend(device, describe(adapter.info), SHADERS);
  } catch (error) {
    return {
      note: `The browser has WebGPU, but gave no device (${sentenceOf(error)}). Restart the browser, or update the graphics driver.`,
    };
  }
}

const NOT_SECURE =
  "Browsers offer WebGPU only to pages from https: or localhost, and this page is from neither. Ask the operator for an https: link.";
const NO_WEBGPU = "This browser has no WebGPU. A current Chrome, Edge, Safari or Firefox has it.";
const NO_ADAPTER =
  "The browser has WebGPU, but offers no graphics adapter. Turn on graphics acceleration in its settings, or update the graphics driver.";

async function bytesOf(url: string): Promise<ArrayBuffer> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`HTTP ${response.status} for ${url}`);
  return response.arrayBuffer();
}

/** Kernels that share loads between lanes. */
function featuresOf({ features }: GPUAdapter): GPUFeatureName[] {
  return features.has("subgroups") ? ["subgroups"] : [];
}

/** What the kernels may want more of than every device has to offer. */
function limitsOf({ limits }: GPUAdapter): Record<string, number> {
  const { maxBufferSize, maxStorageBufferBindingSize, maxComputeWorkgroupStorageSize } = limits;
  const { maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupSizeX, maxStorageBuffersPerShaderStage } = limits;
  return {
    maxBufferSize,
    maxStorageBufferBindingSize,
    maxComputeWorkgroupStorageSize,
    maxComputeInvocationsPerWorkgroup,
    maxComputeWorkgroupSizeX,
    maxStorageBuffersPerShaderStage,
  };
}

/** Browsers say little about an adapter, and each something else. */
function describe(info: GPUAdapterInfo): { readonly description: string; readonly isFallback: boolean } {
  const words =
    info.description || [info.vendor, info.architecture, info.device].filter((word) => word !== "").join(" ");
  const isFallback =
    info.isFallbackAdapter || /swiftshader|llvmpipe|lavapipe|basic render/i.test(`${words} ${info.architecture}`);
  return { description: `${words || "an unnamed adapter"}${isFallback ? " (software)" : ""}`, isFallback };
}

function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
