/** Turns a WebGPU entry point, a browser's or Dawn's, into a backend: picks the adapter, asks for what kernels can use. */

import type { Backend, ShaderSources } from "../../shared/engine/backend.ts";
import type { StepOwner } from "../../shared/engine/shares.ts";
import { createWebGpuBackend } from "../../shared/engine/webgpu/webgpu_backend.ts";
import type { Clock } from "../replica/clock.ts";
import { within } from "./measurement.ts";

/** After two crashes of its GPU process Chromium's `requestAdapter` never answers. */
const ADAPTER_MS = 8000;

/** Undefined where there is no adapter; rejects where it gives no device. */
export async function openAdapter(
  gpu: GPU,
  shaders: ShaderSources,
  clock: Clock,
): Promise<Backend<StepOwner> | undefined> {
  const adapter = await within(
    ADAPTER_MS,
    clock,
    "Asking for a graphics adapter",
    gpu.requestAdapter({ powerPreference: "high-performance" }),
  );
  if (!adapter) return undefined;
  const device = await adapter.requestDevice({
    requiredFeatures: featuresOf(adapter),
    requiredLimits: limitsOf(adapter),
  });
  return createWebGpuBackend(device, { ...describeAdapter(adapter.info), nowMs: () => clock.nowMs() }, shaders);
}

/** Browsers say little about an adapter, and each something else. */
export function describeAdapter(info: GPUAdapterInfo): { readonly description: string; readonly isFallback: boolean } {
  const words =
    info.description || [info.vendor, info.architecture, info.device].filter((word) => word !== "").join(" ");
  const isFallback =
    info.isFallbackAdapter || /swiftshader|llvmpipe|lavapipe|basic render/i.test(`${words} ${info.architecture}`);
  return { description: `${words || "an unnamed adapter"}${isFallback ? " (software)" : ""}`, isFallback };
}

/** Kernels that share loads between lanes, and the tuner's finest clock. */
export function featuresOf({ features }: GPUAdapter): GPUFeatureName[] {
  return (["subgroups", "timestamp-query"] as const).filter((name) => features.has(name));
}

/** What the kernels may want more of than every device has to offer. */
export function limitsOf({ limits }: GPUAdapter): Record<string, number> {
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
