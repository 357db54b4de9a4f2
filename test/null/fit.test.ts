import { expect, test } from "vitest";
import { planFor, type Misfit } from "../../shared/engine/fit.ts";
import { compilePlan, type Plan } from "../../shared/engine/plan.ts";
import { misfitOf } from "../../shared/engine/webgpu/misfit.ts";
import { MODELS } from "../../shared/model/catalogue.ts";

const OPTIONS = { batch: 12, datasetExamples: 20, normalisation: { mean: [0], deviation: [1] } };
const MANY = { maxStorageBufferBindingSize: 2 ** 31, maxBufferSize: 2 ** 31 };
const SOFTWARE = { isFallback: true, hasSubgroups: false, hasF16: false };
const HARDWARE = { ...SOFTWARE, isFallback: false };
const NO_SCRATCH = { lowered: 0, products: 0 };

/** Fits where a part has at most `examples`. */
function deviceOf(examples: number, isRefused: boolean): { misfit(plan: Plan): Misfit | undefined } {
  return {
    misfit: ({ microBatch }) =>
      microBatch <= examples ? undefined : { reason: `${microBatch} are too many`, isRefused },
  };
}

test("A batch that fits is done as a whole", () => {
  expect(planFor({}, MODELS.lenet, OPTIONS).microBatches).toBe(1);
  expect(planFor(deviceOf(12, true), MODELS.lenet, OPTIONS).microBatches).toBe(1);
});

test("A batch that does not fit is done in the fewest equal parts that do", () => {
  const plan = planFor(deviceOf(5, true), MODELS.lenet, OPTIONS);
  expect([plan.microBatches, plan.microBatch]).toEqual([3, 4]);
  expect(planFor(deviceOf(100, true), MODELS.lenet, { ...OPTIONS, microBatches: 4 }).microBatches).toBe(4);
  // Thirds and quarters would do, but a half is to be a whole number of parts.
  expect(planFor(deviceOf(4, true), MODELS.lenet, { ...OPTIONS, microBatches: 2 }).microBatches).toBe(4);
});

test("Where single examples do not fit the device's reason is thrown; where they only take long they are done", () => {
  expect(() => planFor(deviceOf(0, true), MODELS.lenet, OPTIONS)).toThrow("1 are too many");
  expect(planFor(deviceOf(0, false), MODELS.lenet, OPTIONS).microBatches).toBe(12);
});

test("A batch that batch norms see is divided for memory, not for time", () => {
  expect(planFor(deviceOf(3, true), MODELS["resnet-20"], OPTIONS).microBatches).toBe(4);
  expect(planFor(deviceOf(3, false), MODELS["resnet-20"], OPTIONS).microBatches).toBe(1);
});

test("A WebGPU device names the tensor that it cannot bind, and the scratch memory that the kernels would need", () => {
  const plan = compilePlan(MODELS.lenet, OPTIONS);
  expect(misfitOf(plan, NO_SCRATCH, MANY, HARDWARE)).toBeUndefined();
  const few = { ...MANY, maxStorageBufferBindingSize: 2 ** 18 };
  expect(misfitOf(plan, NO_SCRATCH, few, HARDWARE)).toMatchObject({
    isRefused: true,
    reason: expect.stringMatching(/Tensor "parameters".*binds 262144 \(maxStorageBufferBindingSize\)/) as string,
  });
  expect(misfitOf(plan, { lowered: 2 ** 30, products: 0 }, MANY, HARDWARE)?.reason).toMatch(/Tensor "scratch"/);
});

test("A launch of more than half a second is a misfit in software, and none on hardware", () => {
  const plan = compilePlan(MODELS.caffenet, { ...OPTIONS, datasetExamples: 12 });
  expect(misfitOf(plan, NO_SCRATCH, MANY, SOFTWARE)).toMatchObject({ isRefused: false });
  expect(misfitOf(plan, NO_SCRATCH, MANY, HARDWARE)).toBeUndefined();
  const device = { misfit: (candidate: Plan) => misfitOf(candidate, NO_SCRATCH, MANY, SOFTWARE) };
  const { microBatches } = planFor(device, MODELS.caffenet, { ...OPTIONS, datasetExamples: 12 });
  expect(microBatches).toBeGreaterThan(1);
  expect(microBatches).toBeLessThan(12);
});
