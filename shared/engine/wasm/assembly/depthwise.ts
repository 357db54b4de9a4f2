// Convolutions in which each channel sees itself alone: four channels at a time, no matrix. Windows are addressed as in
// row_tiles.ts; four pixels share each load of the weights.

import { FLOAT_BYTES, madd, storeFirst, VECTOR_BYTES } from "./lanes";
import { ADD } from "./row_tiles";

const PIXELS: i32 = 4;
const OFFSET_BYTES: usize = 4;

/**
 * C[rows, channels] = sum over taps of A * weights [lines, runs, channels] + bias (or C +=), then relu if asked. `runJump` leads
 * from tap to tap, `lineJump` from line to line of a window.
 */
export function multiplyDepthwise(
  rowsA: usize, atA: usize, rowsC: usize, atC: usize, rows: i32, lines: i32, lineStep: usize, runs: i32, runStep: usize,
  weights: usize, channels: i32, bias: usize, relu: bool,
): void {
  const tapBytes = (<usize>channels) * FLOAT_BYTES;
  for (let row = 0; row < rows; row += PIXELS) {
    const count = min(PIXELS, rows - row);
    const last = (<usize>(count - 1)) * OFFSET_BYTES;
    const a0 = atA + load<usize>(rowsA), a1 = atA + load<usize>(rowsA + min<usize>(4, last));
    const a2 = atA + load<usize>(rowsA + min<usize>(8, last)), a3 = atA + load<usize>(rowsA + last);
    for (let channel = 0; channel < channels; channel += 4) {
      const at = (<usize>channel) * FLOAT_BYTES;
      const left = channels - channel;
      let w = weights + at;
      let s0 = f32x4.splat(0), s1 = f32x4.splat(0), s2 = f32x4.splat(0), s3 = f32x4.splat(0);
      let line = at;
      for (let ky = 0; ky < lines; ky++) {
        let tap = line;
        for (let kx = 0; kx < runs; kx++) {
          const weight = v128.load(w);
          s0 = madd(v128.load(a0 + tap), weight, s0);
          s1 = madd(v128.load(a1 + tap), weight, s1);
          s2 = madd(v128.load(a2 + tap), weight, s2);
          s3 = madd(v128.load(a3 + tap), weight, s3);
          w += tapBytes;
          tap += runStep;
        }
        line += lineStep;
      }
      const b = bias == ADD ? ADD : bias + at;
      finish(atC + at + load<usize>(rowsC), s0, left, b, relu);
      if (count > 1) finish(atC + at + load<usize>(rowsC, 4), s1, left, b, relu);
      if (count > 2) finish(atC + at + load<usize>(rowsC, 8), s2, left, b, relu);
      if (count > 3) finish(atC + at + load<usize>(rowsC, 12), s3, left, b, relu);
    }
    rowsA += (<usize>PIXELS) * OFFSET_BYTES;
    rowsC += (<usize>PIXELS) * OFFSET_BYTES;
  }
}

// @ts-ignore: decorator
@inline
function finish(c: usize, sum: v128, left: i32, bias: usize, relu: bool): void {
  sum = f32x4.add(sum, v128.load(bias == ADD ? c : bias));
  if (relu) sum = f32x4.pmax(sum, f32x4.splat(0));
  storeFirst(c, sum, left);
}

/** Weights [lines, runs, channels] in the order in which a phase of the data's gradient meets them. */
export function packDepthwise(
  weights: usize, size: i32, channels: i32, firstLine: i32, lines: i32, firstTap: i32, runs: i32, step: i32, target: usize,
): void {
  const tapBytes = (<usize>channels) * FLOAT_BYTES;
  for (let line = 0; line < lines; line++) {
    for (let run = 0; run < runs; run++) {
      const tap = (firstLine - line * step) * size + (firstTap - run * step);
      memory.copy(target, weights + (<usize>tap) * tapBytes, tapBytes);
      target += tapBytes;
    }
  }
}

/** gradient [size, size, channels], overwritten or added to, over some images; geometry as in `filterGradient`. */
export function depthwiseFilterGradient(
  input: usize, imageBytes: usize, lineStep: usize, pixelStep: usize, tapLineBytes: usize, tapBytes: usize,
  outputGradient: usize, height: i32, width: i32, images: i32, size: i32, channels: i32, gradient: usize, add: bool,
): void {
  const outPixelBytes = (<usize>channels) * FLOAT_BYTES;
  for (let ky = 0; ky < size; ky++) {
    for (let kx = 0; kx < size; kx++) {
      const tap = input + (<usize>ky) * tapLineBytes + (<usize>kx) * tapBytes;
      for (let channel = 0; channel < channels; channel += 4) {
        const at = (<usize>channel) * FLOAT_BYTES;
        let sum0 = f32x4.splat(0), sum1 = f32x4.splat(0);
        let slope = outputGradient + at;
        for (let image = 0; image < images; image++) {
          for (let y = 0; y < height; y++) {
            let a = tap + at + (<usize>image) * imageBytes + (<usize>y) * lineStep;
            let x = width;
            for (; x >= 2; x -= 2) {
              sum0 = madd(v128.load(a), v128.load(slope), sum0);
              sum1 = madd(v128.load(a + pixelStep), v128.load(slope + outPixelBytes), sum1);
              a += 2 * pixelStep;
              slope += 2 * outPixelBytes;
            }
            if (x > 0) {
              sum0 = madd(v128.load(a), v128.load(slope), sum0);
              slope += outPixelBytes;
            }
          }
        }
        sum0 = f32x4.add(sum0, sum1);
        if (add) sum0 = f32x4.add(sum0, v128.load(gradient));
        storeFirst(gradient, sum0, channels - channel);
        gradient += <usize>min(channels - channel, 4) * FLOAT_BYTES;
      }
    }
  }
}
