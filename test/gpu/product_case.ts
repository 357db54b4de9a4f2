/**
 * One pass of a layer with weights, run by one candidate on random operands with poisoned outputs and scratch memory, and
 * compared with the naive loops: what `candidates.test.ts` does to every candidate there is.
 */

import type { FusedActivation } from "../../shared/engine/activation.ts";
import type { WindowGeometry } from "../../shared/engine/operation.ts";
import type { ProductOperands } from "../../shared/engine/webgpu/algorithms/operands.ts";
import type { Candidate, Pass, Product } from "../../shared/engine/webgpu/choice/candidate.ts";
import type { Kernels } from "../../shared/engine/webgpu/kernels.ts";
import { productDispatches, productScratch } from "../../shared/engine/webgpu/products.ts";
import { runPass } from "../../shared/engine/webgpu/webgpu_program.ts";
import type { Random } from "../../shared/random.ts";
import { activate, derivativeFromOutput } from "../reference/activation.ts";
import { convolve, convolveDataGradient, convolveFilterGradient } from "../reference/convolution.ts";
import { firstOutside, tolerance } from "../reference/tolerance.ts";

export interface ProductCase {
  readonly window: WindowGeometry;
  readonly hasBias: boolean;
  /** Applied forward, undone in the data gradient. */
  readonly activation: FusedActivation | undefined;
  /** Of the data gradient. */
  readonly accumulate: boolean;
}

type Numbers = Float64Array<ArrayBuffer>;

/** What a product reads, what it should write, and how far off each element may be. */
export interface Expectation {
  readonly product: Product;
  readonly source: Numbers;
  readonly factor: Numbers;
  readonly bias: Numbers | undefined;
  readonly undone: Numbers | undefined;
  /** What stands in the target before; NaN where it must be overwritten. */
  readonly before: Numbers;
  readonly expected: Numbers;
  readonly allowed: Numbers;
  readonly operands: Pick<ProductOperands, "activation" | "accumulate" | "offsets">;
}

/** Gradients of a filter begin here in their target, so that a kernel that ignores its offsets is found. */
const WEIGHTS_OFFSET = 8;

export function expectationOf(pass: Pass, test: ProductCase, random: Random): Expectation {
  const draw = (count: number): Numbers => Float64Array.from({ length: count }, () => Math.fround(random.normal()));
  const { window } = test;
  const { batch, input, output, size, groups } = window;
  const inputElements = batch * input.height * input.width * input.channels;
  const outputElements = batch * output.height * output.width * output.channels;
  const weightElements = (size * size * input.channels * output.channels) / groups;
  switch (pass) {
    case "forward":
      return forwardExpectation(test, draw(inputElements), draw(weightElements), draw(output.channels));
    case "data-gradient":
      return dataExpectation(
        test,
        draw(outputElements),
        draw(weightElements),
        draw(inputElements),
        draw(inputElements),
      );
    case "filter-gradient":
      return filterExpectation(test, draw(inputElements), draw(outputElements));
    default:
      return pass satisfies never;
  }
}

function forwardExpectation(test: ProductCase, input: Numbers, weights: Numbers, drawn: Numbers): Expectation {
  const { window, activation, hasBias } = test;
  const bias = hasBias ? drawn : undefined;
  const sums = convolve(window, input, weights, bias);
  const magnitudes = convolve(window, absolute(input), absolute(weights), bias && absolute(bias));
  return {
    product: { pass: "forward", window },
    source: input,
    factor: weights,
    bias,
    undone: undefined,
    before: poison(sums.length),
    expected: activation ? sums.map((sum) => activate(activation, sum)) : sums,
    allowed: magnitudes.map((magnitude) => sumError(window, magnitude) + activationError(activation)),
    operands: { activation, accumulate: false, offsets: { weights: 0, bias: undefined } },
  };
}

function dataExpectation(
  test: ProductCase,
  outputGradient: Numbers,
  weights: Numbers,
  drawnBefore: Numbers,
  drawnOutput: Numbers,
): Expectation {
  const { window, activation, accumulate } = test;
  const before = accumulate ? drawnBefore : poison(drawnBefore.length);
  const undone = activation && drawnOutput.map((x) => Math.fround(activate(activation, x)));
  const factor = (index: number): number =>
    activation && undone ? derivativeFromOutput(activation, undone[index]!) : 1;
  const sums = convolveDataGradient(window, outputGradient, weights);
  const magnitudes = convolveDataGradient(window, absolute(outputGradient), absolute(weights));
  const added = (index: number): number => (accumulate ? before[index]! : 0);
  return {
    product: { pass: "data-gradient", window },
    source: outputGradient,
    factor: weights,
    bias: undefined,
    undone,
    before,
    expected: sums.map((sum, index) => (sum + added(index)) * factor(index)),
    allowed: magnitudes.map((magnitude, index) => sumError(window, magnitude + Math.abs(added(index)))),
    operands: { activation, accumulate, offsets: { weights: 0, bias: undefined } },
  };
}

function filterExpectation(test: ProductCase, input: Numbers, outputGradient: Numbers): Expectation {
  const { window, hasBias } = test;
  const { weights, bias } = convolveFilterGradient(window, input, outputGradient);
  const magnitudes = convolveFilterGradient(window, absolute(input), absolute(outputGradient));
  const biasOffset = WEIGHTS_OFFSET + weights.length + 4;
  const length = biasOffset + bias.length + 4;
  const place = (parts: { weights: Numbers; bias: Numbers }): Numbers => {
    const whole = poison(length);
    whole.set(parts.weights, WEIGHTS_OFFSET);
    if (hasBias) whole.set(parts.bias, biasOffset);
    return whole;
  };
  return {
    product: { pass: "filter-gradient", window },
    source: input,
    factor: outputGradient,
    bias: undefined,
    undone: undefined,
    before: poison(length),
    expected: place({ weights, bias }),
    allowed: place(magnitudes).map((magnitude) => sumError(window, magnitude)),
    operands: {
      activation: undefined,
      accumulate: false,
      offsets: { weights: WEIGHTS_OFFSET, bias: hasBias ? biasOffset : undefined },
    },
  };
}

function poison(length: number): Numbers {
  return new Float64Array(length).fill(Number.NaN);
}

function absolute(values: Numbers): Numbers {
  return values.map(Math.abs);
}

/** The longest sum of any pass bounds them all. */
function sumError({ batch, input, output, size }: WindowGeometry, magnitude: number): number {
  const longest = Math.max(
    batch * output.height * output.width,
    size * size * Math.max(input.channels, output.channels),
  );
  return tolerance(longest, magnitude);
}

/** tanh and exp are only good to some 1e-5 in WGSL (15.7.4). */
function activationError(activation: FusedActivation | undefined): number {
  return activation?.kind === "tanh" || activation?.kind === "sigmoid" ? 1e-5 : 0;
}

/** Runs a candidate; the first element that is wrong or was written in vain, as a sentence. */
export async function firstWrongElement(
  device: GPUDevice,
  kernels: Kernels,
  candidate: Candidate,
  expectation: Expectation,
): Promise<string | undefined> {
  const buffers: GPUBuffer[] = [];
  const upload = (values: Numbers): GPUBufferBinding => {
    const { STORAGE, COPY_DST, COPY_SRC } = GPUBufferUsage;
    const size = Math.max(16, Math.ceil(values.length / 4) * 16);
    const buffer = device.createBuffer({ size, usage: STORAGE | COPY_DST | COPY_SRC });
    buffers.push(buffer);
    device.queue.writeBuffer(buffer, 0, Float32Array.from(values));
    return { buffer, offset: 0, size: values.length * 4 };
  };
  const { product, bias, undone, operands } = expectation;
  const scratch = productScratch(product, candidate, operands.offsets.bias !== undefined);
  const target = upload(expectation.before);
  const dispatches = productDispatches(product, candidate, {
    ...operands,
    name: product.pass,
    source: upload(expectation.source),
    factor: upload(expectation.factor),
    bias: bias && upload(bias),
    undone: undone && upload(undone),
    target,
    scratch: {
      lowered: upload(poison(scratch.lowered)).buffer,
      products: upload(poison(scratch.products)).buffer,
    },
  });
  const encoder = device.createCommandEncoder();
  runPass(encoder, await kernels.prepare(dispatches));
  const actual = await readBack(device, encoder, target, expectation.expected.length);
  for (const buffer of buffers) buffer.destroy();
  return firstDifference(actual, expectation, candidate);
}

function firstDifference(actual: Float32Array, expectation: Expectation, candidate: Candidate): string | undefined {
  const { expected, allowed } = expectation;
  const due = expected.findIndex((value, index) => Number.isNaN(value) && !Number.isNaN(actual[index]));
  if (due >= 0) return `element ${due} was written`;
  const wanted = Array.from(expected.keys()).filter((index) => !Number.isNaN(expected[index]));
  const pick = (values: Float32Array | Numbers): number[] => Array.from(wanted, (index) => values[index]!);
  const looser = looseness(expectation, candidate);
  return firstOutside(
    pick(actual),
    pick(expected),
    pick(allowed).map((error) => error * looser.factor + looser.term),
  );
}

function largest(values: Numbers): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

/** f16 operands are rounded to 2^-11; Winograd's sums cancel, so its errors are those of its largest terms. */
function looseness(
  { product, source, factor }: Expectation,
  { algorithm, storage }: Candidate,
): { factor: number; term: number } {
  const half = storage === "f16" ? 2 ** 12 : 1;
  if (algorithm !== "winograd") return { factor: half, term: 0 };
  const { window } = product;
  const channels = Math.max(window.input.channels, window.output.channels);
  return { factor: half, term: half * sumError(window, 81 * channels * largest(source) * largest(factor)) };
}

async function readBack(
  device: GPUDevice,
  encoder: GPUCommandEncoder,
  { buffer }: GPUBufferBinding,
  elements: number,
): Promise<Float32Array> {
  const { COPY_DST, MAP_READ } = GPUBufferUsage;
  const staging = device.createBuffer({ size: elements * 4, usage: COPY_DST | MAP_READ });
  encoder.copyBufferToBuffer(buffer, 0, staging, 0, elements * 4);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const copy = new Float32Array(staging.getMappedRange().slice(0));
  staging.destroy();
  return copy;
}
