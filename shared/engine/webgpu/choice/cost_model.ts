/**
 * A guess at how long a candidate takes: what a tuner measures first, and what it starts with. Good for putting
 * candidates in order, not for promises.
 */

import type { Candidate, DeviceTraits, Product } from "./candidate.ts";
import { depthOf, inputPixels, outputPixels } from "./shape.ts";

interface Device {
  /** Multiply-adds a millisecond, in registers. */
  readonly multiplyAdds: number;
  /** Multiply-adds that one load of an element takes the place of. */
  readonly loadCost: number;
  /** Loads and stores a millisecond of the kernels that copy. */
  readonly copies: number;
  readonly dispatchMs: number;
}

/** SwiftShader, 2 cores at 2.5 GHz: shaders/README.md. */
const SOFTWARE: Device = { multiplyAdds: 8e6, loadCost: 22, copies: 6e4, dispatchMs: 0.05 };
/** An estimate of a discrete GPU; not measured. */
const HARDWARE: Device = { multiplyAdds: 5e9, loadCost: 4, copies: 1e8, dispatchMs: 0.01 };

export function modelledMs(traits: DeviceTraits, product: Product, candidate: Candidate): number {
  const device = traits.isFallback ? SOFTWARE : HARDWARE;
  const { rows, columns, variant } = candidate.tile;
  const gemm = gemmOf(product, candidate);
  const tilesOfRows = Math.ceil(gemm.rows / rows);
  const tilesOfColumns = Math.ceil(gemm.columns / (4 * columns));
  const multiplyAdds = tilesOfRows * rows * tilesOfColumns * 4 * columns * gemm.depth;
  const loadsPerStep = 4 * columns + (variant === "quads" ? rows / 4 : rows);
  const loads = tilesOfRows * tilesOfColumns * gemm.depth * loadsPerStep;
  return (
    (multiplyAdds + loads * device.loadCost) / device.multiplyAdds +
    gemm.copied / device.copies +
    gemm.dispatches * device.dispatchMs
  );
}

interface Gemm {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  /** Elements that lowering, lifting and adding read or write besides the product. */
  readonly copied: number;
  readonly dispatches: number;
}

function gemmOf({ pass, window }: Product, { algorithm, images, splits }: Candidate): Gemm {
  const { input, output, size, groups } = window;
  const depth = depthOf(window);
  const pixels = outputPixels(window);
  if (pass === "filter-gradient") {
    const copied = splits > 1 ? splits * (depth + 1) * output.channels : 0;
    return { rows: output.channels, columns: depth + 1, depth: pixels, copied, dispatches: splits > 1 ? 2 : 1 };
  }
  if (algorithm === "lowering-3") {
    const copied = pixels * depth * 2;
    return { rows: depth, columns: pixels, depth: output.channels, copied, dispatches: (2 * window.batch) / images };
  }
  const ends =
    pass === "forward"
      ? { rows: output.channels, columns: pixels, depth }
      : { rows: input.channels, columns: inputPixels(window), depth: (size * size * output.channels) / groups };
  return { ...ends, copied: 0, dispatches: 1 };
}
