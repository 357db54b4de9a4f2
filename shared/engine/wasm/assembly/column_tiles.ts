// The inner loop of the filter gradients: 6 neighbouring elements of A against a packed panel of B, 8 (or 4) columns wide,
// summed over the pixels (or examples) of a batch, 12 sums in registers. A's six lie side by side in memory wherever the window
// is, so the input is read in place; one loop counts pixels of a line, one lines of an image, one images.

import { madd, storeFirst } from "./lanes";

export const TILE_ROWS: i32 = 6;
const UNROLL: i32 = 4;

/**
 * C[rows <= 6, left <= 8] = sum over pixels of A[6] x B[8], or added to C. `aStep` bytes lead from pixel to pixel, `lineJump` and
 * `imageJump` skip what remains of A's line and image; the panel is read straight through. A is read past the rows that
 * exist; nothing is written there.
 */
export function columnTile8(
  a: usize, panel: usize, aStep: usize, steps: i32, lines: i32, lineJump: usize, images: i32, imageJump: usize,
  c: usize, rowBytes: usize, rows: i32, left: i32, add: bool,
): void {
  let c00 = f32x4.splat(0), c01 = f32x4.splat(0);
  let c10 = f32x4.splat(0), c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0), c21 = f32x4.splat(0);
  let c30 = f32x4.splat(0), c31 = f32x4.splat(0);
  let c40 = f32x4.splat(0), c41 = f32x4.splat(0);
  let c50 = f32x4.splat(0), c51 = f32x4.splat(0);
  let s: v128, b0: v128, b1: v128;
  for (; images > 0; images--) {
    for (let line = lines; line > 0; line--) {
      let step = steps;
      for (; step >= UNROLL; step -= UNROLL) {
        b0 = v128.load(panel); b1 = v128.load(panel, 16);
        s = v128.load_splat<f32>(a); c00 = madd(s, b0, c00); c01 = madd(s, b1, c01);
        s = v128.load_splat<f32>(a, 4); c10 = madd(s, b0, c10); c11 = madd(s, b1, c11);
        s = v128.load_splat<f32>(a, 8); c20 = madd(s, b0, c20); c21 = madd(s, b1, c21);
        s = v128.load_splat<f32>(a, 12); c30 = madd(s, b0, c30); c31 = madd(s, b1, c31);
        s = v128.load_splat<f32>(a, 16); c40 = madd(s, b0, c40); c41 = madd(s, b1, c41);
        s = v128.load_splat<f32>(a, 20); c50 = madd(s, b0, c50); c51 = madd(s, b1, c51);
        a += aStep;
        b0 = v128.load(panel, 32); b1 = v128.load(panel, 48);
        s = v128.load_splat<f32>(a); c00 = madd(s, b0, c00); c01 = madd(s, b1, c01);
        s = v128.load_splat<f32>(a, 4); c10 = madd(s, b0, c10); c11 = madd(s, b1, c11);
        s = v128.load_splat<f32>(a, 8); c20 = madd(s, b0, c20); c21 = madd(s, b1, c21);
        s = v128.load_splat<f32>(a, 12); c30 = madd(s, b0, c30); c31 = madd(s, b1, c31);
        s = v128.load_splat<f32>(a, 16); c40 = madd(s, b0, c40); c41 = madd(s, b1, c41);
        s = v128.load_splat<f32>(a, 20); c50 = madd(s, b0, c50); c51 = madd(s, b1, c51);
        a += aStep;
        b0 = v128.load(panel, 64); b1 = v128.load(panel, 80);
        s = v128.load_splat<f32>(a); c00 = madd(s, b0, c00); c01 = madd(s, b1, c01);
        s = v128.load_splat<f32>(a, 4); c10 = madd(s, b0, c10); c11 = madd(s, b1, c11);
        s = v128.load_splat<f32>(a, 8); c20 = madd(s, b0, c20); c21 = madd(s, b1, c21);
        s = v128.load_splat<f32>(a, 12); c30 = madd(s, b0, c30); c31 = madd(s, b1, c31);
        s = v128.load_splat<f32>(a, 16); c40 = madd(s, b0, c40); c41 = madd(s, b1, c41);
        s = v128.load_splat<f32>(a, 20); c50 = madd(s, b0, c50); c51 = madd(s, b1, c51);
        a += aStep;
        b0 = v128.load(panel, 96); b1 = v128.load(panel, 112);
        s = v128.load_splat<f32>(a); c00 = madd(s, b0, c00); c01 = madd(s, b1, c01);
        s = v128.load_splat<f32>(a, 4); c10 = madd(s, b0, c10); c11 = madd(s, b1, c11);
        s = v128.load_splat<f32>(a, 8); c20 = madd(s, b0, c20); c21 = madd(s, b1, c21);
        s = v128.load_splat<f32>(a, 12); c30 = madd(s, b0, c30); c31 = madd(s, b1, c31);
        s = v128.load_splat<f32>(a, 16); c40 = madd(s, b0, c40); c41 = madd(s, b1, c41);
        s = v128.load_splat<f32>(a, 20); c50 = madd(s, b0, c50); c51 = madd(s, b1, c51);
        a += aStep;
        panel += 128;
      }
      for (; step > 0; step--) {
        b0 = v128.load(panel); b1 = v128.load(panel, 16);
        s = v128.load_splat<f32>(a); c00 = madd(s, b0, c00); c01 = madd(s, b1, c01);
        s = v128.load_splat<f32>(a, 4); c10 = madd(s, b0, c10); c11 = madd(s, b1, c11);
        s = v128.load_splat<f32>(a, 8); c20 = madd(s, b0, c20); c21 = madd(s, b1, c21);
        s = v128.load_splat<f32>(a, 12); c30 = madd(s, b0, c30); c31 = madd(s, b1, c31);
        s = v128.load_splat<f32>(a, 16); c40 = madd(s, b0, c40); c41 = madd(s, b1, c41);
        s = v128.load_splat<f32>(a, 20); c50 = madd(s, b0, c50); c51 = madd(s, b1, c51);
        a += aStep;
        panel += 32;
      }
      a += lineJump;
    }
    a += imageJump;
  }
  finish(c, c00, c01, left, add);
  if (rows > 1) finish(c + 1 * rowBytes, c10, c11, left, add);
  if (rows > 2) finish(c + 2 * rowBytes, c20, c21, left, add);
  if (rows > 3) finish(c + 3 * rowBytes, c30, c31, left, add);
  if (rows > 4) finish(c + 4 * rowBytes, c40, c41, left, add);
  if (rows > 5) finish(c + 5 * rowBytes, c50, c51, left, add);
}

/** The same for a panel of 4 columns. */
export function columnTile4(
  a: usize, panel: usize, aStep: usize, steps: i32, lines: i32, lineJump: usize, images: i32, imageJump: usize,
  c: usize, rowBytes: usize, rows: i32, left: i32, add: bool,
): void {
  let c00 = f32x4.splat(0);
  let c10 = f32x4.splat(0);
  let c20 = f32x4.splat(0);
  let c30 = f32x4.splat(0);
  let c40 = f32x4.splat(0);
  let c50 = f32x4.splat(0);
  let s: v128, b0: v128;
  for (; images > 0; images--) {
    for (let line = lines; line > 0; line--) {
      let step = steps;
      for (; step >= UNROLL; step -= UNROLL) {
        b0 = v128.load(panel);
        s = v128.load_splat<f32>(a); c00 = madd(s, b0, c00);
        s = v128.load_splat<f32>(a, 4); c10 = madd(s, b0, c10);
        s = v128.load_splat<f32>(a, 8); c20 = madd(s, b0, c20);
        s = v128.load_splat<f32>(a, 12); c30 = madd(s, b0, c30);
        s = v128.load_splat<f32>(a, 16); c40 = madd(s, b0, c40);
        s = v128.load_splat<f32>(a, 20); c50 = madd(s, b0, c50);
        a += aStep;
        b0 = v128.load(panel, 16);
        s = v128.load_splat<f32>(a); c00 = madd(s, b0, c00);
        s = v128.load_splat<f32>(a, 4); c10 = madd(s, b0, c10);
        s = v128.load_splat<f32>(a, 8); c20 = madd(s, b0, c20);
        s = v128.load_splat<f32>(a, 12); c30 = madd(s, b0, c30);
        s = v128.load_splat<f32>(a, 16); c40 = madd(s, b0, c40);
        s = v128.load_splat<f32>(a, 20); c50 = madd(s, b0, c50);
        a += aStep;
        b0 = v128.load(panel, 32);
        s = v128.load_splat<f32>(a); c00 = madd(s, b0, c00);
        s = v128.load_splat<f32>(a, 4); c10 = madd(s, b0, c10);
        s = v128.load_splat<f32>(a, 8); c20 = madd(s, b0, c20);
        s = v128.load_splat<f32>(a, 12); c30 = madd(s, b0, c30);
        s = v128.load_splat<f32>(a, 16); c40 = madd(s, b0, c40);
        s = v128.load_splat<f32>(a, 20); c50 = madd(s, b0, c50);
        a += aStep;
        b0 = v128.load(panel, 48);
        s = v128.load_splat<f32>(a); c00 = madd(s, b0, c00);
        s = v128.load_splat<f32>(a, 4); c10 = madd(s, b0, c10);
        s = v128.load_splat<f32>(a, 8); c20 = madd(s, b0, c20);
        s = v128.load_splat<f32>(a, 12); c30 = madd(s, b0, c30);
        s = v128.load_splat<f32>(a, 16); c40 = madd(s, b0, c40);
        s = v128.load_splat<f32>(a, 20); c50 = madd(s, b0, c50);
        a += aStep;
        panel += 64;
      }
      for (; step > 0; step--) {
        b0 = v128.load(panel);
        s = v128.load_splat<f32>(a); c00 = madd(s, b0, c00);
        s = v128.load_splat<f32>(a, 4); c10 = madd(s, b0, c10);
        s = v128.load_splat<f32>(a, 8); c20 = madd(s, b0, c20);
        s = v128.load_splat<f32>(a, 12); c30 = madd(s, b0, c30);
        s = v128.load_splat<f32>(a, 16); c40 = madd(s, b0, c40);
        s = v128.load_splat<f32>(a, 20); c50 = madd(s, b0, c50);
        a += aStep;
        panel += 16;
      }
      a += lineJump;
    }
    a += imageJump;
  }
  finishHalf(c, c00, left, add);
  if (rows > 1) finishHalf(c + 1 * rowBytes, c10, left, add);
  if (rows > 2) finishHalf(c + 2 * rowBytes, c20, left, add);
  if (rows > 3) finishHalf(c + 3 * rowBytes, c30, left, add);
  if (rows > 4) finishHalf(c + 4 * rowBytes, c40, left, add);
  if (rows > 5) finishHalf(c + 5 * rowBytes, c50, left, add);
}

// @ts-ignore: decorator
@inline
function finish(c: usize, sum0: v128, sum1: v128, left: i32, add: bool): void {
  if (add) {
    sum0 = f32x4.add(sum0, v128.load(c));
    sum1 = f32x4.add(sum1, v128.load(c, 16));
  }
  v128.store(c, sum0);
  storeFirst(c + 16, sum1, left - 4);
}

// @ts-ignore: decorator
@inline
function finishHalf(c: usize, sum: v128, left: i32, add: bool): void {
  if (add) sum = f32x4.add(sum, v128.load(c));
  storeFirst(c, sum, left);
}
