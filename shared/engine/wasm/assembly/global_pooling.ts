// Global average pooling: the mean over all pixels of an image, and its gradient.

import { FLOAT_BYTES, storeFirst, VECTOR_BYTES } from "./lanes";

/** output [batch, channels] = mean of input [batch, pixels, channels]. */
export function globalAveragePool(input: usize, batch: i32, pixels: i32, channels: i32, output: usize): void {
  const rowBytes = (<usize>channels) * FLOAT_BYTES;
  const factor = f32x4.splat(1 / <f32>pixels);
  for (let image = 0; image < batch; image++) {
    for (let at: usize = 0; at < rowBytes; at += VECTOR_BYTES) {
      let sum0 = f32x4.splat(0), sum1 = f32x4.splat(0);
      let from = input + at;
      let pixel = pixels;
      for (; pixel >= 2; pixel -= 2) {
        sum0 = f32x4.add(sum0, v128.load(from));
        sum1 = f32x4.add(sum1, v128.load(from + rowBytes));
        from += 2 * rowBytes;
      }
      if (pixel > 0) sum0 = f32x4.add(sum0, v128.load(from));
      storeFirst(output + at, f32x4.mul(f32x4.add(sum0, sum1), factor), (<i32>(rowBytes - at)) / 4);
    }
    input += (<usize>pixels) * rowBytes;
    output += rowBytes;
  }
}

/** inputGradient [batch, pixels, channels] = outputGradient [batch, channels] / pixels, or added to. */
export function globalAveragePoolGradient(
  outputGradient: usize, batch: i32, pixels: i32, channels: i32, inputGradient: usize, add: bool,
): void {
  const rowBytes = (<usize>channels) * FLOAT_BYTES;
  const factor = f32x4.splat(1 / <f32>pixels);
  for (let image = 0; image < batch; image++) {
    for (let pixel = 0; pixel < pixels; pixel++) {
      for (let at: usize = 0; at < rowBytes; at += VECTOR_BYTES) {
        let slope = f32x4.mul(v128.load(outputGradient + at), factor);
        if (add) slope = f32x4.add(slope, v128.load(inputGradient + at));
        storeFirst(inputGradient + at, slope, (<i32>(rowBytes - at)) / 4);
      }
      inputGradient += rowBytes;
    }
    outputGradient += rowBytes;
  }
}
