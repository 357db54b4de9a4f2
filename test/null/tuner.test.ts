import { describe, expect, test } from "vitest";
import { compilePlan } from "../../shared/engine/plan.ts";
import type { TunedProduct } from "../../shared/engine/tuning.ts";
import { candidateName, type Candidate, type Product } from "../../shared/engine/webgpu/choice/candidate.ts";
import { candidatesOf } from "../../shared/engine/webgpu/choice/candidates.ts";
import { modelledMs } from "../../shared/engine/webgpu/choice/cost_model.ts";
import { chooseByRule } from "../../shared/engine/webgpu/choice/rule.ts";
import { leastMs } from "../../shared/engine/webgpu/tuner/bench.ts";
import { deviceKey } from "../../shared/engine/webgpu/tuner/memory_of_winners.ts";
import { imagesWithin, reducedCandidate } from "../../shared/engine/webgpu/tuner/reduction.ts";
import { tuneWorks, type Tuned, type TunerOptions } from "../../shared/engine/webgpu/tuner/tuner.ts";
import { inOrder, worksOf, type Work } from "../../shared/engine/webgpu/tuner/works.ts";
import { MODELS } from "../../shared/model/catalogue.ts";
import { FakeBench, type FakeKernel } from "../support/fake_bench.ts";
import { MapOfWinners } from "../support/map_of_winners.ts";

const SOFTWARE = { isFallback: true, hasSubgroups: true, hasF16: false };
const HARDWARE = { isFallback: false, hasSubgroups: true, hasF16: false };
const NORMALISATION = { mean: [0.5], deviation: [0.25] };
const ADAPTER = { vendor: "acme", architecture: "one", device: "0x1", description: "Acme One" };
const SHADERS = new Map([["convolve", "fn main() {}"]]);

function worksFor(model: "lenet" | "resnet-20", batch: number, traits = HARDWARE): readonly Work[] {
  return worksOf(compilePlan(MODELS[model], { batch, datasetExamples: batch, normalisation: NORMALISATION }), traits);
}

function tune(works: readonly Work[], bench: FakeBench, options: Partial<TunerOptions> = {}): Promise<Tuned> {
  return tuneWorks(works, bench, {
    budgetMs: 1e9,
    nowMs: () => bench.spentMs,
    traits: HARDWARE,
    deviceKey: deviceKey(ADAPTER, HARDWARE, SHADERS),
    ...options,
  });
}

/** All take as long, but for the candidates that `times` knows. */
function kernels(times: (name: string, product: Product) => Partial<FakeKernel> | undefined) {
  return (product: Product, candidate: Candidate): FakeKernel => ({
    ms: 1,
    compileMs: 10,
    ...times(candidateName(candidate), product),
  });
}

/** One work whose fifth candidate is the fastest. */
function fifthWins(work: Work): (name: string) => Partial<FakeKernel> | undefined {
  const fifth = candidateName(work.candidates[4]!);
  return (name) => (name === fifth ? { ms: 0.25 } : undefined);
}

describe("What is tuned, and in which order", () => {
  test("Equal products are one work, and the dearest by the model comes first", () => {
    const works = worksFor("resnet-20", 32);
    const keys = works.map(({ key }) => key);
    expect(new Set(keys).size).toBe(keys.length);
    // The convolutions within a stage are alike.
    expect(works.some(({ count }) => count >= 5)).toBe(true);
    const ms = works.map(({ product, count, candidates }) => count * modelledMs(HARDWARE, product, candidates[0]!));
    expect(ms).toEqual(ms.toSorted((a, b) => b - a));
    expect(works.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 6);
  });

  test("The rule's choice is first, then the model's order, and what it rules out is left out", () => {
    for (const traits of [SOFTWARE, HARDWARE]) {
      for (const { product, candidates } of worksFor("lenet", 64, traits)) {
        const [first, ...others] = candidates;
        expect(candidateName(first!)).toBe(candidateName(chooseByRule(traits, product)));
        const ms = others.map((candidate) => modelledMs(traits, product, candidate));
        expect(ms).toEqual(ms.toSorted((a, b) => a - b));
        const all = candidatesOf(traits, product).map((candidate) => modelledMs(traits, product, candidate));
        expect(candidates.length).toBeLessThanOrEqual(all.length);
        for (const one of ms) expect(one).toBeLessThanOrEqual(3 * Math.min(...all));
      }
    }
  });

  test("A software adapter is spared the kernels with barriers", () => {
    for (const { product } of worksFor("resnet-20", 8, SOFTWARE)) {
      expect(inOrder(SOFTWARE, product).map(({ algorithm }) => algorithm)).not.toContain("tiled");
    }
  });
});

describe("Reduction", () => {
  test("As many images are measured as the limit has time for, and never none", () => {
    expect(imagesWithin(50, 40, 64)).toBe(64);
    expect(imagesWithin(50, 200, 64)).toBe(16);
    expect(imagesWithin(50, 1e6, 64)).toBe(1);
  });

  test("Fewer images are lowered at once, and splits keep their length", () => {
    const candidate: Candidate = {
      algorithm: "lowering-1",
      tile: { variant: "plain", rows: 8, columns: 2, invocations: 64 },
      images: 64,
      splits: 16,
      storage: "f32",
    };
    expect(reducedCandidate(candidate, 64, 16)).toMatchObject({ images: 16, splits: 4 });
    expect(reducedCandidate(candidate, 64, 1)).toMatchObject({ images: 1, splits: 1 });
    expect(reducedCandidate(candidate, 64, 64)).toEqual(candidate);
  });

  test("A product that turns out slower than modelled is reduced again, and its times are scaled to the batch", async () => {
    const [work] = worksFor("lenet", 64);
    const perImageMs = 20;
    const bench = new FakeBench((product) => ({ ms: perImageMs * product.window.batch }));
    const { result } = await tune([work!], bench);
    const [product] = result.products as [TunedProduct];
    expect(product.measuredImages).toBe(2);
    expect(product.ms).toBeCloseTo(perImageMs * 64, 6);
    expect(bench.measured.at(-1)?.images).toBe(2);
  });

  test("Candidates that are the same over fewer images are measured once", async () => {
    const [work] = worksFor("lenet", 64);
    const bench = new FakeBench((product) => ({ ms: 60 * product.window.batch }));
    const { result } = await tune([work!], bench);
    const runs = bench.measured.filter(({ images }) => images === 1).map(({ candidate }) => candidate);
    expect(new Set(runs).size).toBe(runs.length);
    expect(result.products[0]!.tried).toHaveLength(work!.candidates.length);
  });
});

describe("The search", () => {
  test("The fastest wins, whatever the model thought of it", async () => {
    const [work] = worksFor("lenet", 8);
    const { result, winners } = await tune([work!], new FakeBench(kernels(fifthWins(work!))));
    const fifth = candidateName(work!.candidates[4]!);
    expect(result.products[0]).toMatchObject({ winner: fifth, from: "measured", ms: 0.25, ruleMs: 1 });
    expect(result.speedup).toBeCloseTo(4, 6);
    expect(candidateName(winners.get(work!.key)!)).toBe(fifth);
    expect(result.isComplete).toBe(true);
  });

  test("A kernel that writes other numbers never wins, nor one that writes no number at all", async () => {
    const [work] = worksFor("lenet", 8);
    for (const output of [Float32Array.of(1, 2.1, 3), Float32Array.of(1, Number.NaN, 3), Float32Array.of(1, 2)]) {
      const fifth = candidateName(work!.candidates[4]!);
      const bench = new FakeBench(kernels((name) => (name === fifth ? { ms: 0.01, output } : undefined)));
      const { result } = await tune([work!], bench);
      expect(result.products[0]!.winner).toBe(candidateName(work!.candidates[0]!));
      expect(result.products[0]!.failed).toMatchObject([{ candidate: fifth }]);
      expect(result.products[0]!.failed[0]!.reason).toMatch(/^It writes other numbers than /);
    }
  });

  test("What does not compile is passed over, remembered with its sentence, and not tried again", async () => {
    const [work] = worksFor("lenet", 8);
    const second = candidateName(work!.candidates[1]!);
    const failing = kernels((name) => (name === second ? { compileError: "No such thing." } : undefined));
    const winners = new MapOfWinners();
    const { result } = await tune([work!], new FakeBench(failing), { winners, budgetMs: 25 });
    expect(result.products[0]!.failed).toEqual([{ candidate: second, reason: "No such thing." }]);
    const later = new FakeBench(kernels(() => undefined));
    await tune([work!], later, { winners });
    expect(later.measured.map(({ candidate }) => candidate)).not.toContain(second);
    expect(later.measured.length).toBeGreaterThan(1);
  });

  test("A little faster is not enough: the next start's noise would choose otherwise", async () => {
    const [work] = worksFor("lenet", 8);
    const second = candidateName(work!.candidates[1]!);
    const { result } = await tune([work!], new FakeBench(kernels((name) => (name === second ? { ms: 0.98 } : {}))));
    expect(result.products[0]!.winner).toBe(candidateName(work!.candidates[0]!));
  });

  test("Every stand is closed again", async () => {
    const bench = new FakeBench(kernels(() => undefined));
    await tune(worksFor("lenet", 8), bench, { budgetMs: 200 });
    expect(bench.stands).toBe(0);
  });
});

describe("The budget", () => {
  test("No kernel is begun after it is spent, and what is left keeps the rule's choice", async () => {
    const works = worksFor("lenet", 8);
    const bench = new FakeBench(kernels(() => undefined));
    const { result, winners } = await tune(works, bench, { budgetMs: 100 });
    // The last kernel was begun with time left: 10 ms of compiling and at most two measurements more.
    expect(bench.spentMs).toBeGreaterThanOrEqual(100);
    expect(bench.spentMs).toBeLessThan(100 + 13);
    expect(result.isComplete).toBe(false);
    const left = works.filter((_, at) => result.products[at]!.from === "rule");
    expect(left.length).toBeGreaterThan(0);
    for (const { key, candidates } of left) expect(winners.get(key)).toBe(candidates[0]);
  });

  test("Each product has its share of it, and what one leaves goes to the others", async () => {
    const [one, other] = worksFor("lenet", 8) as [Work, Work];
    const shared = [
      { ...one, share: 0.5 },
      { ...other, share: 0.5 },
    ] as const;
    const bench = new FakeBench(kernels(() => undefined));
    const { result } = await tune(shared, bench, { budgetMs: 100 });
    expect(result.products.map(({ from }) => from)).toEqual(["measured", "measured"]);
    const few = [{ ...shared[0], candidates: one.candidates.slice(0, 1) }, shared[1]];
    const later = new FakeBench(kernels(() => undefined));
    const { result: second } = await tune(few, later, { budgetMs: 100 });
    expect(second.products[1]!.tried.length).toBeGreaterThan(result.products[1]!.tried.length);
  });

  test("With none nothing is measured", async () => {
    const bench = new FakeBench(kernels(() => undefined));
    const { result } = await tune(worksFor("lenet", 8), bench, { budgetMs: 0 });
    expect(bench.measured).toEqual([]);
    expect(result.products.every(({ from }) => from === "rule")).toBe(true);
  });

  test("What `between` throws ends the tuning, and what was learnt until then is kept", async () => {
    const [work] = worksFor("lenet", 8);
    const winners = new MapOfWinners();
    let calls = 0;
    const between = (): Promise<void> => (calls++ < 6 ? Promise.resolve() : Promise.reject(new Error("Stop.")));
    const bench = new FakeBench(kernels(() => undefined));
    await expect(tune([work!], bench, { winners, between })).rejects.toThrow("Stop.");
    expect(winners.entries.size).toBe(1);
    expect(bench.stands).toBe(0);
  });

  test("Progress counts the settled products", async () => {
    const works = worksFor("lenet", 8);
    const told: number[] = [];
    await tune(works, new FakeBench(kernels(() => undefined)), { onProgress: ({ settled }) => told.push(settled) });
    expect(told).toEqual(Array.from({ length: works.length + 1 }, (_, settled) => settled));
  });
});

describe("What is remembered", () => {
  test("A second start measures nothing and uses the winners", async () => {
    const works = worksFor("lenet", 8);
    const winners = new MapOfWinners();
    const first = await tune(works, new FakeBench(kernels(fifthWins(works[0]!))), { winners });
    const bench = new FakeBench(kernels(() => undefined));
    const second = await tune(works, bench, { winners });
    expect(bench.measured).toEqual([]);
    expect(bench.spentMs).toBe(0);
    expect(second.result.products.map(({ winner }) => winner)).toEqual(
      first.result.products.map(({ winner }) => winner),
    );
    expect(second.result.products.every(({ from }) => from === "remembered")).toBe(true);
    expect(second.result.speedup).toBeCloseTo(first.result.speedup, 6);
  });

  test("An interrupted search goes on where it stopped, against the winner so far", async () => {
    const [work] = worksFor("lenet", 8);
    const winners = new MapOfWinners();
    const fifth = fifthWins(work!);
    const first = await tune([work!], new FakeBench(kernels(fifth)), { winners, budgetMs: 60 });
    expect(first.result.products[0]!.winner).toBe(candidateName(work!.candidates[4]!));
    const bench = new FakeBench(kernels(fifth));
    const second = await tune([work!], bench, { winners });
    expect(second.result.products[0]!.winner).toBe(candidateName(work!.candidates[4]!));
    expect(second.result.isComplete).toBe(true);
    const again = new Set(bench.measured.map(({ candidate }) => candidate));
    for (const candidate of work!.candidates.slice(1, 4)) expect(again).not.toContain(candidateName(candidate));
  });

  test("Another adapter, another driver's words, other features and a changed shader find nothing", async () => {
    const [work] = worksFor("lenet", 8);
    const winners = new MapOfWinners();
    await tune([work!], new FakeBench(kernels(() => undefined)), { winners });
    const others = [
      deviceKey({ ...ADAPTER, architecture: "two" }, HARDWARE, SHADERS),
      deviceKey({ ...ADAPTER, description: "Acme One, driver 2" }, HARDWARE, SHADERS),
      deviceKey(ADAPTER, { ...HARDWARE, hasSubgroups: false }, SHADERS),
      deviceKey(ADAPTER, HARDWARE, new Map([["convolve", "fn main() { }"]])),
      deviceKey(ADAPTER, HARDWARE, new Map([["fold", "fn main() {}"]])),
    ];
    expect(new Set(others).size).toBe(others.length);
    for (const other of others) {
      const bench = new FakeBench(kernels(() => undefined));
      await tune([work!], bench, { winners, deviceKey: other });
      expect(bench.measured.length).toBeGreaterThan(0);
    }
    const same = deviceKey({ ...ADAPTER }, { ...HARDWARE }, new Map(SHADERS));
    expect(same).toBe(deviceKey(ADAPTER, HARDWARE, SHADERS));
  });

  test("Whatever is not what we wrote is ignored", async () => {
    const [work] = worksFor("lenet", 8);
    const winners = new MapOfWinners();
    await tune([work!], new FakeBench(kernels(() => undefined)), { winners });
    const [[key, good]] = [...winners.entries] as [[string, string]];
    const entry = JSON.parse(good) as Record<string, unknown>;
    const bad = [
      "",
      "null",
      "[]",
      good.slice(0, -2),
      JSON.stringify({ ...entry, version: 0 }),
      JSON.stringify({ ...entry, winner: "no such kernel" }),
      JSON.stringify({ ...entry, ms: -1 }),
      JSON.stringify({ ...entry, ruleMs: "fast" }),
      JSON.stringify({ ...entry, tried: [1] }),
      JSON.stringify({ ...entry, failed: [{}] }),
      JSON.stringify({ ...entry, isComplete: undefined }),
    ];
    for (const text of bad) {
      winners.entries.set(key, text);
      const bench = new FakeBench(kernels(() => undefined));
      const { result } = await tune([work!], bench, { winners });
      expect(bench.measured.length, text).toBeGreaterThan(0);
      expect(result.products[0]!.from).toBe("measured");
    }
    winners.entries.set(key, good);
    const bench = new FakeBench(kernels(() => undefined));
    await tune([work!], bench, { winners });
    expect(bench.measured).toEqual([]);
  });

  test("The candidate that was running when the device was lost is feared from then on", async () => {
    const [work] = worksFor("lenet", 8);
    const winners = new MapOfWinners();
    const third = candidateName(work!.candidates[2]!);
    const bench = new FakeBench(
      kernels((name) => {
        if (name !== third) return undefined;
        bench.lost = "The GPU device was lost: hung";
        return undefined;
      }),
    );
    await expect(tune([work!], bench, { winners })).rejects.toThrow("hung");
    const later = new FakeBench(kernels(() => undefined));
    const { result } = await tune([work!], later, { winners });
    expect(later.measured.map(({ candidate }) => candidate)).not.toContain(third);
    expect(result.products[0]!.failed).toMatchObject([{ candidate: third, reason: "The GPU device was lost: hung" }]);
  });
});

describe("Timing", () => {
  test("One execution is all that a loser gets", async () => {
    const runs: number[] = [];
    const run = (executions: number): Promise<number> => {
      runs.push(executions);
      return Promise.resolve(30 * executions);
    };
    expect(await leastMs(run, 50, 20)).toBe(30);
    expect(runs).toEqual([1]);
  });

  test("Short kernels run often in one submit, and the least counts", async () => {
    const times = [3, 0.5, 0.4, 0.6, 0.5, 0.5];
    const runs: number[] = [];
    const run = (executions: number): Promise<number> => {
      runs.push(executions);
      return Promise.resolve(times[runs.length - 1]! * executions);
    };
    expect(await leastMs(run, 50, 100)).toBeCloseTo(0.4, 6);
    expect(runs[0]).toBe(1);
    expect(Math.max(...runs)).toBeGreaterThan(10);
    const spent = runs.reduce((sum, executions, at) => sum + executions * times[at]!, 0);
    expect(spent).toBeLessThan(60);
  });
});
