/**
 * How long Caffe con Troll's three lowerings of a convolution take on this machine's adapter, beside what the engine takes by
 * its rule: a program of its own, that `drove reproduce caffe-con-troll` starts with a job as JSON. `measuring.ts` says how it
 * answers; the result has the adapter and, for each seed and
 * convolution, the times of all four.
 */

import * as v from "valibot";
import { DeviceWatch } from "../../shared/engine/webgpu/device_watch.ts";
import { Kernels } from "../../shared/engine/webgpu/kernels.ts";
import { Workbench } from "../../shared/engine/webgpu/tuner/workbench.ts";
import { readShaders } from "./backends.ts";
import { timesOfSeed, type ConvolutionTimes, type LoweringJob } from "./lowering_times.ts";
import { COUNT, SEEDS, openDevice, runProgram, type FoundAdapter } from "./measuring.ts";

/** A lowering has one kernel each for weights, lowering, product and lifting; with a last, smaller part of a batch more. */
const MOST_KERNELS = 8;

const jobSchema = v.object({
  pass: v.literal("forward"),
  imageSide: COUNT,
  kernel: COUNT,
  batch: COUNT,
  imagesAtOnce: COUNT,
  channels: v.array(v.object({ input: COUNT, output: COUNT })),
  repetitions: COUNT,
  pieceMs: v.pipe(v.number(), v.minValue(0)),
  seeds: SEEDS,
});

await runProgram<LoweringJob>(jobSchema, measure);

async function measure(
  job: LoweringJob,
  found: FoundAdapter,
): Promise<{ readonly seeds: readonly (readonly ConvolutionTimes[])[] }> {
  const device = await openDevice(found);
  const traits = {
    isFallback: found.isFallback,
    hasSubgroups: device.features.has("subgroups"),
    hasF16: device.features.has("shader-f16"),
  };
  const kernels = new Kernels(device, await readShaders());
  const bench = new Workbench(new DeviceWatch(device), kernels, () => performance.now(), MOST_KERNELS);
  const seeds: ConvolutionTimes[][] = [];
  for (const seed of job.seeds) seeds.push(await timesOfSeed(bench, traits, job, seed));
  return { seeds };
}
