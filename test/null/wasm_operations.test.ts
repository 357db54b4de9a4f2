import { expect, test, describe } from "vitest";
import { gradientsWrittenBy, tensorsOf, writtenBy, type Operation } from "../../shared/engine/operation.ts";
import { compilePlan, type Plan } from "../../shared/engine/plan.ts";
import { invocationsOf } from "../../shared/engine/wasm/invocations.ts";
import { instantiate, invoke } from "../../shared/engine/wasm/kernels.ts";
import { MemoryMap } from "../../shared/engine/wasm/memory_map.ts";
import { webAssembly } from "../../shared/engine/wasm/webassembly.ts";
import type { ModelDescription } from "../../shared/model/model.ts";
import { Random } from "../../shared/random.ts";
import { magnitudesOf, randomMemory, wholeNumberTensors } from "../reference/operation_memory.ts";
import { runOperation, sumLengthOf } from "../reference/operations.ts";
import { firstMismatch } from "../reference/tolerance.ts";
import { WASM_MODULES } from "../support/wasm_modules.ts";

/** Operations are compared one at a time: every input random, every output poisoned, in the program's own memory. */
interface Case {
  readonly title: string;
  readonly batch: number;
  readonly model: ModelDescription;
}

const CLASSES = 7;

function convolutionCase(
  batch: number,
  size: readonly [height: number, width: number],
  inChannels: number,
  kernel: number,
  channels: number,
  stride: number,
  padding: number,
): Case {
  return {
    title: `convolution ${size.join("x")}x${inChannels} to ${channels}, kernel ${kernel}, stride ${stride}, padding ${padding}, batch ${batch}`,
    batch,
    model: {
      name: "convolution",
      input: { height: size[0], width: size[1], channels: 2 },
      classes: CLASSES,
      layers: [
        // The first layer gives the second its input channels and a relu to undo.
        { kind: "conv2d", name: "before", kernel: 1, channels: inChannels },
        { kind: "relu", name: "relu before" },
        { kind: "conv2d", name: "conv", kernel, channels, stride, padding },
        ...(channels % 2 === 0 ? ([{ kind: "relu", name: "relu" }] as const) : []),
        { kind: "dense", name: "out", units: CLASSES },
      ],
    },
  };
}

function poolCase(batch: number, side: number, channels: number, size: number, stride: number, relu: boolean): Case {
  return {
    title: `max-pool ${side}x${side}x${channels}, size ${size}, stride ${stride}, batch ${batch}`,
    batch,
    model: {
      name: "pool",
      input: { height: side, width: side, channels: 1 },
      classes: CLASSES,
      layers: [
        { kind: "conv2d", name: "before", kernel: 1, channels },
        ...(relu ? ([{ kind: "relu", name: "relu before" }] as const) : []),
        { kind: "max-pool", name: "pool", size, stride },
        ...(relu ? [] : ([{ kind: "relu", name: "relu" }] as const)),
        { kind: "dense", name: "out", units: CLASSES },
      ],
    },
  };
}

function denseCase(batch: number, inputs: number, units: number): Case {
  return {
    title: `dense ${inputs} to ${units}, batch ${batch}`,
    batch,
    model: {
      name: "dense",
      input: { height: 1, width: inputs, channels: 1 },
      classes: units,
      layers: [
        { kind: "dense", name: "before", units: inputs },
        { kind: "relu", name: "relu before" },
        { kind: "dense", name: "dense", units },
      ],
    },
  };
}

const CASES: readonly Case[] = [
  convolutionCase(1, [6, 6], 1, 5, 20, 1, 0),
  convolutionCase(3, [5, 7], 2, 3, 16, 1, 1),
  convolutionCase(5, [4, 4], 3, 1, 5, 1, 0),
  convolutionCase(3, [9, 8], 5, 2, 7, 2, 1),
  convolutionCase(1, [7, 7], 7, 3, 1, 2, 2),
  convolutionCase(3, [6, 5], 16, 3, 50, 1, 1),
  convolutionCase(5, [8, 8], 20, 5, 50, 1, 0),
  convolutionCase(1, [11, 6], 50, 3, 3, 3, 2),
  convolutionCase(5, [5, 5], 1, 5, 2, 1, 4),
  convolutionCase(1, [17, 19], 3, 5, 10, 1, 2),
  poolCase(3, 6, 20, 2, 2, true),
  poolCase(1, 7, 5, 2, 2, false),
  poolCase(5, 7, 3, 3, 2, true),
  poolCase(3, 8, 1, 3, 3, false),
  poolCase(1, 6, 7, 2, 1, true),
  poolCase(1, 9, 50, 2, 3, true),
  denseCase(1, 1, 1),
  denseCase(3, 33, 7),
  denseCase(5, 7, 33),
  denseCase(7, 50, 10),
  denseCase(13, 129, 101),
];

describe.each(["plain", "relaxed"] as const)("%s", (variant) => {
  test.each(CASES)(
    "[E2] [E3] Every operation of a $title equals the reference and writes its whole output",
    async (item) => {
      const plan = compilePlan(item.model, {
        batch: item.batch,
        datasetExamples: 9,
        normalisation: { mean: [0.3], deviation: [0.7] },
      });
      const random = new Random(item.title.length * 977 + item.batch);
      for (const operation of [...plan.forward, ...plan.backward]) {
        expect(await mismatch(variant, plan, operation, random)).toBeUndefined();
      }
    },
  );
});

test("No denormal arises from a velocity that dies away, nor from a class that is out of the question", async () => {
  const options = { batch: 1, datasetExamples: 1, normalisation: { mean: [0], deviation: [1] } };
  const plan = compilePlan(denseCase(1, 3, 3).model, options);
  const map = new MemoryMap(plan);
  const loss = plan.forward.find((operation) => operation.kind === "softmax-cross-entropy")!;
  const invocations = invocationsOf(loss, map);
  const instance = await instantiate(await webAssembly.compile(WASM_MODULES.plain), map);
  const velocity = new Float32Array(instance.memory, map.velocity, plan.layout.elements).fill(0.01);
  for (let step = 0; step < 1000; step++) {
    instance.kernels.heavyBall(map.parameters, map.velocity, map.gradient, velocity.length, 0.1, 0.9, 0);
  }
  expect(velocity.every((value) => value === 0)).toBe(true);
  new Float32Array(instance.memory, map.tensor(loss.outputs), 3).set([95, 0, 94]);
  invoke(instance, invocations);
  const gradient = new Float32Array(instance.memory, map.tensor(loss.gradient), 3);
  expect(Array.from(gradient, Math.sign)).toEqual([-1, 0, 1]);
});

/** Runs `operation` in WASM and in the reference on the same random inputs. */
async function mismatch(
  variant: keyof typeof WASM_MODULES,
  plan: Plan,
  operation: Operation,
  random: Random,
): Promise<string | undefined> {
  const map = new MemoryMap(plan);
  const invocations = invocationsOf(operation, map);
  const module = await webAssembly.compile(WASM_MODULES[variant]);
  const instance = await instantiate(module, map);
  const expected = randomMemory(plan, operation, random);
  const floats = (address: number, length: number): Float32Array => new Float32Array(instance.memory, address, length);
  const words = (address: number, length: number): Uint32Array => new Uint32Array(instance.memory, address, length);
  const whole = wholeNumberTensors(plan);
  floats(0, instance.memory.byteLength / 4).fill(Number.NaN, 0, map.scratch.packedBytes / 4);
  new Uint8Array(instance.memory, map.images, expected.images.length).set(expected.images);
  new Uint8Array(instance.memory, map.labels, expected.labels.length).set(expected.labels);
  words(map.examples, plan.batch).set(Array.from(expected.examples));
  floats(map.parameters, plan.layout.elements).set(expected.parameters);
  for (const id of tensorsOf(operation)) {
    const values = expected.tensors[id]!;
    if (whole.has(id)) words(map.tensor(id), values.length).set(values);
    else floats(map.tensor(id), values.length).set(values);
  }
  const outputs = writtenBy(operation);
  for (const id of outputs) floats(map.tensor(id), plan.tensors[id]!.elements).fill(Number.NaN);

  invoke(instance, invocations);
  const magnitudes = magnitudesOf(operation, expected);
  runOperation(operation, expected);

  for (const id of outputs) {
    const { length } = expected.tensors[id]!;
    const actual = whole.has(id) ? words(map.tensor(id), length) : floats(map.tensor(id), length);
    const found = firstMismatch(actual, expected.tensors[id]!, magnitudes.tensors[id]!, sumLengthOf(operation));
    if (found) return `${operation.kind}, ${plan.tensors[id]!.name}: ${found}`;
  }
  for (const { name, offset, elements } of gradientsWrittenBy(operation)) {
    const slice = (vector: Float64Array): Float64Array => vector.subarray(offset, offset + elements);
    const actual = floats(map.gradient + 4 * offset, elements);
    const found = firstMismatch(actual, slice(expected.gradient), slice(magnitudes.gradient), sumLengthOf(operation));
    if (found) return `gradient of ${name}: ${found}`;
    const end = floats(map.gradient + 4 * (offset + elements), 1)[0];
    if (!Number.isNaN(end)) return `gradient of ${name}: written past its end`;
  }
  return undefined;
}
