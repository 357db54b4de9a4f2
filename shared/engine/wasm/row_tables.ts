/**
 * Tables of row addresses for the register tiles: where each row of A is read and each row of C written. With them a dense
 * layer's rows, a convolution's overlapping windows and the pixels of its output are all the same to the kernels.
 */

import { alignUp } from "../../model/layout.ts";
import type { WindowGeometry } from "../operation.ts";
import type { MemoryMap } from "./memory_map.ts";
import { paddedImageBytes, paddedLineBytes } from "./scratch.ts";

const WORD_BYTES = 4;
/** As in `assembly/row_tiles.ts`. */
const TILE_ROWS = 6;

export interface RowTables {
  /** Addresses of the tables. */
  readonly rowsA: number;
  readonly rowsC: number;
  readonly tiles: number;
}

/** Fills the last tile: rows that do not exist are read from the last one and written to the sink. */
export function rowTables(map: MemoryMap, rowsA: Uint32Array, rowsC: Uint32Array): RowTables {
  if (rowsA.length !== rowsC.length)
    throw new Error("invariant violation: rows read and rows written differ in number");
  const rows = alignUp(rowsA.length, TILE_ROWS);
  return {
    rowsA: map.addTable(extended(rowsA, rows, rowsA.at(-1) ?? 0)),
    rowsC: map.addTable(extended(rowsC, rows, map.scratch.sinkBytes)),
    tiles: rows / TILE_ROWS,
  };
}

function extended(rows: Uint32Array, length: number, filler: number): Uint32Array {
  const table = new Uint32Array(length).fill(filler);
  table.set(rows);
  return table;
}

/** The rows of a dense matrix at `address`. */
export function matrixRows(rows: number, columns: number, address: number): Uint32Array {
  return Uint32Array.from({ length: rows }, (_, row) => address + row * columns * WORD_BYTES);
}

/** The pixels of a convolution's output, in order. */
export function imageRows({ batch, output }: WindowGeometry, address: number): Uint32Array {
  return matrixRows(batch * output.height * output.width, output.channels, address);
}

/** For each pixel of the output the first element of its window in the (padded) input at `address`. */
export function windowRows(window: WindowGeometry, address: number): Uint32Array {
  const { batch, input, output, stride } = window;
  const rows = new Uint32Array(batch * output.height * output.width);
  let row = 0;
  for (let image = 0; image < batch; image++) {
    for (let y = 0; y < output.height; y++) {
      for (let x = 0; x < output.width; x++) {
        const inImage = y * stride * paddedLineBytes(window) + x * stride * input.channels * WORD_BYTES;
        rows[row++] = address + image * paddedImageBytes(window) + inImage;
      }
    }
  }
  return rows;
}
