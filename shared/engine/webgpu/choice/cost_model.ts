/**
 * A guess at how long a candidate takes: what a tuner measures first, and what it starts with. Good for putting
 * candidates in order, not for promises. Inner loops cost multiply-adds and loads; what goes round them (lowering, lifting,
 * adding copies) costs elements copied; each launch costs its floor.
 */

import { axesOf, loweredSizes } from "../algorithms/lowered.ts";
import { viewOf, type View } from "../algorithms/operands.ts";
import { TILED_SIDE } from "../algorithms/tiled.ts";
import type { Candidate, DeviceTraits, Product, Tile } from "./candidate.ts";
import { depthOf, outputPixels } from "./shape.ts";

interface Device {
  /** Multiply-adds a millisecond, in registers. */
  readonly multiplyAdds: number;
  /** Multiply-adds that one load in an inner loop takes the place of. */
  readonly loadCost: number;
  /** Elements that lowering and lifting read and write in a millisecond. */
  readonly copies: number;
  readonly dispatchMs: number;
}

/**
 * SwiftShader on a 2-core Xeon at 2.5 GHz, 2026-11-21: fits the direct kernel (64 to 64 channels, 32x32, 3x3) at 4.7
 * GFLOP/s a core, the implicit one at 3.1, and 69 ms for lowering the 9.4 million elements of its windows.
 */
const SOFTWARE: Device = { multiplyAdds: 8e6, loadCost: 18, copies: 1.4e5, dispatchMs: 0.05 };
/** An estimate of a discrete GPU; not measured. */
const HARDWARE: Device = { multiplyAdds: 5e9, loadCost: 4, copies: 1e8, dispatchMs: 0.01 };

interface Work {
  readonly multiplyAdds: number;
  readonly loads: number;
  readonly copied: number;
  readonly dispatches: number;
}

export function modelledMs(traits: DeviceTraits, product: Product, candidate: Candidate): number {
  const device = traits.isFallback ? SOFTWARE : HARDWARE;
  const { multiplyAdds, loads, copied, dispatches } = workOf(product, candidate);
  const inner = (multiplyAdds + loads * device.loadCost) / device.multiplyAdds;
  return inner / occupancy(traits, product, candidate) + copied / device.copies + dispatches * device.dispatchMs;
}

function workOf(product: Product, candidate: Candidate): Work {
  switch (candidate.algorithm) {
    case "implicit":
      return product.pass === "filter-gradient" ? implicitFilter(product, candidate) : implicit(product, candidate);
    case "tiled":
      return tiled(product, candidate);
    case "direct":
      return product.pass === "filter-gradient" ? directFilter(product, candidate) : direct(product, candidate);
    case "lowering-1":
    case "lowering-2":
    case "lowering-3":
      return lowered(product, candidate);
    case "winograd":
      return winograd(product, candidate);
    case "depthwise":
      return depthwise(product, candidate);
    default:
      return candidate.algorithm satisfies never;
  }
}

/** A GEMM of `rows` by `columns` over `depth`, in tiles that may hang over both edges. */
function gemm(tile: Tile, rows: number, columns: number, depth: number): Pick<Work, "multiplyAdds" | "loads"> {
  const tiles = Math.ceil(rows / tile.rows) * Math.ceil(columns / (4 * tile.columns));
  // A quad loads a row's element once for its four lanes.
  const rowLoads = tile.variant === "quads" ? tile.rows / 4 : tile.rows;
  return {
    multiplyAdds: tiles * tile.rows * 4 * tile.columns * depth,
    loads: tiles * depth * (4 * tile.columns + rowLoads),
  };
}

function times(work: Pick<Work, "multiplyAdds" | "loads">, factor: number): Pick<Work, "multiplyAdds" | "loads"> {
  return { multiplyAdds: work.multiplyAdds * factor, loads: work.loads * factor };
}

function depthOfView({ size, input, groups }: View): number {
  return size * size * (input.channels / groups);
}

function implicit(product: Product, { tile }: Candidate): Work {
  const view = viewOf(product);
  const work = gemm(tile, view.output.channels / view.groups, outputPixels(view), depthOfView(view));
  return { ...times(work, view.groups), copied: 0, dispatches: 1 };
}

/** Elements that a split filter gradient writes and reads again. */
function partials({ window }: Product, splits: number): Pick<Work, "copied" | "dispatches"> {
  if (splits === 1) return { copied: 0, dispatches: 1 };
  return { copied: splits * (depthOf(window) + 1) * window.output.channels, dispatches: 2 };
}

function implicitFilter(product: Product, { tile, splits }: Candidate): Work {
  const { window } = product;
  const work = gemm(tile, window.output.channels / window.groups, depthOf(window) + 1, outputPixels(window));
  return { ...times(work, window.groups), ...partials(product, splits) };
}

/** Loads go to workgroup memory and are shared by a side of the workgroup. */
function tiled(product: Product, { tile, splits, storage }: Candidate): Work {
  const isFilter = product.pass === "filter-gradient";
  const view = isFilter ? viewOf({ pass: "forward", window: product.window }) : viewOf(product);
  const side = { ...tile, rows: tile.rows * TILED_SIDE, columns: tile.columns * TILED_SIDE };
  const [columns, depth] = isFilter
    ? [depthOfView(view) + 1, outputPixels(view)]
    : [outputPixels(view), depthOfView(view)];
  const work = gemm(side, view.output.channels / view.groups, columns, depth);
  const halved = storage === "f16" ? 0.5 : 1;
  const inner = { multiplyAdds: work.multiplyAdds * 1.3, loads: work.loads * halved };
  return { ...times(inner, view.groups), ...(isFilter ? partials(product, splits) : { copied: 0, dispatches: 1 }) };
}

function direct(product: Product, { tile }: Candidate): Work {
  const view = viewOf(product);
  const { size, stride, groups, batch, output } = view;
  const strips = batch * output.height * Math.ceil(output.width / 8);
  const blocks = size * Math.ceil(view.input.channels / groups / 4);
  const tiles = strips * groups * Math.ceil(output.channels / groups / tile.rows) * blocks;
  const weightLoads = size * tile.rows * (tile.variant === "quads" ? 1 : 4);
  return {
    multiplyAdds: tiles * size * 4 * 8 * tile.rows,
    loads: tiles * ((7 * stride + size) * 4 + weightLoads),
    copied: 0,
    dispatches: 1,
  };
}

function directFilter(product: Product, { tile, splits }: Candidate): Work {
  const { window } = product;
  const { batch, input, output, size, stride, groups } = window;
  const steps = batch * output.height * Math.ceil(output.width / 8);
  const blocks = size * groups * Math.ceil(input.channels / groups / tile.rows);
  const lanes = tile.invocations * Math.ceil(output.channels / groups / (4 * tile.columns * tile.invocations));
  const tiles = steps * blocks * lanes;
  const inputLoads = (7 * stride + size) * tile.rows * (tile.variant === "quads" ? 0.25 : 1);
  return {
    // Each accumulator is touched once for 8 products here, for 12 or 20 in the forward kernel.
    multiplyAdds: tiles * 1.5 * size * tile.rows * 8 * 4 * tile.columns,
    loads: tiles * (inputLoads + 8 * 4 * tile.columns),
    ...partials(product, splits),
  };
}

function lowered(product: Product, { algorithm, tile, images, splits }: Candidate): Work {
  const isFilter = product.pass === "filter-gradient";
  const view = isFilter ? viewOf({ pass: "forward", window: product.window }) : viewOf(product);
  const { isLowered, isLifted, height, width, depth, units } = loweredSizes(view, axesOf(algorithm));
  const pixels = view.batch * height * width;
  const parts = Math.ceil(view.batch / images);
  const copied = pixels * ((isLowered ? depth : 0) + (isLifted ? units : 0));
  const each = 1 + (isLowered ? 1 : 0) + (isLifted ? 1 : 0);
  if (!isFilter) return { ...gemm(tile, units, pixels, depth), copied, dispatches: 1 + parts * each };
  const adding = partials(product, parts * splits);
  return {
    ...gemm(tile, units, depth + 1, pixels),
    copied: copied + adding.copied,
    dispatches: 1 + parts * each,
  };
}

function winograd(product: Product, { tile, images }: Candidate): Work {
  const view = viewOf(product);
  const tiles = view.batch * Math.ceil(view.output.height / 2) * Math.ceil(view.output.width / 2);
  const { input, output } = view;
  return {
    ...times(gemm(tile, output.channels, tiles, input.channels), 16),
    copied: 16 * tiles * (input.channels + output.channels),
    dispatches: 1 + 18 * Math.ceil(view.batch / images),
  };
}

function depthwise(product: Product, { splits }: Candidate): Work {
  const { window, pass } = product;
  const multiplyAdds = outputPixels(window) * window.size * window.size * window.output.channels;
  const adding = pass === "filter-gradient" ? partials(product, splits) : { copied: 0, dispatches: 1 };
  return { multiplyAdds, loads: 2 * multiplyAdds, ...adding };
}

/** Invocations that keep a device busy: a few a core in software, thousands on a GPU. */
const WANTED = { software: 32, hardware: 16_384 } as const;

/** The share of the device that the launch fills. */
function occupancy(traits: DeviceTraits, product: Product, candidate: Candidate): number {
  const { window, pass } = product;
  const { rows, columns, invocations } = candidate.tile;
  const view = pass === "filter-gradient" ? viewOf({ pass: "forward", window }) : viewOf(product);
  const wide = pass === "filter-gradient" ? depthOf(window) + 1 : outputPixels(view);
  const launched =
    candidate.splits *
    view.groups *
    Math.ceil(view.output.channels / view.groups / rows) *
    Math.ceil(wide / (4 * columns));
  const wanted = traits.isFallback ? WANTED.software : Math.max(WANTED.hardware, invocations);
  return Math.min(1, launched / wanted);
}
