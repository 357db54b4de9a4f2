/**
 * The kernel calls of the convolution's three passes. A few images at a time: their source is copied into a border of zeros
 * (where windows reach out of it), multiplied, and what remains (an activation, or its undoing) finds the result in the cache.
 *
 * Relaxed, one thread, best of 40 rounds: 3x3, 64 to 64 channels, 32x32, batch 16: forward 25.5 ms, data gradient 25.5 ms, filter
 * gradient 29.3 ms (47.3, 47.3 and 41.3 GFLOP/s; a matrix product of side 512 runs at 44). 16 channels: 40, 38 and 40 GFLOP/s;
 * 3 channels: 25; 1x1 by 2: 15 to 32 (2-core Xeon 2.5 GHz, Node 24, 2026-11-21).
 */

import { elementsOf } from "../../model/model.ts";
import type { OperationOf, WindowGeometry } from "../operation.ts";
import { activated, ADD, addressesOf, call, fusedRelu, undone, WORD_BYTES, type Chunk } from "./calls.ts";
import type { Invocation } from "./kernels.ts";
import type { MemoryView } from "./memory_view.ts";
import { chunkImages, filterChunk, isDepthwise, panelsBytes, scattersGradient } from "./scratch.ts";
import { forwardProducts, gradientProducts, type Bordered, type Phase, type Products } from "./window_geometry.ts";

/** The images of a batch, `most` at a time. */
function imageChunks(batch: number, most: number): readonly Chunk[] {
  return Array.from({ length: Math.ceil(batch / most) }, (_, index) => ({
    first: index * most,
    count: Math.min(most, batch - index * most),
  }));
}

/** A tensor of images, and its copies with borders in the scratch space. */
interface Source {
  /** Zeroes the borders, once for all chunks. */
  readonly begin: readonly Invocation[];
  /** Brings a chunk's images in; `at` is where the first of them begins, border included. */
  bring(chunk: Chunk): { readonly at: number; readonly calls: readonly Invocation[] };
}

function sourceOf(
  tensor: number,
  shape: WindowGeometry["input"],
  { hasBorder, lineBytes, imageBytes, insideBytes }: Bordered,
  images: number,
  map: MemoryView,
): Source {
  const bytes = elementsOf(shape) * WORD_BYTES;
  if (!hasBorder) return { begin: [], bring: ({ first }) => ({ at: tensor + first * bytes, calls: [] }) };
  const at = map.scratch.paddedBytes;
  const unpadded = shape.width * shape.channels * WORD_BYTES;
  return {
    begin: [call("fillZero", at, images * imageBytes)],
    bring: ({ first, count }) => ({
      at,
      calls: [
        call("pad", tensor + first * bytes, unpadded, shape.height, count, at + insideBytes, lineBytes, imageBytes),
      ],
    }),
  };
}

/** What all products of one pass have in common. */
interface Pass {
  readonly window: WindowGeometry;
  readonly products: Products;
  /** Channels of source and target. */
  readonly channels: number;
  readonly targets: number;
  readonly bias: number;
  readonly relu: number;
  /** Of a phase's packed weights. */
  readonly packed: (phase: number) => number;
}

interface Tables {
  readonly rowsA: number;
  readonly rowsC: number;
}

/** The products of one chunk in one phase. */
function multiplied(
  pass: Pass,
  phase: Phase,
  index: number,
  { rowsA, rowsC }: Tables,
  from: number,
  to: number,
  images: number,
): Invocation[] {
  const { window, channels, targets, bias, relu } = pass;
  const { lines, taps, lineStepBytes, tapStepBytes, tapStep } = phase;
  const rows = images * phase.rowsPerImage;
  const packed = pass.packed(index);
  if (isDepthwise(window)) {
    return [
      call(
        "multiplyDepthwise",
        rowsA,
        from,
        rowsC,
        to,
        rows,
        lines,
        lineStepBytes,
        taps,
        tapStepBytes,
        packed,
        channels,
        bias,
        relu,
      ),
    ];
  }
  const { groups } = window;
  const depth = channels / groups;
  const width = targets / groups;
  const isOneRun = groups === 1 && tapStep === 1;
  const runs = isOneRun ? 1 : taps;
  const run = isOneRun ? taps * depth : depth;
  const jump = isOneRun ? 0 : tapStepBytes - depth * WORD_BYTES;
  const lineJump = lineStepBytes - runs * (run * WORD_BYTES + jump);
  const panels = panelsBytes(lines * taps * depth, width);
  return Array.from({ length: groups }, (_, group) => {
    const atA = from + group * depth * WORD_BYTES;
    const shift = group * width * WORD_BYTES;
    const groupBias = bias === ADD ? ADD : bias + shift;
    return call(
      "multiply",
      rowsA,
      atA,
      rowsC,
      to + shift,
      rows,
      lines,
      lineJump,
      runs,
      run,
      jump,
      packed + group * panels,
      width,
      groupBias,
      relu,
    );
  });
}

export function convolve(operation: OperationOf<"convolve">, map: MemoryView): Invocation[] {
  const { window, activation } = operation;
  const { size, input, output, batch, groups } = window;
  const images = chunkImages(window, "forward");
  const products = forwardProducts(window, images);
  const phase = products.phases[0]!;
  const source = sourceOf(map.tensor(operation.input), input, products.source, images, map);
  const { weights, bias } = addressesOf(operation, map.parameters);
  const packed = isDepthwise(window) ? weights : map.scratch.packedBytes;
  const tables = { rowsA: map.addTable(phase.rowsA), rowsC: map.addTable(phase.rowsC) };
  const pass = {
    window,
    products,
    channels: input.channels,
    targets: output.channels,
    bias: bias || map.zeros,
    relu: fusedRelu(activation),
    packed: () => packed,
  };
  const depth = (size * size * input.channels) / groups;
  const width = output.channels / groups;
  const packs = Array.from({ length: isDepthwise(window) ? 0 : groups }, (_, group) =>
    call(
      "packPanels",
      weights + group * width * WORD_BYTES,
      depth,
      width,
      output.channels * WORD_BYTES,
      packed + group * panelsBytes(depth, width),
    ),
  );
  const imageElements = elementsOf(output);
  const chunks = imageChunks(batch, images).flatMap((chunk) => {
    const { at, calls } = source.bring(chunk);
    const target = map.tensor(operation.output) + chunk.first * imageElements * WORD_BYTES;
    return [
      calls,
      multiplied(pass, phase, 0, tables, at, target, chunk.count),
      activated(target, chunk.count * imageElements, activation),
    ].flat();
  });
  return [...source.begin, ...packs, ...chunks];
}

export function convolveDataGradient(operation: OperationOf<"convolve-data-gradient">, map: MemoryView): Invocation[] {
  return scattersGradient(operation.window) ? scattered(operation, map) : gathered(operation, map);
}

/**
 * For each line of the window one product, added to the input's gradient, where its rows overlap as the windows do. Without
 * padding the windows around the image's rim have few products, and asking each input pixel for its windows would spend most on
 * zeros: LeNet's second convolution takes 2.8 times as long that way (Xeon 2.5 GHz, Node 24, 2026-11-21).
 */
function scattered(operation: OperationOf<"convolve-data-gradient">, map: MemoryView): Invocation[] {
  const { window, undo, accumulate } = operation;
  const { size, input, output, batch } = window;
  const { weights } = addressesOf(operation, map.parameters);
  const run = size * input.channels;
  const rowBytes = output.channels * WORD_BYTES;
  const packed = (line: number): number => map.scratch.packedBytes + line * panelsBytes(output.channels, run);
  const packs = Array.from({ length: size }, (_, line) =>
    call("packPanelsTransposed", weights + line * run * rowBytes, output.channels, run, rowBytes, packed(line)),
  );
  const images = chunkImages(window, "forward");
  const { phases, source } = forwardProducts(window, images);
  const { rowsA: windows, rowsC: pixels } = phases[0]!;
  const tables = { windows: map.addTable(windows), pixels: map.addTable(pixels) };
  const imageElements = elementsOf(input);
  const gradient = map.tensor(operation.inputGradient);
  const chunks = imageChunks(batch, images).flatMap(({ first, count }) => {
    const target = gradient + first * source.imageBytes;
    const slopes = map.tensor(operation.outputGradient) + first * elementsOf(output) * WORD_BYTES;
    const rows = count * output.height * output.width;
    const lines = Array.from({ length: size }, (_, line) => {
      const to = target + line * source.lineBytes;
      const shape = [rows, 1, 0, 1, output.channels, 0];
      return call("multiply", tables.pixels, slopes, tables.windows, to, ...shape, packed(line), run, ADD, 0);
    });
    return [
      accumulate ? [] : call("fillZero", target, count * source.imageBytes),
      lines,
      undone(gradient, undo, count * imageElements, map, first * imageElements),
    ].flat();
  });
  return [packs, chunks].flat();
}

/** Each pixel of the input asks the windows that it lies in. */
function gathered(operation: OperationOf<"convolve-data-gradient">, map: MemoryView): Invocation[] {
  const { window, undo, accumulate } = operation;
  const { input, output, batch } = window;
  const images = chunkImages(window, "gradient");
  const products = gradientProducts(window, images);
  const source = sourceOf(map.tensor(operation.outputGradient), output, products.source, images, map);
  const { weights } = addressesOf(operation, map.parameters);
  const packs = packedPhases(window, products, weights, map);
  const pass = {
    window,
    products,
    channels: output.channels,
    targets: input.channels,
    bias: accumulate ? ADD : map.zeros,
    relu: 0,
    packed: (phase: number) => packs.addresses[phase]!,
  };
  const tables = products.phases.map(({ rowsA, rowsC }) => ({
    rowsA: map.addTable(rowsA),
    rowsC: map.addTable(rowsC),
  }));
  const gradient = map.tensor(operation.inputGradient);
  const imageElements = elementsOf(input);
  const chunks = imageChunks(batch, images).flatMap((chunk) => {
    const { at, calls } = source.bring(chunk);
    const elements = chunk.count * imageElements;
    const target = gradient + chunk.first * imageElements * WORD_BYTES;
    const zeroes = accumulate || products.covers ? [] : [call("fillZero", target, elements * WORD_BYTES)];
    return [
      calls,
      zeroes,
      products.phases.flatMap((phase, index) =>
        multiplied(pass, phase, index, tables[index]!, at, target, chunk.count),
      ),
      undone(gradient, undo, elements, map, chunk.first * imageElements),
    ].flat();
  });
  return [...source.begin, ...packs.calls, ...chunks];
}

/** Packs every phase's weights, transposed, and says where each phase's lie. */
function packedPhases(
  window: WindowGeometry,
  { phases, filterStep }: Products,
  weights: number,
  map: MemoryView,
): { calls: Invocation[]; addresses: number[] } {
  const { size, groups, input, output } = window;
  const depth = input.channels / groups;
  const width = output.channels / groups;
  const calls: Invocation[] = [];
  const addresses: number[] = [];
  let at = map.scratch.packedBytes;
  for (const { firstLine, lines, firstTap, taps } of phases) {
    addresses.push(at);
    const order = [firstLine, lines, firstTap, taps, filterStep];
    if (isDepthwise(window)) {
      calls.push(call("packDepthwise", weights, size, input.channels, ...order, at));
      at += lines * taps * input.channels * WORD_BYTES;
      continue;
    }
    for (let group = 0; group < groups; group++) {
      const from = weights + group * width * WORD_BYTES;
      calls.push(call("packTaps", from, size, depth, output.channels, width, ...order, at));
      at += panelsBytes(lines * taps * width, depth);
    }
  }
  return { calls, addresses };
}

export function convolveFilterGradient(
  operation: OperationOf<"convolve-filter-gradient">,
  map: MemoryView,
): Invocation[] {
  const { window } = operation;
  const { input, output, batch } = window;
  const { images, lines } = filterChunk(window);
  const { source: bordered } = forwardProducts(window, 0);
  const source = sourceOf(map.tensor(operation.input), input, bordered, images, map);
  const outputLine = output.width * output.channels * WORD_BYTES;
  const chunks = imageChunks(batch, images).flatMap((chunk) => {
    const { at, calls } = source.bring(chunk);
    const parts = imageChunks(output.height, lines).flatMap((part) => {
      const from = at + part.first * window.stride * bordered.lineBytes;
      const slopes = map.tensor(operation.outputGradient) + (chunk.first * output.height + part.first) * outputLine;
      const add = Number(chunk.first + part.first > 0);
      return filterGradientCalls(operation, bordered, from, slopes, part.count, chunk.count, add, map);
    });
    return [calls, parts].flat();
  });
  return [...source.begin, ...chunks];
}

/** For `lines` lines of output in each of `images` images. */
function filterGradientCalls(
  operation: OperationOf<"convolve-filter-gradient">,
  { lineBytes, imageBytes }: Bordered,
  from: number,
  slopes: number,
  lines: number,
  images: number,
  add: number,
  map: MemoryView,
): Invocation[] {
  const { size, stride, dilation, groups, input, output } = operation.window;
  const { weights, bias } = addressesOf(operation, map.gradient);
  const pixelBytes = input.channels * WORD_BYTES;
  const steps = [imageBytes, stride * lineBytes, stride * pixelBytes, dilation * lineBytes, dilation * pixelBytes];
  const pixels = images * lines * output.width;
  if (isDepthwise(operation.window)) {
    const shape = [lines, output.width, images, size, input.channels];
    const sums = bias === 0 ? [] : [call("sumColumns", slopes, pixels, output.channels, bias, add)];
    return [call("depthwiseFilterGradient", from, ...steps, slopes, ...shape, weights, add), ...sums];
  }
  const depth = input.channels / groups;
  const width = output.channels / groups;
  const isOneRun = groups === 1 && dilation === 1;
  const runs = isOneRun ? [1, size * depth] : [size, depth];
  const outputPixelBytes = output.channels * WORD_BYTES;
  return Array.from({ length: groups }, (_, group) => {
    const shift = group * width * WORD_BYTES;
    return call(
      "filterGradient",
      from + group * depth * WORD_BYTES,
      ...steps,
      slopes + shift,
      outputPixelBytes,
      lines,
      output.width,
      images,
      size,
      ...runs,
      width,
      map.scratch.packedBytes,
      weights + shift,
      outputPixelBytes,
      bias === 0 ? 0 : bias + shift,
      add,
    );
  });
}
