/** Which backend a volunteer trains on, and how that is measured: client/participation/choice.ts and measurement.ts. */

import { describe, expect, test } from "vitest";
import type { BackendMeasurement } from "../../client/messages.ts";
import { chooseBackend } from "../../client/participation/choice.ts";
import { speedsOf, whyAlone } from "../../client/participation/hybrid.ts";
import { measure, type MeasurementOptions } from "../../client/participation/measurement.ts";
import type { Backend } from "../../shared/engine/backend.ts";
import { compilePlan, type Plan } from "../../shared/engine/plan.ts";
import { MODELS } from "../../shared/model/catalogue.ts";
import { HandClock } from "../support/hand_clock.ts";
import { QuadraticProgram } from "../support/quadratic_program.ts";
import { TINY_MODEL } from "../support/tiny_run.ts";

const WASM: BackendMeasurement = { backend: "wasm", device: "WASM SIMD", samplesPerSecond: 820, note: undefined };
const SOFTWARE: BackendMeasurement = {
  backend: "webgpu",
  device: "SwiftShader (software)",
  samplesPerSecond: 90,
  note: undefined,
};
const NONE: BackendMeasurement = {
  backend: "webgpu",
  device: "WebGPU",
  samplesPerSecond: undefined,
  note: "This browser has no WebGPU.",
};

const ADVICE = "Try a current Chrome.";

describe("Choice", () => {
  test("The faster backend trains, and one sentence says what was measured and why", () => {
    const choice = chooseBackend([WASM, SOFTWARE], "auto", ADVICE);
    expect(choice).toEqual({
      backend: "wasm",
      device: "WASM SIMD",
      reason:
        "WASM SIMD: 820 samples/s. WebGPU on SwiftShader (software): 90 samples/s. WASM is 9.1 times faster here.",
      measured: [WASM, SOFTWARE],
    });
    expect(chooseBackend([WASM, { ...SOFTWARE, samplesPerSecond: 12_345 }], "auto", ADVICE)).toMatchObject({
      backend: "webgpu",
      reason: expect.stringContaining("12,300 samples/s. WebGPU is 15.1 times faster here."),
    });
  });

  test("Two that are as good as equal are not called faster", () => {
    expect(chooseBackend([WASM, { ...SOFTWARE, samplesPerSecond: 810 }], "auto", ADVICE)).toMatchObject({
      backend: "wasm",
      reason: expect.stringContaining("WASM is no slower than WebGPU here."),
    });
  });

  test("The one that works trains where the other does not, and the reason says what is missing", () => {
    expect(chooseBackend([WASM, NONE], "auto", ADVICE)).toMatchObject({
      backend: "wasm",
      reason: "WASM SIMD: 820 samples/s. WebGPU was not measured: This browser has no WebGPU.",
    });
  });

  test("Where nothing works a sentence says what stands in the way of each", () => {
    const nothing = chooseBackend(
      [{ ...WASM, samplesPerSecond: undefined, note: "It has no SIMD." }, NONE],
      "auto",
      ADVICE,
    );
    expect(nothing).toEqual({ problem: expect.stringMatching(/no SIMD.*no WebGPU.*current/) });
  });

  test("A backend that was asked for trains, be it the slower one; where it cannot, a sentence says so and the fix", () => {
    expect(chooseBackend([SOFTWARE], "webgpu", ADVICE)).toMatchObject({
      backend: "webgpu",
      reason: "WebGPU on SwiftShader (software): 90 samples/s. WebGPU was asked for.",
    });
    expect(chooseBackend([NONE], "webgpu", ADVICE)).toEqual({
      problem: expect.stringMatching(/no WebGPU.*ask for WASM/),
    });
  });
});

const GPU: BackendMeasurement = {
  backend: "webgpu",
  device: "a small GPU",
  samplesPerSecond: 1000,
  note: undefined,
};

/** Both together. */
function hybridAt(samplesPerSecond: number | undefined, note?: string): BackendMeasurement {
  return { backend: "hybrid", device: "a small GPU together with WASM SIMD", samplesPerSecond, note };
}

function planOf(model: keyof typeof MODELS, batch = 64): Plan {
  return compilePlan(MODELS[model], { batch, datasetExamples: 64, normalisation: { mean: [0], deviation: [1] } });
}

describe("A GPU and a CPU together", () => {
  test("[E15] train where that is faster than the better one alone, and the reason says by how much", () => {
    expect(chooseBackend([WASM, GPU, hybridAt(1300)], "auto", ADVICE)).toMatchObject({
      backend: "hybrid",
      reason:
        "WASM SIMD: 820 samples/s. WebGPU on a small GPU: 1,000 samples/s. Hybrid on a small GPU together with WASM SIMD: " +
        "1,300 samples/s. Hybrid is 1.3 times faster than WebGPU here.",
    });
  });

  test("[E15] do not where the gain is smaller than a measurement's error, and the reason says so", () => {
    expect(chooseBackend([WASM, GPU, hybridAt(1030)], "auto", ADVICE)).toMatchObject({
      backend: "webgpu",
      reason: expect.stringMatching(/WebGPU alone is taken: both together are no more than 1\.03 times faster here\.$/),
    });
    expect(chooseBackend([WASM, GPU, hybridAt(600)], "auto", ADVICE)).toMatchObject({
      backend: "webgpu",
      reason: expect.stringMatching(/WebGPU is 1\.2 times faster than WASM here\.$/),
    });
  });

  test("train where they are asked for, or a sentence says why not", () => {
    expect(chooseBackend([WASM, GPU, hybridAt(600)], "hybrid", ADVICE)).toMatchObject({
      backend: "hybrid",
      reason: expect.stringMatching(/600 samples\/s\. Hybrid was asked for\.$/),
    });
    expect(chooseBackend([WASM, NONE, hybridAt(undefined, "There is no adapter.")], "hybrid", ADVICE)).toEqual({
      problem: expect.stringMatching(
        /^Hybrid was asked for, but cannot train here\. There is no adapter\. .*ask for WASM/,
      ),
    });
  });

  test("are not even tried where they cannot win: in software, with batch norms, or far apart in speed", () => {
    const fast = { isFallback: false };
    expect(whyAlone(planOf("lenet"), fast, [1000, 820])).toBeUndefined();
    expect(whyAlone(planOf("lenet"), { isFallback: true }, [90, 820])).toMatch(/WebGPU is software here/);
    expect(whyAlone(planOf("resnet-20"), fast, [1000, 820])).toMatch(/batch norms trains on one device/);
    expect(whyAlone(planOf("lenet", 1), fast, [1000, 820])).toMatch(/batch of one example/);
    expect(whyAlone(planOf("lenet"), fast, [40_000, 820])).toMatch(/would be 0\.\d+ times as fast as the better one/);
    expect(speedsOf([WASM, GPU])).toEqual([1000, 820]);
    expect(speedsOf([WASM, NONE])).toBeUndefined();
  });

  test("that were not tried are in the reason, and in no refusal", () => {
    const note = "WebGPU is software here, on the very processor that WASM computes on.";
    expect(chooseBackend([WASM, SOFTWARE, hybridAt(undefined, note)], "auto", ADVICE)).toMatchObject({
      backend: "wasm",
      reason: expect.stringContaining(`Hybrid was not measured: ${note} WASM is 9.1 times faster here.`),
    });
    const broken = [{ ...WASM, exam: "It failed." }, NONE, hybridAt(undefined, note)];
    expect(chooseBackend(broken, "auto", ADVICE)).toEqual({ problem: expect.not.stringContaining("Hybrid") });
  });
});

/** A backend whose steps take `stepMs` of a clock that the steps themselves move. */
function backendOf(
  stepMs: number,
  isFallback: boolean,
  compileMs = 0,
): { backend: Backend; options: MeasurementOptions; program: QuadraticProgram } {
  const clock = new HandClock();
  const program = new QuadraticProgram(TINY_MODEL, 20);
  let queued = 0;
  program.idle = async () => {
    const steps = queued;
    queued = 0;
    await clock.advance(steps * stepMs, stepMs);
  };
  const step = program.step.bind(program);
  program.step = (examples, settings) => {
    queued++;
    step(examples, settings);
  };
  let isClosed = false;
  const backend: Backend & { readonly isClosed: boolean } = {
    name: "webgpu",
    device: "a test",
    isFallback,
    lost: new Promise(() => {}),
    compile: async () => {
      await clock.advance(compileMs, 100);
      return program;
    },
    close: () => (isClosed = true),
    get isClosed() {
      return isClosed;
    },
  };
  const shard = { first: 8, count: 6, images: new Uint8Array(24), labels: new Uint8Array(6) };
  const options: MeasurementOptions = {
    plan: program.plan,
    seed: 1,
    shard,
    clock,
    between: async () => {},
    bounds: { compileMs: 8000, stepsMs: 3000 },
  };
  return { backend, options, program };
}

describe("Measurement", () => {
  test("A GPU is measured with a filled queue and without its warm-up", async () => {
    const { backend, options, program } = backendOf(10, false);
    const measured = await measure(backend, options);
    // Four samples in 10 ms.
    expect(measured.measurement.samplesPerSecond).toBeCloseTo(400, 0);
    expect(measured.program).toBe(program);
    expect(program.steps).toBeGreaterThan(60);
  });

  test("Only examples of the loaded shard are used, and no loss is left for the first exchange", async () => {
    const { backend, options, program } = backendOf(10, false);
    await measure(backend, options);
    expect(new Set(program.drawn.flatMap((batch) => [...batch]))).toEqual(new Set([8, 9, 10, 11, 12, 13]));
    expect((await program.takeDifference()).steps).toBe(0);
  });

  test("In software one step after the warm-up is enough, or the warm-up itself where there is no time for another", async () => {
    const slow = backendOf(700, true);
    expect((await measure(slow.backend, slow.options)).measurement.samplesPerSecond).toBeCloseTo(4 / 0.7, 1);
    expect(slow.program.steps).toBe(2);
    const slower = backendOf(2000, true);
    expect((await measure(slower.backend, slower.options)).measurement.samplesPerSecond).toBeCloseTo(2, 1);
    expect(slower.program.steps).toBe(1);
  });

  test("What takes too long to compile or to step is closed, and a note says so", async () => {
    const compiling = backendOf(10, false, 20_000);
    const first = await measure(compiling.backend, compiling.options);
    expect(first).toEqual({
      measurement: {
        backend: "webgpu",
        device: "a test",
        samplesPerSecond: undefined,
        note: "Compiling took longer than 8 s.",
      },
      program: undefined,
    });
    expect(compiling.backend).toMatchObject({ isClosed: true });
    const stepping = backendOf(5000, true);
    stepping.program.idle = () => stepping.options.clock.sleep(1e9);
    const measuring = measure(stepping.backend, stepping.options);
    await (stepping.options.clock as HandClock).advance(4000);
    expect((await measuring).measurement.note).toBe("One step took longer than 3 s.");
    expect(stepping.program.isClosed).toBe(true);
  });

  test("[E4] Stop ends a measurement between two steps", async () => {
    const { backend, options, program } = backendOf(10, false);
    let calls = 0;
    const between = async (): Promise<void> => {
      if (++calls >= 3) throw new Error("stopped");
    };
    await expect(measure(backend, { ...options, between })).rejects.toThrow("stopped");
    expect(program.steps).toBe(2);
    expect(program.isClosed).toBe(true);
  });
});
