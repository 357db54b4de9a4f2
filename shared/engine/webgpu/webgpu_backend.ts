/**
 * The WebGPU backend: trains a plan on a GPU (or in software) with the kernels of `shaders/`. It is handed a device and
 * the kernels' sources, and never asks the environment for anything.
 */

import type { Backend, ShaderSources } from "../backend.ts";
import { DeviceWatch } from "./device_watch.ts";
import { Kernels } from "./kernels.ts";
import { compileProgram } from "./webgpu_program.ts";

export interface DeviceInfo {
  /** The adapter in words, for people. */
  readonly description: string;
  /** True where WebGPU runs in software. */
  readonly isFallback: boolean;
}

/**
 * `device` should have the `subgroups` feature where its adapter offers it (a step of LeNet takes 232 ms in software
 * with it, 295 without), and the adapter's limits for buffers. The backend owns it from here on: `close` destroys it.
 */
export async function createWebGpuBackend(
  device: GPUDevice,
  info: DeviceInfo,
  shaders: ShaderSources,
): Promise<Backend> {
  const watch = new DeviceWatch(device);
  // Programs share it: a model compiled again, with another batch say, finds some of its pipelines made.
  const kernels = new Kernels(device, shaders);
  const traits = {
    isFallback: info.isFallback,
    hasSubgroups: device.features.has("subgroups"),
    hasF16: device.features.has("shader-f16"),
  };
  return {
    name: "webgpu",
    device: info.description,
    isFallback: info.isFallback,
    lost: watch.lost,
    compile: (plan) => compileProgram(watch, kernels, traits, plan),
    close: () => watch.close(),
  };
}
