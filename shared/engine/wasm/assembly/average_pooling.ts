// Average pooling, NHWC: the mean of each window's taps inside the image, and its gradient.

import { FLOAT_BYTES, storeFirst, VECTOR_BYTES } from "./lanes";

/** output of each window, then relu if asked. */
export function averagePool(
  input: usize, inputHeight: i32, inputWidth: i32, channels: i32, output: usize, outputHeight: i32, outputWidth: i32,
  images: i32, size: i32, stride: i32, padding: i32, relu: bool,
): void {
  const pixelBytes = (<usize>channels) * FLOAT_BYTES;
  const lineBytes = (<usize>inputWidth) * pixelBytes;
  const floor = f32x4.splat(relu ? 0 : -Infinity);
  for (let image = 0; image < images; image++) {
    for (let y = 0; y < outputHeight; y++) {
      const top = max(y * stride - padding, 0);
      const lines = min(y * stride - padding + size, inputHeight) - top;
      for (let x = 0; x < outputWidth; x++) {
        const left = max(x * stride - padding, 0);
        const taps = min(x * stride - padding + size, inputWidth) - left;
        const first = input + (<usize>top) * lineBytes + (<usize>left) * pixelBytes;
        const share = f32x4.splat(1 / <f32>(lines * taps));
        for (let at: usize = 0; at < pixelBytes; at += VECTOR_BYTES) {
          let sum = f32x4.splat(0);
          let line = first + at;
          for (let ky = 0; ky < lines; ky++) {
            let tap = line;
            for (let kx = 0; kx < taps; kx++) {
              sum = f32x4.add(sum, v128.load(tap));
              tap += pixelBytes;
            }
            line += lineBytes;
          }
          storeFirst(output + at, f32x4.pmax(f32x4.mul(sum, share), floor), (<i32>(pixelBytes - at)) / 4);
        }
        output += pixelBytes;
      }
    }
    input += (<usize>inputHeight) * lineBytes;
  }
}

/** Adds each output's gradient, divided by the number of its taps, to all inputs of its window. */
export function averagePoolGradient(
  outputGradient: usize, outputHeight: i32, outputWidth: i32, images: i32, inputGradient: usize, inputHeight: i32,
  inputWidth: i32, channels: i32, size: i32, stride: i32, padding: i32,
): void {
  const pixelBytes = (<usize>channels) * FLOAT_BYTES;
  const lineBytes = (<usize>inputWidth) * pixelBytes;
  for (let image = 0; image < images; image++) {
    for (let y = 0; y < outputHeight; y++) {
      const top = max(y * stride - padding, 0);
      const lines = min(y * stride - padding + size, inputHeight) - top;
      for (let x = 0; x < outputWidth; x++) {
        const left = max(x * stride - padding, 0);
        const taps = min(x * stride - padding + size, inputWidth) - left;
        const first = inputGradient + (<usize>top) * lineBytes + (<usize>left) * pixelBytes;
        const share = f32x4.splat(1 / <f32>(lines * taps));
        for (let at: usize = 0; at < pixelBytes; at += VECTOR_BYTES) {
          const slope = f32x4.mul(v128.load(outputGradient + at), share);
          const count = (<i32>(pixelBytes - at)) / 4;
          let line = first + at;
          for (let ky = 0; ky < lines; ky++) {
            let tap = line;
            for (let kx = 0; kx < taps; kx++) {
              storeFirst(tap, f32x4.add(v128.load(tap), slope), count);
              tap += pixelBytes;
            }
            line += lineBytes;
          }
        }
        outputGradient += pixelBytes;
      }
    }
    inputGradient += (<usize>inputHeight) * lineBytes;
  }
}
