import { expect, test } from "vitest";
import { compilePlan } from "../../shared/engine/plan.ts";
import { isModelName, MODELS, type ModelName } from "../../shared/model/catalogue.ts";
import { layoutOf } from "../../shared/model/layout.ts";
import { inferShapes } from "../../shared/model/model.ts";

const PARAMETERS: Readonly<Record<ModelName, number>> = {
  logistic: 784 * 10 + 10,
  mlp: 784 * 256 + 256 + 256 * 128 + 128 + 1290,
  // Caffe's mnist example.
  lenet: 431_080,
  // Caffe's cifar10 example.
  "cifar-quick": 145_578,
  // 0.27 M in He et al. 2015, Table 6; its projections (option B) add 2,752 to the 269,722 of option A.
  "resnet-20": 269_722 + 576 + 2176,
  // Caffe's bvlc_reference_caffenet.
  caffenet: 60_965_224,
  // 1.0 M in Huang et al. 2016, Table 2.
  "densenet-40-12": 1_019_722,
  // 25.6 M in He et al. 2015.
  "resnet-50": 25_557_032,
};

test.each(Object.entries(PARAMETERS))("%s has the literature's %i parameters", (name, parameters) => {
  if (!isModelName(name)) throw new Error(`${name} is not in the catalogue`);
  expect(layoutOf(MODELS[name]).parameters).toBe(parameters);
});

test("Every model of the catalogue compiles into a plan", () => {
  for (const model of Object.values(MODELS)) {
    const plan = compilePlan(model, {
      batch: 2,
      datasetExamples: 2,
      normalisation: { mean: [0.5], deviation: [0.5] },
    });
    expect(plan.forward.at(-1)!.kind).toBe("softmax-cross-entropy");
    expect(plan.backward.length).toBeGreaterThan(0);
    expect(plan.peakElements).toBeLessThanOrEqual(plan.slotElements.reduce((sum, elements) => sum + elements, 0));
  }
});

function shapeOf(name: ModelName, layer: string): string {
  const found = inferShapes(MODELS[name]).find((shaped) => shaped.layer.name === layer);
  const { height, width, channels } = found!.output;
  return [height, width, channels].join("x");
}

test("The shapes inside the convolutional nets are the papers'", () => {
  expect(shapeOf("caffenet", "pool5")).toBe("6x6x256");
  expect(shapeOf("cifar-quick", "pool3")).toBe("4x4x64");
  expect(shapeOf("resnet-20", "stage3.block3")).toBe("8x8x64");
  expect(shapeOf("resnet-50", "stage4.block3")).toBe("7x7x2048");
  expect(shapeOf("densenet-40-12", "block3.layer12")).toBe("8x8x448");
});
