// Packs the right-hand side B [depth, columns] of a product into panels: 8 columns wide, depth rows one after another, so
// that the row tiles read it as one stream. Columns left over fill a panel of 4 (if they fit) or of 8, with zeros beyond.

import { FLOAT_BYTES, VECTOR_BYTES } from "./lanes";

export const PANEL_COLUMNS: i32 = 8;
/** Bytes of one row of a panel of 8 columns. */
export const PANEL_ROW_BYTES: usize = 32;

/** B is stored as it is: element (k, n) at source + k * rowBytes + n * 4. */
export function packPanels(source: usize, depth: i32, columns: i32, rowBytes: usize, target: usize): void {
  let column = 0;
  for (; column + PANEL_COLUMNS <= columns; column += PANEL_COLUMNS) {
    let from = source + (<usize>column) * FLOAT_BYTES;
    for (let k = 0; k < depth; k++) {
      v128.store(target, v128.load(from));
      v128.store(target, v128.load(from, VECTOR_BYTES), VECTOR_BYTES);
      from += rowBytes;
      target += PANEL_ROW_BYTES;
    }
  }
  const left = columns - column;
  if (left == 0) return;
  const width = left > 4 ? 8 : 4;
  for (let k = 0; k < depth; k++) {
    const from = source + (<usize>k) * rowBytes + (<usize>column) * FLOAT_BYTES;
    for (let n = 0; n < width; n++) {
      store<f32>(target, n < left ? load<f32>(from + (<usize>n) * FLOAT_BYTES) : 0);
      target += FLOAT_BYTES;
    }
  }
}

/** Eight neighbouring columns of a matrix, one row after another; columns that do not exist bring what lies behind them. */
export function packColumns(source: usize, depth: i32, rowBytes: usize, target: usize): void {
  for (let k = 0; k < depth; k++) {
    v128.store(target, v128.load(source));
    v128.store(target, v128.load(source, VECTOR_BYTES), VECTOR_BYTES);
    source += rowBytes;
    target += PANEL_ROW_BYTES;
  }
}

/** B is stored transposed: element (k, n) at source + n * rowBytes + k * 4. */
export function packPanelsTransposed(source: usize, depth: i32, columns: i32, rowBytes: usize, target: usize): void {
  for (let column = 0; column < columns; column += PANEL_COLUMNS) {
    const left = min(columns - column, PANEL_COLUMNS);
    const width = left > 4 ? 8 : 4;
    const from = source + (<usize>column) * rowBytes;
    packHalf(from, depth, min(left, 4), rowBytes, target, (<usize>width) * FLOAT_BYTES);
    if (width == 8) packHalf(from + 4 * rowBytes, depth, left - 4, rowBytes, target + VECTOR_BYTES, PANEL_ROW_BYTES);
    target += (<usize>depth) * (<usize>width) * FLOAT_BYTES;
  }
}

/** Four columns of a panel, of which `count` exist. */
function packHalf(source: usize, depth: i32, count: i32, rowBytes: usize, target: usize, panelRowBytes: usize): void {
  let k = 0;
  if (count == 4) {
    for (; k + 4 <= depth; k += 4) {
      transpose4x4(source + (<usize>k) * FLOAT_BYTES, rowBytes, target, panelRowBytes);
      target += 4 * panelRowBytes;
    }
  }
  for (; k < depth; k++) {
    for (let n = 0; n < 4; n++) {
      const value: f32 = n < count ? load<f32>(source + (<usize>n) * rowBytes + (<usize>k) * FLOAT_BYTES) : 0;
      store<f32>(target + (<usize>n) * FLOAT_BYTES, value);
    }
    target += panelRowBytes;
  }
}

// @ts-ignore: decorator
@inline
function transpose4x4(source: usize, rowBytes: usize, target: usize, targetRowBytes: usize): void {
  const r0 = v128.load(source);
  const r1 = v128.load(source + rowBytes);
  const r2 = v128.load(source + 2 * rowBytes);
  const r3 = v128.load(source + 3 * rowBytes);
  const low01 = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5);
  const low23 = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5);
  const high01 = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7);
  const high23 = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7);
  v128.store(target, v128.shuffle<f32>(low01, low23, 0, 1, 4, 5));
  v128.store(target + targetRowBytes, v128.shuffle<f32>(low01, low23, 2, 3, 6, 7));
  v128.store(target + 2 * targetRowBytes, v128.shuffle<f32>(high01, high23, 0, 1, 4, 5));
  v128.store(target + 3 * targetRowBytes, v128.shuffle<f32>(high01, high23, 2, 3, 6, 7));
}
