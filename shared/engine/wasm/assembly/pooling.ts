// Max-pooling and its gradient. NHWC without padding: four channels at a time, the last four again where they don't divide.

import { FLOAT_BYTES } from "./lanes";

/** output and `choice` (index within the image, channels included) of each window; the first of equals wins. */
export function maxPool(
  input: usize, inputHeight: i32, inputWidth: i32, channels: i32, output: usize, choice: usize, outputHeight: i32,
  outputWidth: i32, images: i32, size: i32, stride: i32, relu: bool,
): void {
  const floor: f32 = relu ? 0 : -Infinity;
  const pixelBytes = (<usize>channels) * FLOAT_BYTES;
  const imageBytes = (<usize>(inputHeight * inputWidth)) * pixelBytes;
  for (let image = 0; image < images; image++) {
    for (let y = 0; y < outputHeight; y++) {
      for (let x = 0; x < outputWidth; x++) {
        const first = (y * stride * inputWidth + x * stride) * channels;
        if (channels >= 4) {
          for (let channel = 0; channel < channels; channel += 4) {
            const c = min(channel, channels - 4);
            const at = (<usize>c) * FLOAT_BYTES;
            poolVector(input, first + c, inputWidth * channels, channels, size, output + at, choice + at, floor);
          }
        } else {
          for (let c = 0; c < channels; c++) {
            const at = (<usize>c) * FLOAT_BYTES;
            poolScalar(input, first + c, inputWidth * channels, channels, size, output + at, choice + at, floor);
          }
        }
        output += pixelBytes;
        choice += pixelBytes;
      }
    }
    input += imageBytes;
  }
}

// @ts-ignore: decorator
@inline
function poolVector(
  image: usize, first: i32, lineElements: i32, channels: i32, size: i32, output: usize, choice: usize, floor: f32,
): void {
  let best = v128.load(image + (<usize>first) * FLOAT_BYTES);
  let winner = i32x4.splat(first);
  for (let ky = 0; ky < size; ky++) {
    for (let kx = 0; kx < size; kx++) {
      const index = first + ky * lineElements + kx * channels;
      const value = v128.load(image + (<usize>index) * FLOAT_BYTES);
      const wins = f32x4.gt(value, best);
      best = v128.bitselect(value, best, wins);
      winner = v128.bitselect(i32x4.splat(index), winner, wins);
    }
  }
  v128.store(output, f32x4.pmax(best, f32x4.splat(floor)));
  v128.store(choice, i32x4.add(winner, i32x4(0, 1, 2, 3)));
}

// @ts-ignore: decorator
@inline
function poolScalar(
  image: usize, first: i32, lineElements: i32, channels: i32, size: i32, output: usize, choice: usize, floor: f32,
): void {
  let best = load<f32>(image + (<usize>first) * FLOAT_BYTES);
  let winner = first;
  for (let ky = 0; ky < size; ky++) {
    for (let kx = 0; kx < size; kx++) {
      const index = first + ky * lineElements + kx * channels;
      const value = load<f32>(image + (<usize>index) * FLOAT_BYTES);
      if (value > best) {
        best = value;
        winner = index;
      }
    }
  }
  store<f32>(output, best < floor ? floor : best);
  store<i32>(choice, winner);
}

/** Each output's gradient is added where its choice points; everything else becomes zero. */
export function maxPoolGradient(
  outputGradient: usize, choice: usize, outputElements: i32, images: i32, inputGradient: usize, imageBytes: usize,
): void {
  memory.fill(inputGradient, 0, (<usize>images) * imageBytes);
  for (let image = 0; image < images; image++) {
    for (let index = 0; index < outputElements; index++) {
      const at = inputGradient + (<usize>load<u32>(choice)) * FLOAT_BYTES;
      store<f32>(at, load<f32>(at) + load<f32>(outputGradient));
      choice += FLOAT_BYTES;
      outputGradient += FLOAT_BYTES;
    }
    inputGradient += imageBytes;
  }
}
