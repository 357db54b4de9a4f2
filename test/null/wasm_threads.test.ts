import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { startHelper } from "../../client/node/helper_threads.ts";
import type { Program } from "../../shared/engine/backend.ts";
import { compilePlan, type Plan } from "../../shared/engine/plan.ts";
import { partOf, partsOf } from "../../shared/engine/wasm/threads/parts.ts";
import { createWasmBackend, type WasmSources } from "../../shared/engine/wasm/wasm_backend.ts";
import { initialParameters } from "../../shared/model/layout.ts";
import type { Layer } from "../../shared/model/layer.ts";
import { elementsOf, type ModelDescription } from "../../shared/model/model.ts";
import { Random } from "../../shared/random.ts";
import { fragmentOf, wholeOf } from "../../shared/wire/codec/codec.ts";
import { WASM_MODULES } from "../support/wasm_modules.ts";

const bytesOf = (name: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(readFileSync(new URL(`../../shared/engine/wasm/build/${name}_shared.wasm`, import.meta.url)));
const SHARED: WasmSources = { plain: bytesOf("plain"), relaxed: bytesOf("relaxed") };
const EXAMPLES = 40;

test("Parts cover a batch, begin at multiples of four images and are nearly equal", () => {
  for (let batch = 1; batch <= 40; batch++) {
    for (let threads = 1; threads <= 6; threads++) {
      const parts = partsOf(batch, threads);
      expect(parts.reduce((end, { first, count }) => (first === end && count > 0 ? end + count : NaN), 0)).toBe(batch);
      expect(parts.every(({ first }) => first % 4 === 0)).toBe(true);
      expect(parts.length).toBeLessThanOrEqual(threads);
      const counts = parts.map(({ count }) => Math.ceil(count / 4));
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    }
  }
});

test("An operation's part counts its own images and leaves the rest", () => {
  const plan = planOf(modelOf([{ kind: "conv2d", name: "conv", kernel: 3, channels: 5 }]), 8);
  for (const operation of plan.forward) {
    expect(partOf(operation, { first: 0, count: 8 }, 8)).toEqual(operation);
    const half = partOf(operation, { first: 4, count: 4 }, 8);
    if ("window" in operation && "window" in half) expect(half.window).toEqual({ ...operation.window, batch: 4 });
    if ("examples" in operation && "examples" in half) expect(half.examples).toBe(8);
  }
});

function modelOf(layers: readonly Layer[], loss: ModelDescription["loss"] = "softmax-cross-entropy"): ModelDescription {
  return {
    name: "threads",
    input: { height: 9, width: 7, channels: 3 },
    classes: 5,
    loss,
    layers: [...layers, { kind: "dense", name: "out", units: 5 }],
  };
}

function planOf(model: ModelDescription, batch: number, microBatches = 1): Plan {
  return compilePlan(model, {
    batch,
    microBatches,
    datasetExamples: EXAMPLES,
    normalisation: { mean: [0.5], deviation: [0.25] },
    augmentation: { cropPadding: 1, flip: true },
    seed: 5,
  });
}

/** Every kind of layer that threads divide differently: windows, norms over batch, rows and channels, dice, sums, joins. */
const EVERYTHING: readonly Layer[] = [
  { kind: "conv2d", name: "conv1", kernel: 3, padding: 1, channels: 7 },
  { kind: "batch-norm", name: "norm1" },
  { kind: "relu", name: "relu1" },
  { kind: "conv2d", name: "conv2", kernel: 3, padding: 1, channels: 7, bias: false },
  { kind: "batch-norm", name: "norm2" },
  { kind: "add", name: "sum", from: ["norm2", "relu1"] },
  { kind: "gelu", name: "gelu" },
  { kind: "local-response-norm", name: "response" },
  { kind: "max-pool", name: "pool1", size: 3, stride: 2, ceil: true },
  { kind: "layer-norm", name: "norm3" },
  { kind: "tanh", name: "tanh" },
  { kind: "average-pool", name: "pool2", size: 2, stride: 2 },
  { kind: "concat", name: "joined", from: ["pool2", "pool2"] },
  { kind: "dropout", name: "drop", rate: 0.3 },
  { kind: "conv2d", name: "depthwise", kernel: 1, channels: 14, groups: 14 },
  { kind: "global-average-pool", name: "mean" },
];

interface Course {
  readonly losses: readonly number[];
  readonly gradient: Float32Array;
  readonly parameters: Float32Array;
  readonly correct: number;
  readonly evaluationLoss: number;
}

async function courseOf(program: Program, seed: number): Promise<Course> {
  const { plan } = program;
  const random = new Random(seed);
  const images = Uint8Array.from({ length: EXAMPLES * elementsOf(plan.model.input) }, () => random.below(256));
  const labels = Uint8Array.from({ length: EXAMPLES }, () => random.below(plan.model.classes));
  program.loadExamples(0, images, labels);
  program.writeParameters(initialParameters(plan.layout, seed));
  const draw = (): Uint32Array => Uint32Array.from({ length: plan.batch }, () => random.below(EXAMPLES));
  const losses: number[] = [];
  for (let step = 0; step < 4; step++) {
    program.step(draw(), { learningRate: 0.05, momentum: 0.9, weightDecay: 0.01 });
    losses.push((await program.takeDifference()).meanLoss);
  }
  program.gradientStep(draw());
  const gradient = (await program.takeGradient()).values.slice(0, plan.layout.trainableElements);
  const { correct, meanLoss } = await program.evaluate(draw());
  return { losses, gradient, parameters: await program.readParameters(), correct, evaluationLoss: meanLoss };
}

/** Sums are taken in another order, and four steps carry the difference on. */
function expectNearlyEqual(actual: Float32Array, expected: Float32Array): void {
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const apart = expected.reduce((most, value, index) => Math.max(most, Math.abs(value - actual[index]!)), 0);
  expect(apart).toBeLessThan(2e-4 * largest);
}

test.each([
  { threads: 2, batch: 16, microBatches: 1 },
  { threads: 3, batch: 14, microBatches: 1 },
  { threads: 4, batch: 8, microBatches: 1 },
  { threads: 2, batch: 16, microBatches: 2 },
])(
  "[E2] $threads threads train a net of every kind of layer like one, batch $batch in $microBatches parts",
  async ({ threads, batch, microBatches }) => {
    const plan = planOf(modelOf(EVERYTHING), batch, microBatches);
    const alone = await (await createWasmBackend(WASM_MODULES)).compile(plan);
    const expected = await courseOf(alone, 11);
    alone.close();
    const backend = await createWasmBackend(SHARED, { threads, startHelper });
    expect(backend.device).toContain(`${threads} threads`);
    const program = await backend.compile(plan);
    try {
      const actual = await courseOf(program, 11);
      expect(actual.losses.map((loss) => loss.toFixed(4))).toEqual(expected.losses.map((loss) => loss.toFixed(4)));
      expectNearlyEqual(actual.gradient, expected.gradient);
      expectNearlyEqual(actual.parameters, expected.parameters);
      expect(actual.correct).toBe(expected.correct);
      expect(actual.evaluationLoss).toBeCloseTo(expected.evaluationLoss, 3);
    } finally {
      program.close();
    }
  },
);

test("Threads give the same bits each time", async () => {
  const plan = planOf(modelOf(EVERYTHING), 16);
  const backend = await createWasmBackend(SHARED, { threads: 2, startHelper });
  const courses: Course[] = [];
  for (let run = 0; run < 2; run++) {
    const program = await backend.compile(plan);
    courses.push(await courseOf(program, 3));
    program.close();
  }
  expect(courses[1]).toEqual(courses[0]);
});

test.each(["f32", "f16", "int4", "top-k"] as const)(
  "[C1] An exchange in shared memory is that of one thread: %s",
  async (codec) => {
    const plan = planOf(modelOf(EVERYTHING), 16);
    const { elements } = plan.layout;
    const [start, base] = [initialParameters(plan.layout, 3), initialParameters(plan.layout, 4)];
    const exchanged = async (sources: WasmSources, threads: number): Promise<readonly ArrayLike<number>[]> => {
      const program = await (
        await createWasmBackend(sources, threads > 1 ? { threads, startHelper } : undefined)
      ).compile(plan);
      program.writeParameters(start);
      program.rebase(base, true);
      const fragment = fragmentOf(elements, 2, 1);
      const { payload } = await program.takeEncoded({ what: "difference", codec, fragment });
      const taken = payload.slice();
      program.settleOnto({ kind: "deltas", fragment, codec, deltas: [taken, taken] }, 0.5);
      const moved = await program.readParameters();
      program.gradientStep(new Uint32Array(16));
      const told = await program.takeEncoded({ what: "gradient", codec, fragment: wholeOf(elements) });
      expect(told).toMatchObject({ isFinite: true, steps: 1 });
      program.close();
      return [taken, moved];
    };
    expect(await exchanged(SHARED, 2)).toEqual(await exchanged(WASM_MODULES, 1));
  },
);

test("A batch of fewer than eight images is done by one thread", async () => {
  const backend = await createWasmBackend(SHARED, {
    threads: 2,
    startHelper: () => {
      throw new Error("no helper is needed");
    },
  });
  const program = await backend.compile(planOf(modelOf([]), 4));
  const { losses } = await courseOf(program, 2);
  expect(losses.every(Number.isFinite)).toBe(true);
  program.close();
});

test("A helper that cannot start refuses the program with a sentence, and the others are ended", async () => {
  let ended = 0;
  const backend = await createWasmBackend(SHARED, {
    threads: 3,
    startHelper: () => ({
      ready: Promise.reject(new Error("A thread of the WASM backend did not start: no room")),
      terminate: () => void ended++,
    }),
  });
  await expect(backend.compile(planOf(modelOf([]), 16))).rejects.toThrow("did not start: no room");
  expect(ended).toBe(2);
});
