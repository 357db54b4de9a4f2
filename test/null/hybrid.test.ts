/** How a batch is split between two devices, measured by a clock that tests move: shared/engine/hybrid/. */

import { describe, expect, test } from "vitest";
import type { Backend } from "../../shared/engine/backend.ts";
import { planFor } from "../../shared/engine/fit.ts";
import { Balance, bestDivision, splitBySpeed } from "../../shared/engine/hybrid/balance.ts";
import { CallChain } from "../../shared/engine/hybrid/call_chain.ts";
import { createHybridBackend } from "../../shared/engine/hybrid/hybrid_backend.ts";
import { compilePlan, type Plan } from "../../shared/engine/plan.ts";
import type { GradientSource, StepOwner } from "../../shared/engine/shares.ts";
import { MODELS } from "../../shared/model/catalogue.ts";

const SETTINGS = { learningRate: 0.1, momentum: 0, weightDecay: 0 };
const OPTIONS = { batch: 64, datasetExamples: 64, normalisation: { mean: [0], deviation: [1] } };

/** Two devices that take a set time for each part, and the clock that they move. */
class FakeDevices {
  #nowMs = 0;
  #ownerDoneMs = 0;
  readonly #waiting: (() => void)[] = [];
  readonly #ownerMs: number;
  readonly #helperMs: number;
  /** Parts that each did. */
  readonly parts = [0, 0];

  constructor(ownerMs: number, helperMs: number) {
    this.#ownerMs = ownerMs;
    this.#helperMs = helperMs;
  }

  readonly clock = {
    nowMs: () => this.#nowMs,
    breathe: async () => this.#wake(),
  };

  owner(plan: Plan): Backend<StepOwner> {
    const parameters = new Float32Array(plan.layout.elements);
    const program = {
      plan,
      memoryBytes: 0,
      // Read once the owner has done what came before.
      readParameters: async () => {
        this.#nowMs = Math.max(this.#nowMs, this.#ownerDoneMs);
        this.#wake();
        await settled();
        return parameters;
      },
      gradientShare: (examples: Uint32Array) => {
        const count = examples.length / plan.microBatch;
        this.parts[0]! += count;
        this.#ownerDoneMs = Math.max(this.#nowMs, this.#ownerDoneMs) + count * this.#ownerMs;
      },
      completeStep: () => {},
      idle: () =>
        this.#nowMs >= this.#ownerDoneMs
          ? Promise.resolve()
          : new Promise<void>((resolve) => this.#waiting.push(resolve)),
      close: () => {},
    };
    return this.#backend("webgpu", program as unknown as StepOwner);
  }

  helper(plan: Plan): Backend<GradientSource> {
    const gradient = new Float32Array(plan.layout.elements);
    const program = {
      plan,
      memoryBytes: 0,
      gradientAt: (_: Float32Array, examples: Uint32Array) => {
        const count = examples.length / plan.microBatch;
        this.parts[1]! += count;
        this.#nowMs += count * this.#helperMs;
        return { gradient, meanLoss: 1 };
      },
      close: () => {},
    };
    return this.#backend("wasm", program as unknown as GradientSource);
  }

  #backend<P extends StepOwner | GradientSource>(name: "webgpu" | "wasm", program: P): Backend<P> {
    return {
      name,
      device: `a fake ${name}`,
      isFallback: false,
      lost: new Promise(() => {}),
      compile: () => Promise.resolve(program),
      close: () => {},
    };
  }

  #wake(): void {
    if (this.#nowMs >= this.#ownerDoneMs) for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** Lets everything happen that waits for nothing but its turn. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

describe("The split of a batch", () => {
  test.each([
    { ownerMs: 1, helperMs: 3, parts: 8, best: [6, 2] },
    { ownerMs: 1, helperMs: 1, parts: 8, best: [4, 4] },
    { ownerMs: 3, helperMs: 1, parts: 8, best: [2, 6] },
    { ownerMs: 2, helperMs: 3, parts: 10, best: [6, 4] },
    { ownerMs: 1, helperMs: 7, parts: 16, best: [14, 2] },
  ])(
    "finds the minimum of the step time, at the ratio of speeds: $ownerMs to $helperMs ms a part",
    async ({ ownerMs, helperMs, parts, best }) => {
      const plan = compilePlan(MODELS.lenet, { ...OPTIONS, batch: 4 * parts, microBatches: parts });
      const times = Array.from({ length: parts }, (_, lent) => Math.max((parts - lent) * ownerMs, lent * helperMs));
      const fastest = times.indexOf(Math.min(...times));
      expect([parts - fastest, fastest]).toEqual(best);
      const devices = new FakeDevices(ownerMs, helperMs);
      const backend = createHybridBackend({
        owner: devices.owner(plan),
        helper: devices.helper(plan),
        clock: devices.clock,
      });
      const program = await backend.compile(plan);
      const examples = new Uint32Array(plan.batch);
      // From halves on, whatever the speeds.
      expect(program.split).toEqual([Math.ceil(parts / 2), Math.floor(parts / 2)]);
      const stepped = async (): Promise<number> => {
        const begunMs = devices.clock.nowMs();
        program.step(examples, SETTINGS);
        await program.readParameters();
        return devices.clock.nowMs() - begunMs;
      };
      const firstMs = await stepped();
      for (let step = 0; step < 40; step++) await stepped();
      expect(program.split).toEqual(best);
      expect(await stepped()).toBe(Math.min(...times));
      expect(firstMs).toBe(times[Math.floor(parts / 2)]);
      expect(devices.parts[0]! + devices.parts[1]!).toBe(42 * parts);
    },
  );

  test("gives whole parts in proportion to speed, and the owner one at least", () => {
    expect(splitBySpeed(8, [3, 1])).toEqual([6, 2]);
    expect(splitBySpeed(8, [2, 1])).toEqual([5, 3]);
    expect(splitBySpeed(7, [1, 1])).toEqual([4, 3]);
    expect(splitBySpeed(8, [100, 1])).toEqual([8, 0]);
    expect(splitBySpeed(8, [1, 100])).toEqual([1, 7]);
    expect(splitBySpeed(1, [1, 1])).toEqual([1, 0]);
  });

  test("follows a device that slows down, by measurements of which one alone moves little", () => {
    const balance = new Balance([30, 10]);
    expect(balance.split(8)).toEqual([6, 2]);
    // In other units than the guess: the proportion stands until both are measured.
    balance.record(0, 6, 60);
    expect(balance.split(8)).toEqual([6, 2]);
    balance.record(1, 2, 60);
    expect(balance.split(8)).toEqual([6, 2]);
    balance.record(0, 6, 300);
    expect(balance.split(8)).toEqual([6, 2]);
    for (let step = 0; step < 20; step++) balance.record(0, 6, 300);
    expect(balance.split(8)).toEqual([3, 5]);
    balance.record(1, 0, 0);
    expect(balance.split(8)).toEqual([3, 5]);
  });
});

describe("The number of parts", () => {
  test("is as small as the ratio of speeds allows, for every part costs", () => {
    expect(bestDivision(64, [1, 1])?.parts).toBe(2);
    expect(bestDivision(64, [3, 1])?.parts).toBe(4);
    expect(bestDivision(64, [1, 3])?.parts).toBe(4);
    expect(bestDivision(7, [1, 1])?.parts).toBe(7);
    expect(bestDivision(1, [1, 1])).toBeUndefined();
  });

  test("promises more than the faster device alone only where the slower one is worth a part", () => {
    expect(bestDivision(64, [1, 1])!.speedup).toBeCloseTo(2 / 1.035, 5);
    expect(bestDivision(64, [3, 1])!.speedup).toBeCloseTo(4 / 3 / 1.105, 5);
    expect(bestDivision(64, [40, 1])!.speedup).toBeLessThan(1);
  });

  test("is what a hybrid asks of a plan; batch norms and single examples it refuses in words", async () => {
    const plan = compilePlan(MODELS.lenet, OPTIONS);
    const devices = new FakeDevices(1, 1);
    const hybrid = (speeds: readonly [number, number]): ReturnType<typeof createHybridBackend> =>
      createHybridBackend({ owner: devices.owner(plan), helper: devices.helper(plan), clock: devices.clock, speeds });
    expect(planFor(hybrid([1, 1]), MODELS.lenet, OPTIONS).microBatches).toBe(2);
    expect(planFor(hybrid([3, 1]), MODELS.lenet, OPTIONS).microBatches).toBe(4);
    expect(() => planFor(hybrid([1, 1]), MODELS["resnet-20"], OPTIONS)).toThrow(/batch norms trains on one device/);
    expect(() => planFor(hybrid([1, 1]), MODELS.lenet, { ...OPTIONS, batch: 1 })).toThrow(/batch of one example/);
    await expect(hybrid([1, 1]).compile(compilePlan(MODELS["resnet-20"], OPTIONS))).rejects.toThrow(/batch norms/);
    expect(hybrid([1, 1]).device).toBe("a fake webgpu together with a fake wasm");
  });
});

describe("A chain of calls", () => {
  test("does each after the one before, and at once where nothing is under way", async () => {
    const chain = new CallChain();
    const done: string[] = [];
    chain.do(() => void done.push("at once"));
    expect(done).toEqual(["at once"]);
    const gate = Promise.withResolvers<void>();
    chain.do(async () => {
      await gate.promise;
      done.push("slow");
    });
    const answer = chain.ask(async () => {
      done.push("asked");
      return 7;
    });
    chain.do(() => void done.push("last"));
    expect(chain.isFree).toBe(false);
    expect(done).toEqual(["at once"]);
    gate.resolve();
    expect(await answer).toBe(7);
    await settled();
    expect(done).toEqual(["at once", "slow", "asked", "last"]);
    expect(chain.isFree).toBe(true);
  });

  test("throws at every later call what one has thrown; a question's failure is its asker's alone", async () => {
    const chain = new CallChain();
    await expect(chain.ask(() => Promise.reject(new Error("no answer")))).rejects.toThrow("no answer");
    chain.do(async () => {
      await settled();
      throw new Error("it broke");
    });
    let ran = false;
    chain.do(() => void (ran = true));
    await expect(chain.ask(() => Promise.resolve(1))).rejects.toThrow("it broke");
    expect(() => chain.do(() => {})).toThrow("it broke");
    expect(ran).toBe(false);
  });
});
