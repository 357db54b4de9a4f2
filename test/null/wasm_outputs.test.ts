/** What the last layer gives in an evaluation, against the loss and the answers that the same evaluation counts. */

import { expect, test } from "vitest";
import { compilePlan } from "../../shared/engine/plan.ts";
import { createWasmBackend } from "../../shared/engine/wasm/wasm_backend.ts";
import { MODELS } from "../../shared/model/catalogue.ts";
import { initialParameters } from "../../shared/model/layout.ts";
import type { ModelDescription } from "../../shared/model/model.ts";
import { startHelper } from "../../client/node/helper_threads.ts";
import { mnistExamples } from "../support/mnist_examples.ts";
import { SHARED_WASM_MODULES, WASM_MODULES } from "../support/wasm_modules.ts";

const PART = 6;
const EXAMPLES = 2 * PART;

/** Evaluates otherwise than it trains. */
const NORMALISED: ModelDescription = {
  name: "normalised",
  input: MODELS.lenet.input,
  classes: 10,
  layers: [
    { kind: "conv2d", name: "conv", kernel: 5, channels: 6, stride: 2, bias: false },
    { kind: "batch-norm", name: "norm" },
    { kind: "relu", name: "relu" },
    { kind: "dropout", name: "drop", rate: 0.25 },
    { kind: "dense", name: "out", units: 10 },
  ],
};

test.each([
  ["LeNet", MODELS.lenet, 1],
  ["batch norm and dropout", NORMALISED, 1],
  ["batch norm and dropout", NORMALISED, 2],
] as const)("Outputs of %s, with softmax, are what an evaluation judges", async (_name, model, threads) => {
  const threading = { threads, startHelper };
  const backend = await (threads === 1
    ? createWasmBackend(WASM_MODULES)
    : createWasmBackend(SHARED_WASM_MODULES, threading));
  const plan = compilePlan(model, {
    batch: EXAMPLES,
    microBatches: 2,
    datasetExamples: EXAMPLES,
    normalisation: { mean: [0.13], deviation: [0.31] },
  });
  const program = await backend.compile(plan);
  const { images, labels } = mnistExamples(EXAMPLES);
  program.loadExamples(0, images, labels);
  const parameters = initialParameters(plan.layout, 3);
  const examples = Uint32Array.from({ length: EXAMPLES }, (_, index) => EXAMPLES - 1 - index);
  const outputs = program.outputsAt(parameters, examples);
  let lossSum = 0;
  let correct = 0;
  for (const [row, example] of examples.entries()) {
    const logits = [...outputs.subarray(row * 10, (row + 1) * 10)];
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
    lossSum -= logits[labels[example]!]! - Math.log(total);
    if (logits.indexOf(Math.max(...logits)) === labels[example]) correct++;
  }
  const judged = program.evaluateAt(parameters, examples);
  expect(lossSum / EXAMPLES).toBeCloseTo(judged.meanLoss, 4);
  expect(correct).toBe(judged.correct);
  // A pass over one part alone gives the same rows.
  expect(program.outputsAt(parameters, examples.subarray(0, PART))).toEqual(outputs.subarray(0, 10 * PART));
  expect(() => program.outputsAt(parameters.subarray(1), examples)).toThrow(/elements/);
  program.close();
});
