import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { WindowGeometry } from "../../shared/engine/operation.ts";
import { candidateName, type Pass } from "../../shared/engine/webgpu/choice/candidate.ts";
import { candidatesOf } from "../../shared/engine/webgpu/choice/candidates.ts";
import { Kernels } from "../../shared/engine/webgpu/kernels.ts";
import { Random } from "../../shared/random.ts";
import { requestDevice, SHADERS, TRAITS, type TraitsName } from "./gpu_device.ts";
import { expectationOf, firstWrongElement, type ProductCase } from "./product_case.ts";

interface Case extends ProductCase {
  readonly title: string;
  readonly traits: TraitsName;
}

interface Shape {
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly inputs: number;
  readonly units: number;
  readonly size: number;
  readonly stride?: number;
  readonly padding?: number;
  readonly dilation?: number;
  readonly groups?: number;
}

function windowOf(shape: Shape): WindowGeometry {
  const { batch, height, width, inputs, units, size, stride = 1, padding = 0, dilation = 1, groups = 1 } = shape;
  const side = (length: number): number => Math.floor((length + 2 * padding - dilation * (size - 1) - 1) / stride) + 1;
  return {
    batch,
    input: { height, width, channels: inputs },
    output: { height: side(height), width: side(width), channels: units },
    size,
    stride,
    padding,
    dilation,
    groups,
  };
}

/** Few channels: a small register tile compiles fast. Every algorithm has a case, and so has every flag. */
const CASES: readonly Case[] = [
  {
    title: "3x3 with padding, every algorithm",
    traits: "quads",
    window: windowOf({ batch: 3, height: 8, width: 7, inputs: 8, units: 8, size: 3, padding: 1 }),
    hasBias: true,
    activation: { kind: "relu", slope: 0 },
    accumulate: true,
  },
  {
    title: "5x5 on odd channels, no bias",
    traits: "quads",
    window: windowOf({ batch: 2, height: 9, width: 10, inputs: 3, units: 5, size: 5, padding: 2 }),
    hasBias: false,
    activation: { kind: "leaky-relu", slope: 0.1 },
    accumulate: false,
  },
  {
    title: "3x3 strided in two groups",
    traits: "quads",
    window: windowOf({ batch: 2, height: 9, width: 8, inputs: 8, units: 6, size: 3, stride: 2, padding: 1, groups: 2 }),
    hasBias: true,
    activation: { kind: "tanh", slope: 0 },
    accumulate: true,
  },
  {
    title: "2x2 strided and dilated",
    traits: "quads",
    window: windowOf({
      batch: 3,
      height: 9,
      width: 7,
      inputs: 3,
      units: 5,
      size: 2,
      stride: 2,
      padding: 2,
      dilation: 2,
    }),
    hasBias: true,
    activation: { kind: "sigmoid", slope: 0 },
    accumulate: false,
  },
  {
    title: "1x1 with more padding than taps",
    traits: "quads",
    window: windowOf({ batch: 2, height: 4, width: 5, inputs: 3, units: 5, size: 1, stride: 2, padding: 1 }),
    hasBias: true,
    activation: undefined,
    accumulate: true,
  },
  {
    title: "depthwise, two filters a channel",
    traits: "quads",
    window: windowOf({ batch: 2, height: 7, width: 6, inputs: 3, units: 6, size: 3, stride: 2, padding: 1, groups: 3 }),
    hasBias: true,
    activation: { kind: "relu", slope: 0 },
    accumulate: true,
  },
  {
    title: "dense",
    traits: "quads",
    window: windowOf({ batch: 7, height: 1, width: 1, inputs: 33, units: 6, size: 1 }),
    hasBias: true,
    activation: { kind: "relu", slope: 0 },
    accumulate: false,
  },
  {
    title: "3x3 without subgroups",
    traits: "plain",
    window: windowOf({ batch: 2, height: 6, width: 7, inputs: 4, units: 4, size: 3, padding: 1 }),
    hasBias: true,
    activation: { kind: "relu", slope: 0 },
    accumulate: true,
  },
  {
    title: "3x3 with barriers in two groups",
    traits: "hardware",
    window: windowOf({ batch: 2, height: 5, width: 6, inputs: 6, units: 8, size: 3, padding: 1, groups: 2 }),
    hasBias: true,
    activation: { kind: "relu", slope: 0 },
    accumulate: true,
  },
];

const PASSES: readonly Pass[] = ["forward", "data-gradient", "filter-gradient"];

let device: GPUDevice;
let kernels: Kernels;
const errors: string[] = [];

beforeAll(async () => {
  device = await requestDevice();
  device.addEventListener("uncapturederror", (event) => errors.push(event.error.message));
  kernels = new Kernels(device, SHADERS);
});

afterAll(() => device.destroy());

describe("[E2] Every candidate of every pass equals the reference and writes its whole output", () => {
  const cases = CASES.flatMap((one) => PASSES.map((pass) => ({ ...one, pass })));
  test.each(cases)("$traits: $title, $pass", async ({ traits, pass, title, ...example }) => {
    const expectation = expectationOf(pass, example, new Random(title.length));
    const candidates = candidatesOf(TRAITS[traits], expectation.product);
    expect(candidates.length).toBeGreaterThan(1);
    const wrong: string[] = [];
    for (const candidate of candidates) {
      const found = await firstWrongElement(device, kernels, candidate, expectation);
      if (found) wrong.push(`${candidateName(candidate)}: ${found}`);
    }
    expect(wrong).toEqual([]);
    expect(errors).toEqual([]);
  });

  test("every algorithm has been among them", () => {
    const tried = new Set(
      CASES.flatMap(({ traits, window }) =>
        PASSES.flatMap((pass) => candidatesOf(TRAITS[traits], { pass, window }).map(({ algorithm }) => algorithm)),
      ),
    );
    expect([...tried].toSorted()).toEqual([
      "depthwise",
      "direct",
      "implicit",
      "lowering-1",
      "lowering-2",
      "lowering-3",
      "tiled",
      "winograd",
    ]);
  });
});
