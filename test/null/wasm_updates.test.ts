/** The optimizers in WASM against plain loops, update by update, and against TensorFlow.js's own where it has them. */

import * as tf from "@tensorflow/tfjs";
import { describe, expect, test } from "vitest";
import type { StepSettings } from "../../shared/engine/backend.ts";
import { UPDATE_WORDS, updateWords, type Optimizer } from "../../shared/engine/optimizer.ts";
import type { Plan } from "../../shared/engine/plan.ts";
import { instantiate, invoke, type Instance } from "../../shared/engine/wasm/kernels.ts";
import { MemoryMap } from "../../shared/engine/wasm/memory_map.ts";
import { updateInvocations } from "../../shared/engine/wasm/update_invocations.ts";
import { createWasmBackend } from "../../shared/engine/wasm/wasm_backend.ts";
import { webAssembly } from "../../shared/engine/wasm/webassembly.ts";
import { Random } from "../../shared/random.ts";
import { update } from "../reference/optimizer.ts";
import { emptyState, OPTIMIZER_CASES, optimizerPlan, randomVector, relativeError } from "../support/optimizer_cases.ts";
import { WASM_MODULES } from "../support/wasm_modules.ts";

const STEPS = 5;

/** One plan's memory with its update, NaN wherever nothing was written yet. */
class Updates {
  readonly map: MemoryMap;
  readonly #instance: Instance;
  #updates = 0;

  private constructor(map: MemoryMap, instance: Instance) {
    this.map = map;
    this.#instance = instance;
    new Float32Array(instance.memory, 0, instance.memory.byteLength / 4).fill(Number.NaN);
    this.vector(map.velocity).fill(0);
    if (map.secondMoment !== 0) this.vector(map.secondMoment).fill(0);
  }

  static async of(plan: Plan, variant: keyof typeof WASM_MODULES): Promise<Updates> {
    const map = new MemoryMap(plan);
    return new Updates(map, await instantiate(await webAssembly.compile(WASM_MODULES[variant]), map));
  }

  vector(address: number): Float32Array<ArrayBuffer> {
    return new Float32Array(this.#instance.memory, address, this.map.plan.layout.elements);
  }

  run(settings: StepSettings): void {
    this.#updates++;
    const words = [...updateWords(this.map.plan.optimizer, settings, this.#updates), 1];
    new Float32Array(this.#instance.memory, this.map.settings, UPDATE_WORDS + 1).set(words);
    invoke(this.#instance, updateInvocations(this.map));
  }
}

describe.each(["plain", "relaxed"] as const)("%s", (variant) => {
  test.each(OPTIMIZER_CASES)(
    `[E2] ${STEPS} updates of $title equal the reference's`,
    async ({ optimizer, settings }) => {
      const plan = optimizerPlan(optimizer);
      const random = new Random(31);
      const updates = await Updates.of(plan, variant);
      const start = randomVector(plan, random);
      const state = emptyState(start);
      updates.vector(updates.map.parameters).set(start);
      for (let step = 0; step < STEPS; step++) {
        const gradient = randomVector(plan, random, 0.1);
        updates.vector(updates.map.gradient).set(gradient);
        updates.run(settings);
        update(optimizer, plan.layout, state, gradient, settings);
        expect(relativeError(updates.vector(updates.map.parameters), state.parameters)).toBeLessThan(1e-6);
        expect(relativeError(updates.vector(updates.map.velocity), state.velocity)).toBeLessThan(1e-6);
      }
    },
  );
});

test.each(OPTIMIZER_CASES)("No denormal arises from a state of $title that dies away", async ({ optimizer }) => {
  const plan = optimizerPlan(optimizer);
  const updates = await Updates.of(plan, "plain");
  const { map } = updates;
  const vectors = [map.velocity, ...(map.secondMoment === 0 ? [] : [map.secondMoment])].map((at) => updates.vector(at));
  const trained = inTensors(plan);
  updates.vector(map.parameters).fill(1);
  updates.vector(map.gradient).fill(0);
  for (const vector of vectors) vector.set(vector.map((_, at) => (trained[at] ? 0.01 : 0)));
  for (let step = 0; step < 1000; step++) updates.run({ learningRate: 0.1, momentum: 0.9, weightDecay: 0 });
  const smallest = 2 ** -126;
  for (const vector of vectors) expect(vector.every((value) => value === 0 || value >= smallest)).toBe(true);
  expect(vectors[0]!.every((value) => value === 0)).toBe(true);
});

test("A tensor of zeros, or one without a gradient, keeps lars's plain rate", async () => {
  const plan = optimizerPlan({ kind: "lars" });
  const updates = await Updates.of(plan, "plain");
  const trained = inTensors(plan);
  const parameters = updates.vector(updates.map.parameters).fill(0);
  updates.vector(updates.map.gradient).set(Float32Array.from(trained, (inside) => (inside ? 2 : 0)));
  updates.run({ learningRate: 0.25, momentum: 0, weightDecay: 0 });
  expect(parameters.every((value, at) => value === (trained[at] ? -0.5 : 0))).toBe(true);
  updates.vector(updates.map.gradient).fill(0);
  updates.run({ learningRate: 0.25, momentum: 0, weightDecay: 0 });
  expect(parameters.every((value, at) => value === (trained[at] ? -0.5 : 0))).toBe(true);
});

/** Whether an element lies in a tensor or in a gap. */
function inTensors({ layout }: Plan): readonly boolean[] {
  const inside = Array.from({ length: layout.elements }, () => false);
  for (const { offset, elements } of layout.tensors) inside.fill(true, offset, offset + elements);
  return inside;
}

interface TfjsCase {
  readonly name: string;
  readonly optimizer: Optimizer;
  readonly settings: StepSettings;
  readonly make: () => tf.Optimizer;
}

const TFJS_CASES: readonly TfjsCase[] = [
  {
    name: "momentum",
    optimizer: { kind: "momentum" },
    settings: { learningRate: 0.05, momentum: 0.9, weightDecay: 0 },
    make: () => tf.train.momentum(0.05, 0.9),
  },
  {
    name: "nesterov",
    optimizer: { kind: "nesterov" },
    settings: { learningRate: 0.05, momentum: 0.9, weightDecay: 0 },
    make: () => tf.train.momentum(0.05, 0.9, true),
  },
  {
    name: "adam",
    optimizer: { kind: "adamw" },
    settings: { learningRate: 0.01, momentum: 0.9, weightDecay: 0 },
    make: () => tf.train.adam(0.01, 0.9, 0.999, 1e-8),
  },
];

test.each(TFJS_CASES)("[E2] Ten steps of $name equal TensorFlow.js's", async ({ optimizer, settings, make }) => {
  await tf.setBackend("cpu");
  const plan = optimizerPlan(optimizer);
  const random = new Random(5);
  const updates = await Updates.of(plan, "relaxed");
  const start = randomVector(plan, random);
  updates.vector(updates.map.parameters).set(start);
  const variable = tf.variable(tf.tensor1d(start));
  const theirs = make();
  for (let step = 0; step < 10; step++) {
    const gradient = randomVector(plan, random, 0.1);
    updates.vector(updates.map.gradient).set(gradient);
    updates.run(settings);
    const theirGradient = tf.tensor1d(gradient);
    theirs.applyGradients({ [variable.name]: theirGradient });
    theirGradient.dispose();
  }
  const expected = Float64Array.from(await variable.data());
  expect(relativeError(updates.vector(updates.map.parameters), expected)).toBeLessThan(3e-6);
  theirs.dispose();
  variable.dispose();
});

test.each(OPTIMIZER_CASES)("[E7] New parameters begin $title anew", async ({ optimizer, settings }) => {
  const plan = optimizerPlan(optimizer);
  const random = new Random(8);
  const images = Uint8Array.from({ length: 5 * 105 }, () => random.below(256));
  const start = randomVector(plan, random, 0.1);
  const program = await (await createWasmBackend(WASM_MODULES)).compile(plan);
  program.loadExamples(0, images, Uint8Array.of(0, 1, 2, 3, 4));
  const trained = async (): Promise<Float64Array> => {
    for (let step = 0; step < 3; step++) program.step(Uint32Array.of(4, 0, 2), settings);
    return Float64Array.from(await program.readParameters());
  };
  program.writeParameters(start);
  const first = await trained();
  expect(relativeError(start, first)).toBeGreaterThan(0);
  program.writeParameters(start);
  expect(relativeError(Float32Array.from(await trained()), first)).toBe(0);
  program.rebase(start, false);
  expect(relativeError(Float32Array.from(await trained()), first)).toBe(0);
  program.close();
});
