/**
 * Whether exported ONNX files answer as Drove does: `node test/bench/export.ts [--images 1000] [--models lenet,resnet-50] [--json]`.
 * Every model of the catalogue, after a few real training steps, answers real test images in ONNX Runtime (WASM, one thread) and in
 * Drove's own evaluation; a few of them also in plain loops of double precision, which say on which side a difference lies. Prints
 * a markdown table on stderr; fails where a difference is above what is allowed.
 */

import { parseArgs } from "node:util";
import { isModelName, MODELS, type ModelName } from "../../shared/model/catalogue.ts";
import { choices, largestDifference, OnnxComparison, referenceLogits } from "../support/export/onnx_comparison.ts";
import { subjectOf, type Subject } from "../support/export/onnx_subject.ts";

const { values: flags } = parseArgs({
  options: {
    images: { type: "string", default: "1000" },
    models: { type: "string", default: Object.keys(MODELS).join(",") },
    json: { type: "boolean", default: false },
  },
});

/** Absolute, on logits of the order of 1 to 10. */
const ALLOWED = 1e-4;
/** Multiply-adds that plain loops do in about half a minute. */
const REFERENCE_IMAGES: Readonly<Record<ModelName, number>> = {
  logistic: 100,
  mlp: 100,
  lenet: 50,
  "cifar-quick": 20,
  "resnet-20": 10,
  caffenet: 1,
  "densenet-40-12": 2,
  "resnet-50": 1,
};

interface Row {
  readonly model: ModelName;
  readonly images: number;
  /** Of the logits: root of the mean square, and the largest magnitude. */
  readonly rms: number;
  readonly largest: number;
  readonly largestDifference: number;
  readonly probabilityDifference: number;
  readonly sameChoice: number;
  readonly accuracy: number;
  readonly referenceImages: number;
  /** From double precision, on the reference's images. */
  readonly droveError: number;
  readonly runtimeError: number;
  readonly fileBytes: number;
  readonly droveSeconds: number;
  readonly runtimeSeconds: number;
}

async function rowOf(name: ModelName, images: number): Promise<Row> {
  const subject = await subjectOf(name);
  const { model, testLabels } = subject;
  const batch = model.input.height > 100 ? 4 : 20;
  const comparison = await OnnxComparison.open(subject, batch);
  let [squares, largest, difference, probabilityDifference] = [0, 0, 0, 0];
  let [same, right, droveMs, runtimeMs] = [0, 0, 0, 0];
  for (let first = 0; first < images; first += batch) {
    const count = Math.min(batch, images - first);
    const answers = await comparison.answers(await subject.testImages(first, count));
    const { drove, runtime } = answers;
    difference = Math.max(difference, largestDifference(drove, runtime));
    probabilityDifference = Math.max(
      probabilityDifference,
      largestDifference(softmax(drove, model.classes), answers.probabilities),
    );
    for (const value of drove) {
      squares += value * value;
      largest = Math.max(largest, Math.abs(value));
    }
    const theirs = choices(runtime, model.classes);
    for (const [index, choice] of choices(drove, model.classes).entries()) {
      if (choice === theirs[index]) same++;
      if (choice === testLabels[first + index]) right++;
    }
    droveMs += answers.droveMs;
    runtimeMs += answers.runtimeMs;
  }
  const errors = await errorsOf(comparison, subject, Math.min(images, REFERENCE_IMAGES[name]), batch);
  const { fileBytes } = comparison;
  await comparison.close();
  return {
    model: name,
    images,
    rms: Math.sqrt(squares / (images * model.classes)),
    largest,
    largestDifference: difference,
    probabilityDifference,
    sameChoice: same / images,
    accuracy: right / images,
    ...errors,
    fileBytes,
    droveSeconds: droveMs / 1000,
    runtimeSeconds: runtimeMs / 1000,
  };
}

async function errorsOf(
  comparison: OnnxComparison,
  subject: Subject,
  images: number,
  batch: number,
): Promise<Pick<Row, "referenceImages" | "droveError" | "runtimeError">> {
  let droveError = 0;
  let runtimeError = 0;
  for (let first = 0; first < images; first += batch) {
    const bytes = await subject.testImages(first, Math.min(batch, images - first));
    const exact = referenceLogits(subject, bytes);
    const { drove, runtime } = await comparison.answers(bytes);
    droveError = Math.max(droveError, largestDifference(exact, drove));
    runtimeError = Math.max(runtimeError, largestDifference(exact, runtime));
  }
  return { referenceImages: images, droveError, runtimeError };
}

function softmax(logits: Float32Array, classes: number): Float64Array {
  const shares = new Float64Array(logits.length);
  for (let row = 0; row < logits.length; row += classes) {
    const own = logits.subarray(row, row + classes);
    const top = Math.max(...own);
    const sum = own.reduce((total, value) => total + Math.exp(value - top), 0);
    for (let c = 0; c < classes; c++) shares[row + c] = Math.exp(own[c]! - top) / sum;
  }
  return shares;
}

const images = Number(flags.images);
if (!Number.isInteger(images) || images < 1 || images > 10_000) {
  throw new Error(`--images is "${flags.images}"; accepted is a whole number from 1 to 10000.`);
}
const names = flags.models.split(",");
for (const name of names) {
  if (!isModelName(name)) {
    throw new Error(`--models names "${name}"; accepted are ${Object.keys(MODELS).join(", ")}, with commas between.`);
  }
}
const rows: Row[] = [];
console.error(
  "| model | images | logits rms | largest | ONNX Runtime - Drove, largest | of probabilities | same answer | right | Drove - double | ONNX Runtime - double | on images | file MB | Drove s | ONNX Runtime s |",
);
console.error(`| ${Array(14).fill("---").join(" | ")} |`);
for (const name of names.filter(isModelName)) {
  const row = await rowOf(name, images);
  rows.push(row);
  console.error(
    `| ${row.model} | ${row.images} | ${row.rms.toFixed(2)} | ${row.largest.toFixed(2)} | ${row.largestDifference.toExponential(1)} | ` +
      `${row.probabilityDifference.toExponential(1)} | ${(100 * row.sameChoice).toFixed(1)} % | ${(100 * row.accuracy).toFixed(1)} % | ` +
      `${row.droveError.toExponential(1)} | ${row.runtimeError.toExponential(1)} | ${row.referenceImages} | ` +
      `${(row.fileBytes / 1e6).toFixed(2)} | ${row.droveSeconds.toFixed(1)} | ${row.runtimeSeconds.toFixed(1)} |`,
  );
}
if (flags.json) console.log(JSON.stringify({ allowed: ALLOWED, rows }));
if (rows.some((row) => !(row.largestDifference <= ALLOWED))) {
  console.error(`A difference is above ${ALLOWED}.`);
  process.exitCode = 1;
}
