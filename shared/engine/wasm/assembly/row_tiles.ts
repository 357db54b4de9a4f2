// The inner loop of everything that multiplies rows by a packed panel: 6 rows of A against 8 (or 4) columns of B, 12 sums in
// registers. Rows are wherever `rowsA` points, so a convolution's windows are read in place and never lowered into a matrix.
//
// 6 x 8 uses 15 registers (12 sums, 2 of B, 1 of A): all that V8 gives out on x64. Tiles alone, GFLOP/s relaxed / plain: 6x8
// 43.1 / 22.9, 3x12 45.0 / 24.7 (but 12 divides few layers), 5x8 42.0 / 22.8, 4x8 39.9 / 22.9, 7x8 37.3 / 23.1, 4x12 33.3 / 23.4,
// 8x4 29.9 / 21.6, 6x4 28.5 / 21.4 (Xeon 2.5 GHz, Node 24, 2026-11-21). Plain ones all wait for the two instructions of a
// multiply-add. The main loop takes 5 elements, so that a 5x5 window's line on one channel is one round of it.
//
// The module is built with optimizeLevel 0 (and constants put in place) on purpose: Binaryen's optimiser folds the sums of an unrolled loop into chains that
// need all of B at once, and V8 then spills every sum (31 instead of 43 GFLOP/s); V8 optimises what matters itself.

import { madd, storeFirst } from "./lanes";

export const TILE_ROWS: i32 = 6;
const OFFSET_BYTES: usize = 4;
/** Bytes of one tile's entries in a table of row offsets (u32 each). */
export const TILE_TABLE_BYTES: usize = 24;
const UNROLL: i32 = 5;

/** Without a bias a tile is added to what is there. */
export const ADD: usize = 0;

/**
 * C[rows <= 6, left <= 8] = A * B + bias (or C += A * B). Row i of A begins at `atA` + the i-th offset of `rowsA` and is read in
 * `lines` lines of `runs` runs of `run` elements, with `jump` bytes skipped after a run and `lineJump` more after a line; the
 * panel is read straight through. Row i of C begins at `atC` + the i-th offset of `rowsC`.
 */
export function rowTile8(
  rowsA: usize, atA: usize, rowsC: usize, atC: usize, rows: i32, lines: i32, lineJump: usize, runs: i32, run: i32,
  jump: usize, panel: usize, left: i32, bias: usize, relu: bool,
): void {
  // Rows that do not exist repeat the last one.
  const last = (<usize>(rows - 1)) * OFFSET_BYTES;
  let a0 = atA + load<usize>(rowsA), a1 = atA + load<usize>(rowsA + min<usize>(4, last));
  let a2 = atA + load<usize>(rowsA + min<usize>(8, last)), a3 = atA + load<usize>(rowsA + min<usize>(12, last));
  let a4 = atA + load<usize>(rowsA + min<usize>(16, last)), a5 = atA + load<usize>(rowsA + min<usize>(20, last));
  let c00 = f32x4.splat(0), c01 = f32x4.splat(0);
  let c10 = f32x4.splat(0), c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0), c21 = f32x4.splat(0);
  let c30 = f32x4.splat(0), c31 = f32x4.splat(0);
  let c40 = f32x4.splat(0), c41 = f32x4.splat(0);
  let c50 = f32x4.splat(0), c51 = f32x4.splat(0);
  for (; lines > 0; lines--) {
    for (let rest = runs; rest > 0; rest--) {
      let k = run;
      let a: v128, b0: v128, b1: v128;
      for (; k >= UNROLL; k -= UNROLL) {
        b0 = v128.load(panel); b1 = v128.load(panel, 16);
        a = v128.load_splat<f32>(a0); c00 = madd(a, b0, c00); c01 = madd(a, b1, c01);
        a = v128.load_splat<f32>(a1); c10 = madd(a, b0, c10); c11 = madd(a, b1, c11);
        a = v128.load_splat<f32>(a2); c20 = madd(a, b0, c20); c21 = madd(a, b1, c21);
        a = v128.load_splat<f32>(a3); c30 = madd(a, b0, c30); c31 = madd(a, b1, c31);
        a = v128.load_splat<f32>(a4); c40 = madd(a, b0, c40); c41 = madd(a, b1, c41);
        a = v128.load_splat<f32>(a5); c50 = madd(a, b0, c50); c51 = madd(a, b1, c51);
        b0 = v128.load(panel, 32); b1 = v128.load(panel, 48);
        a = v128.load_splat<f32>(a0, 4); c00 = madd(a, b0, c00); c01 = madd(a, b1, c01);
        a = v128.load_splat<f32>(a1, 4); c10 = madd(a, b0, c10); c11 = madd(a, b1, c11);
        a = v128.load_splat<f32>(a2, 4); c20 = madd(a, b0, c20); c21 = madd(a, b1, c21);
        a = v128.load_splat<f32>(a3, 4); c30 = madd(a, b0, c30); c31 = madd(a, b1, c31);
        a = v128.load_splat<f32>(a4, 4); c40 = madd(a, b0, c40); c41 = madd(a, b1, c41);
        a = v128.load_splat<f32>(a5, 4); c50 = madd(a, b0, c50); c51 = madd(a, b1, c51);
        b0 = v128.load(panel, 64); b1 = v128.load(panel, 80);
        a = v128.load_splat<f32>(a0, 8); c00 = madd(a, b0, c00); c01 = madd(a, b1, c01);
        a = v128.load_splat<f32>(a1, 8); c10 = madd(a, b0, c10); c11 = madd(a, b1, c11);
        a = v128.load_splat<f32>(a2, 8); c20 = madd(a, b0, c20); c21 = madd(a, b1, c21);
        a = v128.load_splat<f32>(a3, 8); c30 = madd(a, b0, c30); c31 = madd(a, b1, c31);
        a = v128.load_splat<f32>(a4, 8); c40 = madd(a, b0, c40); c41 = madd(a, b1, c41);
        a = v128.load_splat<f32>(a5, 8); c50 = madd(a, b0, c50); c51 = madd(a, b1, c51);
        b0 = v128.load(panel, 96); b1 = v128.load(panel, 112);
        a = v128.load_splat<f32>(a0, 12); c00 = madd(a, b0, c00); c01 = madd(a, b1, c01);
        a = v128.load_splat<f32>(a1, 12); c10 = madd(a, b0, c10); c11 = madd(a, b1, c11);
        a = v128.load_splat<f32>(a2, 12); c20 = madd(a, b0, c20); c21 = madd(a, b1, c21);
        a = v128.load_splat<f32>(a3, 12); c30 = madd(a, b0, c30); c31 = madd(a, b1, c31);
        a = v128.load_splat<f32>(a4, 12); c40 = madd(a, b0, c40); c41 = madd(a, b1, c41);
        a = v128.load_splat<f32>(a5, 12); c50 = madd(a, b0, c50); c51 = madd(a, b1, c51);
        b0 = v128.load(panel, 128); b1 = v128.load(panel, 144);
        a = v128.load_splat<f32>(a0, 16); c00 = madd(a, b0, c00); c01 = madd(a, b1, c01);
        a = v128.load_splat<f32>(a1, 16); c10 = madd(a, b0, c10); c11 = madd(a, b1, c11);
        a = v128.load_splat<f32>(a2, 16); c20 = madd(a, b0, c20); c21 = madd(a, b1, c21);
        a = v128.load_splat<f32>(a3, 16); c30 = madd(a, b0, c30); c31 = madd(a, b1, c31);
        a = v128.load_splat<f32>(a4, 16); c40 = madd(a, b0, c40); c41 = madd(a, b1, c41);
        a = v128.load_splat<f32>(a5, 16); c50 = madd(a, b0, c50); c51 = madd(a, b1, c51);
        panel += 160;
        a0 += 20; a1 += 20; a2 += 20; a3 += 20; a4 += 20; a5 += 20;
      }
      for (; k > 0; k--) {
        b0 = v128.load(panel); b1 = v128.load(panel, 16);
        a = v128.load_splat<f32>(a0); c00 = madd(a, b0, c00); c01 = madd(a, b1, c01);
        a = v128.load_splat<f32>(a1); c10 = madd(a, b0, c10); c11 = madd(a, b1, c11);
        a = v128.load_splat<f32>(a2); c20 = madd(a, b0, c20); c21 = madd(a, b1, c21);
        a = v128.load_splat<f32>(a3); c30 = madd(a, b0, c30); c31 = madd(a, b1, c31);
        a = v128.load_splat<f32>(a4); c40 = madd(a, b0, c40); c41 = madd(a, b1, c41);
        a = v128.load_splat<f32>(a5); c50 = madd(a, b0, c50); c51 = madd(a, b1, c51);
        panel += 32;
        a0 += 4; a1 += 4; a2 += 4; a3 += 4; a4 += 4; a5 += 4;
      }
      a0 += jump; a1 += jump; a2 += jump; a3 += jump; a4 += jump; a5 += jump;
    }
    a0 += lineJump; a1 += lineJump; a2 += lineJump; a3 += lineJump; a4 += lineJump; a5 += lineJump;
  }
  finish(atC + load<usize>(rowsC, 0), c00, c01, left, bias, relu);
  if (rows > 1) finish(atC + load<usize>(rowsC, 4), c10, c11, left, bias, relu);
  if (rows > 2) finish(atC + load<usize>(rowsC, 8), c20, c21, left, bias, relu);
  if (rows > 3) finish(atC + load<usize>(rowsC, 12), c30, c31, left, bias, relu);
  if (rows > 4) finish(atC + load<usize>(rowsC, 16), c40, c41, left, bias, relu);
  if (rows > 5) finish(atC + load<usize>(rowsC, 20), c50, c51, left, bias, relu);
}

/** The same for a panel of 4 columns. */
export function rowTile4(
  rowsA: usize, atA: usize, rowsC: usize, atC: usize, rows: i32, lines: i32, lineJump: usize, runs: i32, run: i32,
  jump: usize, panel: usize, left: i32, bias: usize, relu: bool,
): void {
  // Rows that do not exist repeat the last one.
  const last = (<usize>(rows - 1)) * OFFSET_BYTES;
  let a0 = atA + load<usize>(rowsA), a1 = atA + load<usize>(rowsA + min<usize>(4, last));
  let a2 = atA + load<usize>(rowsA + min<usize>(8, last)), a3 = atA + load<usize>(rowsA + min<usize>(12, last));
  let a4 = atA + load<usize>(rowsA + min<usize>(16, last)), a5 = atA + load<usize>(rowsA + min<usize>(20, last));
  let c00 = f32x4.splat(0);
  let c10 = f32x4.splat(0);
  let c20 = f32x4.splat(0);
  let c30 = f32x4.splat(0);
  let c40 = f32x4.splat(0);
  let c50 = f32x4.splat(0);
  for (; lines > 0; lines--) {
    for (let rest = runs; rest > 0; rest--) {
      let k = run;
      let a: v128, b0: v128;
      for (; k >= UNROLL; k -= UNROLL) {
        b0 = v128.load(panel);
        a = v128.load_splat<f32>(a0); c00 = madd(a, b0, c00);
        a = v128.load_splat<f32>(a1); c10 = madd(a, b0, c10);
        a = v128.load_splat<f32>(a2); c20 = madd(a, b0, c20);
        a = v128.load_splat<f32>(a3); c30 = madd(a, b0, c30);
        a = v128.load_splat<f32>(a4); c40 = madd(a, b0, c40);
        a = v128.load_splat<f32>(a5); c50 = madd(a, b0, c50);
        b0 = v128.load(panel, 16);
        a = v128.load_splat<f32>(a0, 4); c00 = madd(a, b0, c00);
        a = v128.load_splat<f32>(a1, 4); c10 = madd(a, b0, c10);
        a = v128.load_splat<f32>(a2, 4); c20 = madd(a, b0, c20);
        a = v128.load_splat<f32>(a3, 4); c30 = madd(a, b0, c30);
        a = v128.load_splat<f32>(a4, 4); c40 = madd(a, b0, c40);
        a = v128.load_splat<f32>(a5, 4); c50 = madd(a, b0, c50);
        b0 = v128.load(panel, 32);
        a = v128.load_splat<f32>(a0, 8); c00 = madd(a, b0, c00);
        a = v128.load_splat<f32>(a1, 8); c10 = madd(a, b0, c10);
        a = v128.load_splat<f32>(a2, 8); c20 = madd(a, b0, c20);
        a = v128.load_splat<f32>(a3, 8); c30 = madd(a, b0, c30);
        a = v128.load_splat<f32>(a4, 8); c40 = madd(a, b0, c40);
        a = v128.load_splat<f32>(a5, 8); c50 = madd(a, b0, c50);
        b0 = v128.load(panel, 48);
        a = v128.load_splat<f32>(a0, 12); c00 = madd(a, b0, c00);
        a = v128.load_splat<f32>(a1, 12); c10 = madd(a, b0, c10);
        a = v128.load_splat<f32>(a2, 12); c20 = madd(a, b0, c20);
        a = v128.load_splat<f32>(a3, 12); c30 = madd(a, b0, c30);
        a = v128.load_splat<f32>(a4, 12); c40 = madd(a, b0, c40);
        a = v128.load_splat<f32>(a5, 12); c50 = madd(a, b0, c50);
        b0 = v128.load(panel, 64);
        a = v128.load_splat<f32>(a0, 16); c00 = madd(a, b0, c00);
        a = v128.load_splat<f32>(a1, 16); c10 = madd(a, b0, c10);
        a = v128.load_splat<f32>(a2, 16); c20 = madd(a, b0, c20);
        a = v128.load_splat<f32>(a3, 16); c30 = madd(a, b0, c30);
        a = v128.load_splat<f32>(a4, 16); c40 = madd(a, b0, c40);
        a = v128.load_splat<f32>(a5, 16); c50 = madd(a, b0, c50);
        panel += 80;
        a0 += 20; a1 += 20; a2 += 20; a3 += 20; a4 += 20; a5 += 20;
      }
      for (; k > 0; k--) {
        b0 = v128.load(panel);
        a = v128.load_splat<f32>(a0); c00 = madd(a, b0, c00);
        a = v128.load_splat<f32>(a1); c10 = madd(a, b0, c10);
        a = v128.load_splat<f32>(a2); c20 = madd(a, b0, c20);
        a = v128.load_splat<f32>(a3); c30 = madd(a, b0, c30);
        a = v128.load_splat<f32>(a4); c40 = madd(a, b0, c40);
        a = v128.load_splat<f32>(a5); c50 = madd(a, b0, c50);
        panel += 16;
        a0 += 4; a1 += 4; a2 += 4; a3 += 4; a4 += 4; a5 += 4;
      }
      a0 += jump; a1 += jump; a2 += jump; a3 += jump; a4 += jump; a5 += jump;
    }
    a0 += lineJump; a1 += lineJump; a2 += lineJump; a3 += lineJump; a4 += lineJump; a5 += lineJump;
  }
  finishHalf(atC + load<usize>(rowsC, 0), c00, left, bias, relu);
  if (rows > 1) finishHalf(atC + load<usize>(rowsC, 4), c10, left, bias, relu);
  if (rows > 2) finishHalf(atC + load<usize>(rowsC, 8), c20, left, bias, relu);
  if (rows > 3) finishHalf(atC + load<usize>(rowsC, 12), c30, left, bias, relu);
  if (rows > 4) finishHalf(atC + load<usize>(rowsC, 16), c40, left, bias, relu);
  if (rows > 5) finishHalf(atC + load<usize>(rowsC, 20), c50, left, bias, relu);
}

// @ts-ignore: decorator
@inline
function finish(c: usize, sum0: v128, sum1: v128, left: i32, bias: usize, relu: bool): void {
  sum0 = f32x4.add(sum0, v128.load(bias == ADD ? c : bias));
  sum1 = f32x4.add(sum1, v128.load(bias == ADD ? c : bias, 16));
  if (relu) {
    sum0 = f32x4.pmax(sum0, f32x4.splat(0));
    sum1 = f32x4.pmax(sum1, f32x4.splat(0));
  }
  v128.store(c, sum0);
  if (left >= 8) v128.store(c, sum1, 16);
  else storeFirst(c + 16, sum1, left - 4);
}

// @ts-ignore: decorator
@inline
function finishHalf(c: usize, sum: v128, left: i32, bias: usize, relu: bool): void {
  sum = f32x4.add(sum, v128.load(bias == ADD ? c : bias));
  if (relu) sum = f32x4.pmax(sum, f32x4.splat(0));
  storeFirst(c, sum, left);
}
