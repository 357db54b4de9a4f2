/** The device that a test file's programs share, and the kernels' sources as the page loads them. */

import type { ShaderSources } from "../../shared/engine/backend.ts";
import { DeviceWatch } from "../../shared/engine/webgpu/device_watch.ts";
import { Kernels } from "../../shared/engine/webgpu/kernels.ts";
import type { DeviceTraits } from "../../shared/engine/webgpu/choice/candidate.ts";
import { compileProgram, type WebGpuProgram } from "../../shared/engine/webgpu/webgpu_program.ts";
import type { Plan } from "../../shared/engine/plan.ts";

const files = import.meta.glob<string>("../../shaders/*.wgsl", { query: "?raw", import: "default", eager: true });

export const SHADERS: ShaderSources = new Map(
  Object.entries(files).map(([path, text]) => [path.replace(/^.*\/|\.wgsl$/g, ""), text]),
);

/** What the kernel rules see: software as it is, software without subgroups, and a discrete GPU. */
export const TRAITS = {
  quads: { isFallback: true, hasSubgroups: true, hasF16: false },
  plain: { isFallback: true, hasSubgroups: false, hasF16: false },
  hardware: { isFallback: false, hasSubgroups: true, hasF16: false },
} as const satisfies Record<string, DeviceTraits>;

export type TraitsName = keyof typeof TRAITS;

export async function requestDevice(): Promise<GPUDevice> {
  const adapter = await navigator.gpu.requestAdapter();
  if (!adapter) throw new Error("This browser gives no WebGPU adapter: the gpu tests need one, in software or not.");
  return adapter.requestDevice({ requiredFeatures: adapter.features.has("subgroups") ? ["subgroups"] : [] });
}

/** Compiles plans on one device, and remembers every error that no call returned. */
export class TestDevice {
  readonly device: GPUDevice;
  readonly errors: string[] = [];
  readonly #watch: DeviceWatch;
  readonly #kernels: Kernels;

  constructor(device: GPUDevice) {
    this.device = device;
    this.#watch = new DeviceWatch(device);
    this.#kernels = new Kernels(device, SHADERS);
    device.addEventListener("uncapturederror", (event) => this.errors.push(event.error.message));
  }

  static async open(): Promise<TestDevice> {
    return new TestDevice(await requestDevice());
  }

  compile(plan: Plan, traits: TraitsName = "quads", nowMs?: () => number): Promise<WebGpuProgram> {
    return compileProgram(this.#watch, this.#kernels, TRAITS[traits], plan, undefined, nowMs);
  }

  /** The contents of `buffer` from word `first` on. */
  readonly read = async (buffer: GPUBuffer, first: number, count: number): Promise<ArrayBuffer> => {
    const { COPY_DST, MAP_READ } = GPUBufferUsage;
    const staging = this.device.createBuffer({ size: count * 4, usage: MAP_READ | COPY_DST });
    const encoder = this.device.createCommandEncoder();
    encoder.copyBufferToBuffer(buffer, first * 4, staging, 0, count * 4);
    this.device.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    const copy = staging.getMappedRange().slice(0);
    staging.destroy();
    return copy;
  };

  close(): void {
    this.#watch.close();
  }
}
