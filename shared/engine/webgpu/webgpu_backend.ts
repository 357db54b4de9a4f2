/**
 * The WebGPU backend: trains a plan on a GPU (or in software) with the kernels of `shaders/`. It is handed a device and
 * the kernels' sources, and never asks the environment for anything.
 */

import type { Backend, ShaderSources } from "../backend.ts";
import type { StepOwner } from "../shares.ts";
import { productKey, type Candidate, type ChooseCandidate } from "./choice/candidate.ts";
import { ruleOf } from "./choice/rule.ts";
import { DeviceWatch } from "./device_watch.ts";
import { Kernels } from "./kernels.ts";
import { scratchOfPlan } from "./launches.ts";
import { misfitOf } from "./misfit.ts";
import { deviceKey } from "./tuner/memory_of_winners.ts";
import { tuneWorks } from "./tuner/tuner.ts";
import { Workbench } from "./tuner/workbench.ts";
import { worksOf } from "./tuner/works.ts";
import { compileProgram, type WebGpuProgram } from "./webgpu_program.ts";

export interface DeviceInfo {
  /** The adapter in words, for people. */
  readonly description: string;
  /** True where WebGPU runs in software. */
  readonly isFallback: boolean;
  /** Any clock that never goes back. Without one every step has a submit of its own. */
  readonly nowMs?: () => number;
}

/**
 * `device` should have the `subgroups` feature where its adapter offers it (a step of LeNet takes 232 ms in software
 * with it, 295 without), and the adapter's limits for buffers. The backend owns it from here on: `close` destroys it.
 */
export async function createWebGpuBackend(
  device: GPUDevice,
  info: DeviceInfo,
  shaders: ShaderSources,
): Promise<Backend<StepOwner>> {
  const watch = new DeviceWatch(device);
  // Programs share it: a model compiled again, with another batch say, finds some of its pipelines made.
  const kernels = new Kernels(device, shaders, info.isFallback);
  const traits = {
    isFallback: info.isFallback,
    hasSubgroups: device.features.has("subgroups"),
    hasF16: device.features.has("shader-f16"),
  };
  /** By product; what is not in it is chosen by rule. */
  const winners = new Map<string, Candidate>();
  const rule = ruleOf(traits);
  const choose: ChooseCandidate = (product) => winners.get(productKey(product)) ?? rule(product);
  const programs = new Set<WebGpuProgram>();
  return {
    name: "webgpu",
    device: info.description,
    isFallback: info.isFallback,
    lost: watch.lost,
    misfit: (plan) => misfitOf(plan, scratchOfPlan(plan, traits, choose), device.limits, traits),
    compile: async (plan) => {
      const program = await compileProgram(watch, kernels, traits, plan, choose, info.nowMs);
      for (const known of programs) if (known.isClosed) programs.delete(known);
      programs.add(program);
      return program;
    },
    tune: async (plan, options) => {
      const bench = new Workbench(watch, kernels.branch(), options.nowMs, info.isFallback ? 4 : 32);
      try {
        const keys = deviceKey(device.adapterInfo, traits, shaders);
        const tuned = await tuneWorks(worksOf(plan, traits), bench, { ...options, traits, deviceKey: keys });
        for (const [key, winner] of tuned.winners) winners.set(key, winner);
        await kernels.borrowing(bench.kernels, async () => {
          for (const program of programs)
            if (program.plan === plan && !program.isClosed) await program.useChoice(choose);
        });
        return tuned.result;
      } finally {
        bench.close();
      }
    },
    close: () => watch.close(),
  };
}
