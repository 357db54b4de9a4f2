import { describe, expect, test } from "vitest";
import { compilePlan, type Plan } from "../../shared/engine/plan.ts";
import { candidateName, type Candidate } from "../../shared/engine/webgpu/choice/candidate.ts";
import { DeviceWatch } from "../../shared/engine/webgpu/device_watch.ts";
import { Kernels } from "../../shared/engine/webgpu/kernels.ts";
import type { Bench } from "../../shared/engine/webgpu/tuner/bench.ts";
import { deviceKey, MemoryOfWinners } from "../../shared/engine/webgpu/tuner/memory_of_winners.ts";
import { tuneWorks } from "../../shared/engine/webgpu/tuner/tuner.ts";
import { Workbench } from "../../shared/engine/webgpu/tuner/workbench.ts";
import { worksOf, type Work } from "../../shared/engine/webgpu/tuner/works.ts";
import { createWebGpuBackend } from "../../shared/engine/webgpu/webgpu_backend.ts";
import type { WebGpuProgram } from "../../shared/engine/webgpu/webgpu_program.ts";
import { initialParameters } from "../../shared/model/layout.ts";
import type { ModelDescription } from "../../shared/model/model.ts";
import { Random } from "../../shared/random.ts";
import { MapOfWinners } from "../support/map_of_winners.ts";
import { requestDevice, SHADERS } from "./gpu_device.ts";

const EXAMPLES = 16;
const BATCH = 4;
const SETTINGS = { learningRate: 0.01, momentum: 0.9, weightDecay: 0 };
const TRAITS = { isFallback: true, hasSubgroups: true, hasF16: false };
const INFO = { description: "test", isFallback: true };

const TINY: ModelDescription = {
  name: "tiny",
  input: { height: 6, width: 6, channels: 2 },
  classes: 3,
  layers: [
    { kind: "conv2d", name: "conv1", kernel: 3, channels: 4 },
    { kind: "relu", name: "relu1" },
    { kind: "conv2d", name: "conv2", kernel: 3, channels: 4 },
    { kind: "dense", name: "fc", units: 3 },
  ],
};

function tinyPlan(): Plan {
  return compilePlan(TINY, {
    batch: BATCH,
    datasetExamples: EXAMPLES,
    normalisation: { mean: [0.5], deviation: [0.25] },
  });
}

function begin(program: Pick<WebGpuProgram, "plan" | "loadExamples" | "writeParameters">): void {
  const random = new Random(5);
  const images = Uint8Array.from({ length: EXAMPLES * 72 }, () => random.below(256));
  program.loadExamples(
    0,
    images,
    Uint8Array.from({ length: EXAMPLES }, () => random.below(3)),
  );
  program.writeParameters(initialParameters(program.plan.layout, 3));
}

async function lossOfStep(program: Pick<WebGpuProgram, "step" | "takeGradient">, step: number): Promise<number> {
  program.step(
    Uint32Array.from({ length: BATCH }, (_, row) => (step * BATCH + row) % EXAMPLES),
    SETTINGS,
  );
  return (await program.takeGradient()).meanLoss;
}

const now = (): number => performance.now();

/** Of another session: for each work the given candidate, as if it had been measured. */
async function rememberedWinners(
  works: readonly Work[],
  key: string,
  pick: (work: Work) => Candidate,
): Promise<MapOfWinners> {
  const winners = new MapOfWinners();
  const memory = new MemoryOfWinners(winners, key);
  for (const work of works) {
    const winner = candidateName(pick(work));
    const times = { ms: 1, ruleMs: 2, measuredImages: BATCH };
    await memory.remember(work.key, { winner, ...times, tried: [winner], failed: [], isComplete: true });
  }
  return winners;
}

/** The bench itself, but for the time that one candidate seems to take. */
function quickFor(bench: Workbench, quick: Candidate): Bench {
  return {
    get spentMs() {
      return bench.spentMs;
    },
    check: () => bench.check(),
    open: async (product, edges) => {
      const stand = await bench.open(product, edges);
      return {
        close: () => stand.close(),
        load: async (candidate) => {
          const loaded = await stand.load(candidate);
          const isQuick = candidateName(candidate) === candidateName(quick);
          return isQuick ? { measure: () => Promise.resolve(1e-6), output: () => loaded.output() } : loaded;
        },
      };
    },
  };
}

describe("Tuning on a device", () => {
  test("Products are measured within the budget, while steps go on as before", async () => {
    const backend = await createWebGpuBackend(await requestDevice(), INFO, SHADERS);
    const plan = tinyPlan();
    const [program, twin] = [await backend.compile(plan), await backend.compile(tinyPlan())];
    for (const one of [program, twin]) begin(one);
    const told: number[] = [];
    const winners = new MapOfWinners();
    const tuning = backend.tune!(plan, {
      budgetMs: 3000,
      nowMs: now,
      winners,
      onProgress: ({ settled }) => told.push(settled),
    });
    const losses: number[] = [];
    for (let step = 0; step < 3; step++) losses.push(await lossOfStep(program, step));
    const result = await tuning;
    for (let step = 3; step < 6; step++) losses.push(await lossOfStep(program, step));
    expect(result.products).toHaveLength(8);
    expect(result.products[0]).toMatchObject({ from: "measured", batch: BATCH });
    expect(result.products.flatMap(({ failed }) => failed)).toEqual([]);
    for (const { ms, ruleMs, from } of result.products)
      if (from === "measured") expect(ms).toBeLessThanOrEqual(ruleMs!);
    expect(winners.entries.size).toBe(result.products.filter(({ from }) => from === "measured").length);
    expect(told[0]).toBe(0);
    for (const [step, loss] of losses.entries()) {
      expect(Math.abs(loss - (await lossOfStep(twin, step)))).toBeLessThan(1e-4);
    }
    backend.close();
  });

  test("Remembered winners are used without measuring, and a program takes them without losing its state", async () => {
    const device = await requestDevice();
    const backend = await createWebGpuBackend(device, INFO, SHADERS);
    const plan = tinyPlan();
    const works = worksOf(plan, TRAITS);
    const winners = await rememberedWinners(works, deviceKey(device.adapterInfo, TRAITS, SHADERS), ({ candidates }) => {
      return candidates.find(({ algorithm }) => algorithm.startsWith("lowering")) ?? candidates.at(-1)!;
    });
    const program = (await backend.compile(plan)) as WebGpuProgram;
    const twin = (await backend.compile(tinyPlan())) as WebGpuProgram;
    begin(program);
    begin(twin);
    for (let step = 0; step < 2; step++) expect(await lossOfStep(program, step)).toBe(await lossOfStep(twin, step));
    const before = program.launches;
    const parameters = (await program.readParameters()).slice();
    const result = await backend.tune!(plan, { budgetMs: 1e6, nowMs: now, winners });
    expect(result.products.map(({ from }) => from)).toEqual(works.map(() => "remembered"));
    expect(result.spentMs).toBe(0);
    const names = (launches: typeof before): string[] =>
      [...launches.forward, ...launches.backward].flat().map(({ name }) => name);
    expect(names(program.launches)).not.toEqual(names(before));
    expect(await program.readParameters()).toEqual(parameters);
    for (let step = 2; step < 5; step++) {
      expect(Math.abs((await lossOfStep(program, step)) - (await lossOfStep(twin, step)))).toBeLessThan(1e-4);
    }
    await expect(program.idle()).resolves.toBeUndefined();
    backend.close();
  });

  test("A poisoned kernel never wins, however fast it is, and the device stays in good health", async () => {
    const watch = new DeviceWatch(await requestDevice());
    const poisoned = new Map(SHADERS);
    const source = SHADERS.get("lower")!;
    poisoned.set("lower", source.replace("columns[to.x] = values.x;", "columns[to.x] = values.x * 1.5;"));
    expect(poisoned.get("lower")).not.toBe(source);
    const works = worksOf(tinyPlan(), TRAITS).filter(
      ({ product }) => product.pass === "forward" && product.window.size > 1,
    );
    const [work] = works as [Work];
    const slow: Candidate = { ...work.candidates[0]!, tile: { variant: "plain", rows: 1, columns: 1, invocations: 4 } };
    const lowered = work.candidates.find(({ algorithm }) => algorithm === "lowering-1")!;
    const uncompilable: Candidate = { ...slow, tile: { ...slow.tile, rows: 2, invocations: 1_000_000 } };
    const handmade: Work = { ...work, candidates: [slow, lowered, uncompilable] };
    const options = { budgetMs: 60_000, nowMs: now, traits: TRAITS, deviceKey: "test" };
    for (const [shaders, wins] of [
      [SHADERS, true],
      [poisoned, false],
    ] as const) {
      const workbench = new Workbench(watch, new Kernels(watch.device, shaders), now, 4);
      const bench = quickFor(workbench, lowered);
      const { result, winners } = await tuneWorks([handmade], bench, options);
      expect(candidateName(winners.get(work.key)!)).toBe(candidateName(wins ? lowered : slow));
      const failures = result.products[0]!.failed.map(({ candidate }) => candidate);
      expect(failures).toEqual([...(wins ? [] : [candidateName(lowered)]), candidateName(uncompilable)]);
      workbench.close();
    }
    watch.check();
    watch.close();
  });
});
