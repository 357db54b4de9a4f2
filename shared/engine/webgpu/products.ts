/**
 * The launches of operations with weights: which product an operation is, what it calculates with, and the algorithm that
 * the chosen candidate names. A dense layer is a convolution whose images have one pixel.
 */

import type { Operation, OperationOf, WindowGeometry } from "../operation.ts";
import { depthwiseConvolution, depthwiseFilterGradient } from "./algorithms/depthwise.ts";
import { directConvolution, directFilterGradient } from "./algorithms/direct.ts";
import { implicitConvolution, implicitFilterGradient } from "./algorithms/implicit.ts";
import { loweredConvolution, loweredFilterGradient } from "./algorithms/lowered.ts";
import { tiledConvolution, tiledFilterGradient } from "./algorithms/tiled.ts";
import { winogradConvolution } from "./algorithms/winograd.ts";
import { denseWindow, type Launched, type ProductOperands, type ScratchElements } from "./algorithms/operands.ts";
import type { Candidate, ChooseCandidate, Pass, Product } from "./choice/candidate.ts";
import type { Dispatch } from "./dispatch.ts";
import type { PlanMemory } from "./memory.ts";

const PASSES = {
  convolve: "forward",
  dense: "forward",
  "convolve-data-gradient": "data-gradient",
  "dense-data-gradient": "data-gradient",
  "convolve-filter-gradient": "filter-gradient",
  "dense-filter-gradient": "filter-gradient",
} as const satisfies Partial<Record<Operation["kind"], Pass>>;

export type WeightedOperation = OperationOf<keyof typeof PASSES>;

export function isWeighted(operation: Operation): operation is WeightedOperation {
  return operation.kind in PASSES;
}

export function productOf(operation: WeightedOperation): Product {
  const window: WindowGeometry = "window" in operation ? operation.window : denseWindow(operation);
  return { pass: PASSES[operation.kind], window };
}

/** The launches of a product by a candidate. The operands' buffers may not overlap, but for an accumulated target. */
export function productDispatches(product: Product, candidate: Candidate, operands: ProductOperands): Dispatch[] {
  return launch(product, candidate, operands).dispatches;
}

/** The scratch memory that a product needs by a candidate. */
export function productScratch(product: Product, candidate: Candidate, hasBias: boolean): ScratchElements {
  return launch(product, candidate, placeholders(product, hasBias)).scratch;
}

function launch(product: Product, candidate: Candidate, operands: ProductOperands): Launched {
  const isFilterGradient = product.pass === "filter-gradient";
  switch (candidate.algorithm) {
    case "implicit":
      return isFilterGradient
        ? implicitFilterGradient(product, candidate, operands)
        : implicitConvolution(product, candidate, operands);
    case "depthwise":
      return isFilterGradient
        ? depthwiseFilterGradient(product, candidate, operands)
        : depthwiseConvolution(product, operands);
    case "tiled":
      return isFilterGradient
        ? tiledFilterGradient(product, candidate, operands)
        : tiledConvolution(product, candidate, operands);
    case "direct":
      return isFilterGradient
        ? directFilterGradient(product, candidate, operands)
        : directConvolution(product, candidate, operands);
    case "lowering-1":
    case "lowering-2":
    case "lowering-3":
      return isFilterGradient
        ? loweredFilterGradient(product, candidate, operands)
        : loweredConvolution(product, candidate, operands);
    case "winograd":
      return winogradConvolution(product, candidate, operands);
    default:
      return candidate.algorithm satisfies never;
  }
}

export function weightedDispatches(
  operation: WeightedOperation,
  memory: PlanMemory,
  choose: ChooseCandidate,
): Dispatch[] {
  const product = productOf(operation);
  return productDispatches(product, choose(product), operandsOf(operation, product, memory));
}

export function weightedScratch(operation: WeightedOperation, choose: ChooseCandidate): ScratchElements {
  const product = productOf(operation);
  return productScratch(product, choose(product), operation.bias !== undefined);
}

function operandsOf(operation: WeightedOperation, product: Product, memory: PlanMemory): ProductOperands {
  const { weights, bias } = operation;
  const shared = {
    name: `${operation.name} ${product.pass.replace("-", " ")}`,
    factor: memory.parameter(weights),
    bias: undefined,
    activation: undefined,
    undone: undefined,
    accumulate: false,
    offsets: { weights: 0, bias: bias && bias.offset - weights.offset },
    scratch: { lowered: memory.scratch, products: memory.scratchProducts },
  };
  switch (operation.kind) {
    case "convolve":
    case "dense":
      return {
        ...shared,
        source: memory.tensor(operation.input),
        bias: bias && memory.parameter(bias),
        activation: operation.activation,
        target: memory.tensor(operation.output),
      };
    case "convolve-data-gradient":
    case "dense-data-gradient": {
      const { undo, accumulate } = operation;
      return {
        ...shared,
        source: memory.tensor(operation.outputGradient),
        activation: undo?.activation,
        undone: undo && memory.tensor(undo.output),
        accumulate,
        target: memory.tensor(operation.inputGradient),
      };
    }
    case "convolve-filter-gradient":
    case "dense-filter-gradient":
      return {
        ...shared,
        source: memory.tensor(operation.input),
        factor: memory.tensor(operation.outputGradient),
        target: memory.gradients(weights, bias),
      };
    default:
      return operation satisfies never;
  }
}

/** Operands whose sizes are right and whose buffers are missing: enough to count what is borrowed. */
function placeholders({ pass, window }: Product, hasBias: boolean): ProductOperands {
  const buffer = {} as GPUBuffer;
  const image = ({ height, width, channels }: WindowGeometry["input"]): GPUBufferBinding => ({
    buffer,
    size: window.batch * height * width * channels * 4,
  });
  const isDataGradient = pass === "data-gradient";
  return {
    name: "",
    source: image(isDataGradient ? window.output : window.input),
    factor: pass === "filter-gradient" ? image(window.output) : { buffer },
    bias: undefined,
    activation: undefined,
    undone: undefined,
    accumulate: false,
    target: image(isDataGradient ? window.input : window.output),
    offsets: { weights: 0, bias: hasBias ? 0 : undefined },
    scratch: { lowered: buffer, products: buffer },
  };
}
