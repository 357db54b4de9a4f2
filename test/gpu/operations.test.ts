import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compilePlan } from "../../shared/engine/plan.ts";
import type { ModelDescription } from "../../shared/model/model.ts";
import { Random } from "../../shared/random.ts";
import { TestDevice, type TraitsName } from "./gpu_device.ts";
import { firstWrongOperation } from "./single_operation.ts";

interface Case {
  readonly traits: TraitsName;
  readonly title: string;
  readonly batch: number;
  readonly model: ModelDescription;
}

const CLASSES = 7;

interface ConvolutionShape {
  readonly traits?: TraitsName;
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly inChannels: number;
  readonly kernel: number;
  readonly channels: number;
  readonly stride?: number;
  readonly padding?: number;
}

/** A convolution between two others, so that all three of its passes run and its input has a relu to undo. */
function convolution(shape: ConvolutionShape): Case {
  const { traits = "quads", batch, height, width, inChannels, kernel, channels, stride = 1, padding = 0 } = shape;
  return {
    traits,
    title: `convolution ${height}x${width}x${inChannels} to ${channels}, kernel ${kernel}, stride ${stride}, padding ${padding}, batch ${batch}`,
    batch,
    model: {
      name: "convolution",
      input: { height, width, channels: 2 },
      classes: CLASSES,
      layers: [
        { kind: "conv2d", name: "before", kernel: 1, channels: inChannels },
        { kind: "relu", name: "relu before" },
        { kind: "conv2d", name: "conv", kernel, channels, stride, padding },
        ...(channels % 2 === 0 ? ([{ kind: "relu", name: "relu" }] as const) : []),
        { kind: "dense", name: "out", units: CLASSES },
      ],
    },
  };
}

function pool(batch: number, side: number, channels: number, size: number, stride: number, relu: boolean): Case {
  return {
    traits: "quads",
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

function dense(batch: number, inputs: number, units: number, traits: TraitsName = "quads"): Case {
  return {
    traits,
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

/** The control case first; then odd channels, kernels, strides and paddings, each away from it in a few ways. */
const CASES: readonly Case[] = [
  convolution({ batch: 5, height: 8, width: 8, inChannels: 20, kernel: 5, channels: 50 }),
  convolution({ batch: 1, height: 6, width: 6, inChannels: 1, kernel: 5, channels: 20 }),
  convolution({ batch: 3, height: 5, width: 7, inChannels: 2, kernel: 3, channels: 16, padding: 1 }),
  convolution({ batch: 5, height: 4, width: 4, inChannels: 3, kernel: 1, channels: 5 }),
  convolution({ batch: 3, height: 9, width: 8, inChannels: 5, kernel: 2, channels: 7, stride: 2, padding: 1 }),
  convolution({ batch: 1, height: 7, width: 7, inChannels: 7, kernel: 3, channels: 1, stride: 2, padding: 2 }),
  convolution({ batch: 3, height: 6, width: 5, inChannels: 16, kernel: 3, channels: 50, padding: 1 }),
  pool(3, 6, 20, 2, 2, true),
  pool(1, 7, 5, 2, 2, false),
  pool(5, 7, 3, 3, 2, true),
  pool(1, 9, 50, 2, 3, true),
  dense(1, 1, 1),
  dense(3, 33, 7),
  dense(5, 50, 10),
  convolution({ traits: "plain", batch: 5, height: 8, width: 8, inChannels: 20, kernel: 5, channels: 50 }),
  convolution({
    traits: "plain",
    batch: 3,
    height: 9,
    width: 8,
    inChannels: 5,
    kernel: 2,
    channels: 7,
    stride: 2,
    padding: 1,
  }),
  dense(5, 33, 10, "plain"),
  convolution({ traits: "hardware", batch: 5, height: 8, width: 8, inChannels: 20, kernel: 5, channels: 50 }),
  convolution({
    traits: "hardware",
    batch: 3,
    height: 5,
    width: 7,
    inChannels: 3,
    kernel: 3,
    channels: 16,
    padding: 1,
  }),
  dense(5, 33, 10, "hardware"),
];

let shared: TestDevice;

beforeAll(async () => {
  shared = await TestDevice.open();
});

afterAll(() => shared.close());

describe("[E2] [E3] Every operation equals the reference and writes its whole output", () => {
  test.each(CASES)("$traits: $title", async ({ traits, title, batch, model }) => {
    const normalisation = { mean: [0.3], deviation: [0.7] };
    const program = await shared.compile(compilePlan(model, { batch, datasetExamples: 9, normalisation }), traits);
    const random = new Random(title.length * 977 + batch);
    expect(await firstWrongOperation(shared, program, random)).toBeUndefined();
    program.close();
    expect(shared.errors).toEqual([]);
  });
});
