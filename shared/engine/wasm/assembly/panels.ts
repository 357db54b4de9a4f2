// Packs the right-hand side B [depth, columns] of a product into panels: 8 columns wide, depth rows one after another, so
// that the row tiles read it as one stream. Columns left over fill a panel of 4 (if they fit) or of 8, with zeros beyond.

import { FLOAT_BYTES, storeFirst, VECTOR_BYTES } from "./lanes";

export const PANEL_COLUMNS: i32 = 8;
/** Bytes of one row of a panel of 8 columns. */
export const PANEL_ROW_BYTES: usize = 32;

/** B is stored as it is: element (k, n) at source + k * rowBytes + n * 4. Rows are read from end to end, once. */
export function packPanels(source: usize, depth: i32, columns: i32, rowBytes: usize, target: usize): void {
  const whole = columns & -PANEL_COLUMNS;
  const panelBytes = (<usize>depth) * PANEL_ROW_BYTES;
  const left = columns - whole;
  const width: usize = left > 4 ? 8 : 4;
  const last = target + (<usize>(whole / PANEL_COLUMNS)) * panelBytes;
  for (let k = 0; k < depth; k++) {
    let from = source;
    let to = target;
    for (let column = 0; column < whole; column += PANEL_COLUMNS) {
      v128.store(to, v128.load(from));
      v128.store(to, v128.load(from, VECTOR_BYTES), VECTOR_BYTES);
      from += PANEL_ROW_BYTES;
      to += panelBytes;
    }
    if (left > 0) packRest(from, left, width, last + (<usize>k) * width * FLOAT_BYTES);
    source += rowBytes;
    target += PANEL_ROW_BYTES;
  }
}

// @ts-ignore: decorator
@inline
function packRest(source: usize, left: i32, width: usize, target: usize): void {
  for (let n = 0; n < <i32>width; n++) {
    store<f32>(target + (<usize>n) * FLOAT_BYTES, n < left ? load<f32>(source + (<usize>n) * FLOAT_BYTES) : 0);
  }
}

/** sums [columns] over the rows of panels that `packPanels` made, or added to them: the gradient of a bias. */
export function sumPanels(panels: usize, depth: i32, columns: i32, sums: usize, add: bool): void {
  for (let column = 0; column < columns; column += PANEL_COLUMNS) {
    const left = columns - column;
    const rowBytes: usize = left > 4 ? PANEL_ROW_BYTES : VECTOR_BYTES;
    sumPanel(panels, depth, rowBytes, sums, left, add);
    if (left > 4) sumPanel(panels + VECTOR_BYTES, depth, rowBytes, sums + VECTOR_BYTES, left - 4, add);
    panels += (<usize>depth) * rowBytes;
    sums += PANEL_ROW_BYTES;
  }
}

/** Four columns, in four sums side by side: one sum would wait for itself. */
function sumPanel(panel: usize, depth: i32, rowBytes: usize, sums: usize, left: i32, add: bool): void {
  let sum0 = add ? v128.load(sums) : f32x4.splat(0);
  let sum1 = f32x4.splat(0);
  let sum2 = f32x4.splat(0);
  let sum3 = f32x4.splat(0);
  let k = 0;
  for (; k + 4 <= depth; k += 4) {
    sum0 = f32x4.add(sum0, v128.load(panel));
    sum1 = f32x4.add(sum1, v128.load(panel + rowBytes));
    sum2 = f32x4.add(sum2, v128.load(panel + 2 * rowBytes));
    sum3 = f32x4.add(sum3, v128.load(panel + 3 * rowBytes));
    panel += 4 * rowBytes;
  }
  for (; k < depth; k++) {
    sum0 = f32x4.add(sum0, v128.load(panel));
    panel += rowBytes;
  }
  storeFirst(sums, f32x4.add(f32x4.add(sum0, sum1), f32x4.add(sum2, sum3)), left);
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
export function packHalf(source: usize, depth: i32, count: i32, rowBytes: usize, target: usize, panelRowBytes: usize): void {
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
