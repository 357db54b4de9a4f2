import { expect, test } from "vitest";
import { MODELS } from "../../shared/model/catalogue.ts";
import { initialParameters, layoutOf, TENSOR_ALIGNMENT_ELEMENTS } from "../../shared/model/layout.ts";
import { inferShapes, ModelError, type Layer, type ModelDescription } from "../../shared/model/model.ts";

function modelOf(...layers: readonly Layer[]): ModelDescription {
  return { name: "sample", input: { height: 8, width: 6, channels: 3 }, classes: 10, layers };
}

test("LeNet's shapes are Caffe's", () => {
  const shapes = inferShapes(MODELS.lenet).map(({ output }) => [output.height, output.width, output.channels]);
  expect(shapes).toEqual([
    [24, 24, 20],
    [12, 12, 20],
    [8, 8, 50],
    [4, 4, 50],
    [1, 1, 500],
    [1, 1, 500],
    [1, 1, 10],
  ]);
});

test("Padding and stride count in a window's output", () => {
  const model = modelOf(
    { kind: "conv2d", name: "conv", kernel: 3, channels: 4, stride: 2, padding: 1 },
    { kind: "max-pool", name: "pool", size: 2, stride: 1 },
    { kind: "dense", name: "out", units: 10 },
  );
  const [conv, pool] = inferShapes(model);
  expect(conv!.output).toEqual({ height: 4, width: 3, channels: 4 });
  expect(pool!.output).toEqual({ height: 3, width: 2, channels: 4 });
});

const MISFITS: readonly (readonly [why: string, layer: Layer, message: RegExp])[] = [
  ["a window larger than its input", { kind: "conv2d", name: "wide", kernel: 9, channels: 2 }, /"wide".*8x6x3/],
  ["a kernel of zero", { kind: "conv2d", name: "none", kernel: 0, channels: 2 }, /"none": kernel is 0/],
  ["half a channel", { kind: "conv2d", name: "half", kernel: 1, channels: 0.5 }, /"half": channels is 0.5/],
  [
    "padding as wide as its window",
    { kind: "conv2d", name: "padded", kernel: 3, channels: 2, padding: 3 },
    /"padded": padding is 3/,
  ],
  ["a pool that does not move", { kind: "max-pool", name: "still", size: 2, stride: 0 }, /"still": stride is 0/],
  ["no units", { kind: "dense", name: "empty", units: 0 }, /"empty": units is 0/],
];

test.each(MISFITS)("A model with %s is refused, and the message names the layer", (_why, layer, message) => {
  const build = (): unknown => inferShapes(modelOf(layer, { kind: "dense", name: "out", units: 10 }));
  expect(build).toThrow(ModelError);
  expect(build).toThrow(message);
});

test("Two layers of one name are refused, and so are logits that are not the classes", () => {
  const out = { kind: "dense", name: "out", units: 10 } as const;
  expect(() => inferShapes(modelOf(out, out))).toThrow(/"out": two layers/);
  expect(() => inferShapes(modelOf({ ...out, units: 9 }))).toThrow(/"out" gives 1x1x9/);
  expect(() => inferShapes(modelOf())).toThrow(/no layers/);
});

test("Tensors begin at aligned offsets and do not meet", () => {
  const { tensors, elements } = layoutOf(MODELS.lenet);
  let end = 0;
  for (const { offset, elements: length, shape } of tensors) {
    expect(offset % TENSOR_ALIGNMENT_ELEMENTS).toBe(0);
    expect(offset).toBeGreaterThanOrEqual(end);
    expect(shape.reduce((product, side) => product * side, 1)).toBe(length);
    end = offset + length;
  }
  expect(elements).toBeGreaterThanOrEqual(end);
  expect(elements % TENSOR_ALIGNMENT_ELEMENTS).toBe(0);
});

test("The layout's hash tells models apart and is the same each time", () => {
  expect(layoutOf(MODELS.lenet).hash).toMatch(/^[0-9a-f]{16}$/);
  expect(layoutOf(MODELS.lenet).hash).toBe(layoutOf(structuredClone(MODELS.lenet)).hash);
  const renamed = { ...MODELS.mlp, layers: [{ ...MODELS.mlp.layers[0], name: "fc9" }, ...MODELS.mlp.layers.slice(1)] };
  expect(layoutOf(renamed).hash).not.toBe(layoutOf(MODELS.mlp).hash);
});

test("Equal seeds give equal parameters, weights stay in Xavier's bound, biases and gaps are zero", () => {
  const layout = layoutOf(MODELS.mlp);
  const parameters = initialParameters(layout, 3);
  expect(parameters).toEqual(initialParameters(layout, 3));
  expect(parameters).not.toEqual(initialParameters(layout, 4));
  const weights = layout.tensors.filter(({ initial }) => initial.bound > 0);
  for (const { offset, elements, shape } of weights) {
    const bound = Math.sqrt(3 / shape[0]!);
    const largest = parameters
      .subarray(offset, offset + elements)
      .reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    expect(largest).toBeLessThanOrEqual(bound);
    expect(largest).toBeGreaterThan(0.9 * bound);
  }
  for (const { offset, elements } of weights) parameters.fill(0, offset, offset + elements);
  expect(parameters.every((value) => value === 0)).toBe(true);
});
