/** The reproduction of Caffe con Troll: its measuring programs on a real adapter, and its verdicts on given times. */

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { findNodeAdapter } from "../../coordinator/node/adapter.ts";
import {
  atRatio,
  crossoverOf,
  exponentOf,
  loweringTimesSchema,
  type LoweringTimes,
} from "../../coordinator/reproduce/caffe_con_troll/lowering_times.ts";
import { findingsOfLowerings } from "../../coordinator/reproduce/caffe_con_troll/lowerings.ts";
import { askProgram, type ProgramAnswer } from "../../coordinator/reproduce/caffe_con_troll/node_program.ts";
import gradientOfShare, { type ShareInput } from "../../coordinator/reproduce/caffe_con_troll/share_task.ts";
import { findingsOfCores } from "../../coordinator/reproduce/caffe_con_troll/split_cores.ts";
import { findingsOfHybrid, hybridTimesSchema } from "../../coordinator/reproduce/caffe_con_troll/split_gpu.ts";
import { findingsOfSplit } from "../../coordinator/reproduce/caffe_con_troll/split_simulated.ts";
import { bestShare } from "../../coordinator/reproduce/caffe_con_troll/sweep.ts";
import type { Finding } from "../../coordinator/reproduce/paper.ts";
import { OutOfTime } from "../../coordinator/reproduce/pool.ts";
import { MODELS } from "../../shared/model/catalogue.ts";
import { initialParameters, layoutOf } from "../../shared/model/layout.ts";

const fileOf = (path: string): string => fileURLToPath(new URL(`../../client/node/${path}`, import.meta.url));
const PROGRAM_TIMEOUT_MS = 240_000;

const found = await findNodeAdapter(fileOf("probe.ts"));
const hasAdapter = found.adapter !== undefined;
const withoutAdapter = hasAdapter
  ? ""
  : ` (skipped: ${found.problem ?? "Node finds no graphics adapter on this machine"})`;

/** Makes a process one on a machine for which the package has no binary. */
const WITHOUT_PACKAGE = `data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from "node:module";
  registerHooks({
    resolve(specifier, context, next) {
      if (specifier === "webgpu") throw new Error("Cannot find module 'dawn.node'");
      return next(specifier, context);
    },
  });`)}`;

const LOWERING_JOB = {
  pass: "forward",
  imageSide: 6,
  kernel: 3,
  batch: 4,
  imagesAtOnce: 4,
  channels: [
    { input: 4, output: 8 },
    { input: 8, output: 4 },
  ],
  repetitions: 2,
  pieceMs: 0,
  seeds: [1, 2],
};
const LOWERINGS_REQUEST = {
  program: "lowerings.ts",
  job: LOWERING_JOB,
  seedSchema: loweringTimesSchema,
  secondsLeft: PROGRAM_TIMEOUT_MS / 1000,
} as const;

function measured<T>(answer: ProgramAnswer<T>): readonly T[] {
  if ("problem" in answer) throw new Error(answer.problem);
  return answer.seeds;
}

describe.skipIf(!hasAdapter)(`The measuring programs on Node's adapter${withoutAdapter}`, () => {
  test(
    "time all three lowerings and the engine's choice, for each seed and convolution",
    { timeout: PROGRAM_TIMEOUT_MS },
    async () => {
      const seeds = measured(await askProgram(LOWERINGS_REQUEST));
      expect(seeds).toHaveLength(2);
      for (const times of seeds) {
        expect(new Set(times.map(({ input, output }) => `${input} to ${output}`))).toEqual(
          new Set(["4 to 8", "8 to 4"]),
        );
        for (const { lowerings, rule } of times) {
          expect(lowerings.map(({ algorithm }) => algorithm)).toEqual(["lowering-1", "lowering-2", "lowering-3"]);
          for (const { ms, modelledMs } of [...lowerings, rule]) {
            expect(ms).toBeGreaterThan(0);
            expect(modelledMs).toBeGreaterThan(0);
          }
        }
      }
    },
  );

  test("say what is wrong with a job", { timeout: PROGRAM_TIMEOUT_MS }, async () => {
    expect(await askProgram({ ...LOWERINGS_REQUEST, job: { ...LOWERING_JOB, imagesAtOnce: 3 } })).toEqual({
      problem: expect.stringMatching(/^imagesAtOnce is 3; lowering-1 of \d to \d channels accepts 4\b/),
    });
    expect(await askProgram({ ...LOWERINGS_REQUEST, job: { ...LOWERING_JOB, batch: 0 } })).toEqual({
      problem: expect.stringContaining("This is no job"),
    });
  });

  test("are ended when the time is over", async () => {
    await expect(askProgram({ ...LOWERINGS_REQUEST, secondsLeft: 0.05 })).rejects.toThrow(OutOfTime);
  });

  test(
    "time a batch that an adapter on one core shares with the CPU, in every split",
    { timeout: PROGRAM_TIMEOUT_MS },
    async () => {
      const answer = await askProgram({
        program: "hybrid_speeds.ts",
        job: { model: "logistic", batch: 8, parts: 4, repetitions: 2, seeds: [1] },
        seedSchema: hybridTimesSchema,
        onOneCore: true,
        secondsLeft: PROGRAM_TIMEOUT_MS / 1000,
      });
      const [times] = measured(answer);
      expect(times?.gpuMs).toBeGreaterThan(0);
      expect(times?.cpuMs).toBeGreaterThan(0);
      expect(times?.both.ms).toBeGreaterThan(0);
      expect([1, 2, 3, 4]).toContain(times?.both.gpuParts);
      expect(times?.splits.map(({ gpuParts }) => gpuParts)).toEqual([1, 2, 3, 4]);
      for (const { ms } of times?.splits ?? []) expect(ms).toBeGreaterThan(0);
    },
  );
});

test("Without Dawn the programs answer with the reason", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [
    "--import",
    WITHOUT_PACKAGE,
    fileOf("lowerings.ts"),
    JSON.stringify(LOWERING_JOB),
  ]);
  expect(JSON.parse(stdout)).toEqual({
    adapter: null,
    problem: "The package webgpu cannot be loaded on this machine (Cannot find module 'dawn.node').",
  });
});

function timed(type: number, ms: number, modelledMs: number): LoweringTimes[number]["rule"] {
  return { algorithm: `lowering-${type}`, candidate: `lowering-${type} quads 20x2 i4 n16`, ms, modelledMs };
}

/** By ratio of input to output channels: milliseconds of types 1 and 3; type 2 is slower, and the model knows all of it. */
function timesOf(
  byRatio: Readonly<Record<number, readonly [type1: number, type3: number]>>,
  modelled = byRatio,
): LoweringTimes {
  return Object.entries(byRatio).map(([ratio, [type1, type3]]) => {
    const [modelled1, modelled3] = modelled[Number(ratio)] ?? [type1, type3];
    const lowerings = [timed(1, type1, modelled1), timed(2, 200, 200), timed(3, type3, modelled3)];
    const rule = { algorithm: "direct", candidate: "direct quads 32x2 i4", ms: 5, modelledMs: 5 };
    return { input: Number(ratio), output: 1, lowerings, rule };
  });
}

function finding(findings: readonly Finding[], id: string): Finding {
  const one = findings.find((candidate) => candidate.id === id);
  if (!one) throw new Error(`nothing was found about ${id}`);
  return one;
}

describe("Lowerings", () => {
  test("cross where speeds are equal, between neighbours on logarithmic axes", () => {
    // From twice as fast at 1 to half as fast at 4: in the middle of a logarithmic axis.
    expect(crossoverOf(timesOf({ 1: [10, 20], 4: [20, 10] }))).toBeCloseTo(2, 10);
    // log(2) down from log(2) to log(1/4): a third of the way.
    expect(crossoverOf(timesOf({ 1: [10, 20], 8: [40, 10] }))).toBeCloseTo(2, 10);
    expect(crossoverOf(timesOf({ 1: [10, 20], 4: [10, 11] }))).toBeUndefined();
    // At 2, at 8 and back, at 32: the middle of the first and the last.
    expect(crossoverOf(timesOf({ 1: [10, 20], 4: [20, 10], 16: [10, 20], 64: [20, 10] }))).toBeCloseTo(8, 10);
  });

  test("lose their advantage as a power of the ratio", () => {
    const times = Object.fromEntries([0.03, 1, 30].map((ratio) => [ratio, [10, 30 * ratio ** -0.64] as const]));
    expect(exponentOf(timesOf(times))).toBeCloseTo(-0.64, 10);
  });

  test("as in the paper reproduce every claim", () => {
    const paper = { 0.03: [10, 100], 0.25: [10, 37.5], 1: [10, 16], 3: [10, 6], 6: [20, 7], 30: [50, 6] } as const;
    const findings = findingsOfLowerings([timesOf(paper), timesOf({ ...paper, 1: [10, 16.1], 3: [10, 6.1] })]);
    expect(findings.map(({ verdict }) => verdict)).toEqual(Array.from({ length: 6 }, () => "reproduced"));
    expect(finding(findings, "type-1-below")).toMatchObject({ note: "At a ratio of 1." });
    expect(finding(findings, "type-1-below").measured).toBeCloseTo(1.605, 3);
    expect(finding(findings, "type-3-above")).toMatchObject({ note: "At a ratio of 3." });
    expect(finding(findings, "crossover").measured).toBeCloseTo(1.68, 1);
  });

  test("that are the other way round reproduce none, and a model that takes the slower one is found out", () => {
    const turned = { 0.25: [20, 10], 1: [15, 10], 4: [10, 15] } as const;
    const wrong = { 0.25: [1, 2], 1: [1, 2], 4: [2, 1] } as const;
    const findings = findingsOfLowerings([timesOf(turned, wrong), timesOf({ ...turned, 1: [15.1, 10] }, wrong)]);
    expect(finding(findings, "type-1-below")).toMatchObject({ verdict: "not reproduced", measured: 0.5 });
    expect(finding(findings, "type-3-above")).toMatchObject({ verdict: "not reproduced" });
    expect(finding(findings, "advantage-falls")).toMatchObject({ verdict: "not reproduced" });
    expect(finding(findings, "model-chooses")).toMatchObject({ verdict: "not reproduced", measured: 2 });
  });

  test("of which one wins everywhere have no crossover", () => {
    const findings = findingsOfLowerings([
      timesOf({ 1: [10, 20], 4: [10, 11] }),
      timesOf({ 1: [10, 20], 4: [12, 11] }),
    ]);
    expect(finding(findings, "crossover")).toMatchObject({
      verdict: "inconclusive",
      measured: null,
      note: "In 1 of 2 seeds one type won everywhere.",
    });
    expect(() => atRatio([timesOf({ 1: [10, 20] })], 2)).toThrow("invariant violation");
  });
});

/** A step takes as long as the slower of two devices that are done with their shares. */
function sweepOf(parts: number, ratio: number): { share: number; seconds: number }[] {
  return Array.from({ length: parts - 1 }, (_, index) => {
    const share = (index + 1) / parts;
    return { share, seconds: Math.max(share, (1 - share) * ratio) };
  });
}

describe("A batch that is split", () => {
  test("has its best share where a parabola through the fastest splits is least, or at the end of the sweep", () => {
    const parabola = [0.2, 0.4, 0.6, 0.8].map((share) => ({ share, seconds: 1 + (share - 0.53) ** 2 }));
    expect(bestShare(parabola)).toBeCloseTo(0.53, 10);
    expect(bestShare(parabola.map(({ share }) => ({ share, seconds: share })))).toBe(0.2);
  });

  test("is done soonest at the ratio of speeds, in simulated time", () => {
    const outcome = (ratio: number, bySpeed: number): Parameters<typeof findingsOfSplit>[0][number] => ({
      ratio,
      alone: [1, 1.01],
      equal: [ratio / 2, ratio / 2],
      bySpeed: [bySpeed, bySpeed],
      sweeps: [sweepOf(24, ratio), sweepOf(24, ratio)],
    });
    const papers = 1.04 / 0.44;
    const fine = findingsOfSplit([outcome(1, 0.5), outcome(papers, 0.71), outcome(3, 0.75)]);
    expect(fine.map(({ verdict }) => verdict)).toEqual(Array.from({ length: 4 }, () => "reproduced"));
    expect(finding(fine, "speed-beats-equal").note).toBe("At speeds of 2.36 : 1.");
    const late = findingsOfSplit([outcome(papers, 1.1), outcome(3, 2)]);
    expect(late.map(({ verdict }) => verdict)).toEqual([
      "reproduced",
      "not reproduced",
      "not reproduced",
      "not reproduced",
    ]);
    const wrong = { ...outcome(3, 0.75), sweeps: [sweepOf(24, 1), sweepOf(24, 1)] };
    expect(finding(findingsOfSplit([wrong]), "best-split-is-the-ratio")).toMatchObject({
      measured: -0.25,
      verdict: "not reproduced",
    });
  });

  test("gains on cores what the slower device adds", () => {
    const seeds = [1, 1.02].map((alone) => ({ alone, sweep: sweepOf(16, 2.5) }));
    const findings = findingsOfCores([{ times: [2, 5], parts: 16, seeds }]);
    expect(finding(findings, "cores-best-split").verdict).toBe("reproduced");
    // 11 of 16 parts; the other 5 take 2.5 times as long each.
    expect(finding(findings, "cores-gain").measured).toBeCloseTo(1.01 / ((5 / 16) * 2.5), 3);
    expect(finding(findings, "cores-gain").verdict).toBe("reproduced");
  });

  test("between unlike devices ends with what was measured, and nothing is said of a split at the end of its range", () => {
    const splits = [1, 2, 3, 4, 5, 6, 7, 8].map((gpuParts) => ({
      gpuParts,
      ms: Math.max(gpuParts * 20, (8 - gpuParts) * 10),
    }));
    const alike = { gpuMs: 160, cpuMs: 80, both: { ms: 60, gpuParts: 3 }, splits };
    const findings = findingsOfHybrid([alike, { ...alike, gpuMs: 161 }], false);
    expect(findings.map(({ verdict }) => verdict)).toEqual(["reproduced", "reproduced", "reproduced"]);
    expect(finding(findings, "hybrid-gain").note).toBe("The CPU is 2.01 times as fast as the other.");
    const slow = { ...alike, gpuMs: 1600, both: { ms: 200, gpuParts: 1 } };
    const unlike = findingsOfHybrid([slow, slow], true);
    expect(unlike.map(({ verdict }) => verdict)).toEqual(["not reproduced", "inconclusive", "not reproduced"]);
    expect(finding(unlike, "hybrid-best-split").note).toContain("0.381 of 8 parts");
  });

  test("has shares whose gradients add up to that of the whole", async () => {
    const parameters = initialParameters(layoutOf(MODELS.lenet), 1);
    const share = (firstPart: number, count: number, times = 1): Promise<Float32Array> => {
      const input: ShareInput = { model: "lenet", batch: 8, parts: 4, firstPart, count, times, parameters };
      return gradientOfShare(input);
    };
    const [whole, first, second] = [await share(0, 4), await share(0, 3, 2), await share(3, 1, 3)];
    /** In units of the largest. */
    const distance = (sumAt: (at: number) => number): number => {
      const errors = whole.map((value, at) => Math.abs(value - sumAt(at)));
      return errors.reduce((most, error) => Math.max(most, error), 0) / largestOf(whole);
    };
    expect(distance((at) => (first[at] ?? Number.NaN) + (second[at] ?? Number.NaN))).toBeLessThan(1e-5);
    expect(distance((at) => first[at] ?? Number.NaN)).toBeGreaterThan(0.01);
  });
});

function largestOf(values: Float32Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

test("The schemas take what the programs print and nothing less", () => {
  expect(v.safeParse(loweringTimesSchema, timesOf({ 1: [10, 20] })).success).toBe(true);
  expect(v.safeParse(hybridTimesSchema, { gpuMs: 1, cpuMs: 1, splits: [] }).success).toBe(false);
});
