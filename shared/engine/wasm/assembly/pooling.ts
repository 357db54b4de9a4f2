// Max-pooling and its gradient, NHWC: four channels at a time, the last four again where they don't divide. Taps outside the
// image are left out.

import { FLOAT_BYTES } from "./lanes";

/** output and `choice` (index within the image, channels included) of each window; the first of equals wins. */
export function maxPool(
  input: usize, inputHeight: i32, inputWidth: i32, channels: i32, output: usize, choice: usize, outputHeight: i32,
  outputWidth: i32, images: i32, size: i32, stride: i32, padding: i32, relu: bool,
): void {
  const floor: f32 = relu ? 0 : -Infinity;
  const lineElements = inputWidth * channels;
  const pixelBytes = (<usize>channels) * FLOAT_BYTES;
  const imageBytes = (<usize>inputHeight) * (<usize>lineElements) * FLOAT_BYTES;
  for (let image = 0; image < images; image++) {
    for (let y = 0; y < outputHeight; y++) {
      const top = max(y * stride - padding, 0);
      const lines = min(y * stride - padding + size, inputHeight) - top;
      for (let x = 0; x < outputWidth; x++) {
        const left = max(x * stride - padding, 0);
        const taps = min(x * stride - padding + size, inputWidth) - left;
        const first = top * lineElements + left * channels;
        if (channels < 4) poolScalars(input, first, lineElements, channels, lines, taps, output, choice, floor);
        else if (lines == 2 && taps == 2) poolPairs(input, first, lineElements, channels, output, choice, floor);
        else poolVectors(input, first, lineElements, channels, lines, taps, output, choice, floor);
        output += pixelBytes;
        choice += pixelBytes;
      }
    }
    input += imageBytes;
  }
}

/** A window of 2 x 2, the common one. */
function poolPairs(
  image: usize, first: i32, lineElements: i32, channels: i32, output: usize, choice: usize, floor: f32,
): void {
  const top = image + (<usize>first) * FLOAT_BYTES;
  const bottom = top + (<usize>lineElements) * FLOAT_BYTES;
  const right = (<usize>channels) * FLOAT_BYTES;
  const lanes = i32x4.add(i32x4.splat(first), i32x4(0, 1, 2, 3));
  for (let channel = 0; channel < channels; channel += 4) {
    const c = min(channel, channels - 4);
    const at = (<usize>c) * FLOAT_BYTES;
    const second = v128.load(top + at + right);
    const third = v128.load(bottom + at);
    const fourth = v128.load(bottom + at + right);
    let best = v128.load(top + at);
    let winner = i32x4.splat(0);
    winner = v128.bitselect(i32x4.splat(channels), winner, f32x4.gt(second, best));
    best = f32x4.pmax(best, second);
    winner = v128.bitselect(i32x4.splat(lineElements), winner, f32x4.gt(third, best));
    best = f32x4.pmax(best, third);
    winner = v128.bitselect(i32x4.splat(lineElements + channels), winner, f32x4.gt(fourth, best));
    best = f32x4.pmax(best, fourth);
    v128.store(output + at, f32x4.pmax(best, f32x4.splat(floor)));
    v128.store(choice + at, i32x4.add(i32x4.add(winner, lanes), i32x4.splat(c)));
  }
}

function poolVectors(
  image: usize, first: i32, lineElements: i32, channels: i32, lines: i32, taps: i32, output: usize, choice: usize, floor: f32,
): void {
  for (let channel = 0; channel < channels; channel += 4) {
    const c = min(channel, channels - 4);
    let best = v128.load(image + (<usize>(first + c)) * FLOAT_BYTES);
    let winner = i32x4.splat(first + c);
    for (let ky = 0; ky < lines; ky++) {
      for (let kx = 0; kx < taps; kx++) {
        const index = first + c + ky * lineElements + kx * channels;
        const value = v128.load(image + (<usize>index) * FLOAT_BYTES);
        winner = v128.bitselect(i32x4.splat(index), winner, f32x4.gt(value, best));
        best = f32x4.pmax(best, value);
      }
    }
    v128.store(output + (<usize>c) * FLOAT_BYTES, f32x4.pmax(best, f32x4.splat(floor)));
    v128.store(choice + (<usize>c) * FLOAT_BYTES, i32x4.add(winner, i32x4(0, 1, 2, 3)));
  }
}

function poolScalars(
  image: usize, first: i32, lineElements: i32, channels: i32, lines: i32, taps: i32, output: usize, choice: usize, floor: f32,
): void {
  for (let c = 0; c < channels; c++) {
    let best = load<f32>(image + (<usize>(first + c)) * FLOAT_BYTES);
    let winner = first + c;
    for (let ky = 0; ky < lines; ky++) {
      for (let kx = 0; kx < taps; kx++) {
        const index = first + c + ky * lineElements + kx * channels;
        const value = load<f32>(image + (<usize>index) * FLOAT_BYTES);
        if (value > best) {
          best = value;
          winner = index;
        }
      }
    }
    store<f32>(output + (<usize>c) * FLOAT_BYTES, best < floor ? floor : best);
    store<i32>(choice + (<usize>c) * FLOAT_BYTES, winner);
  }
}

/**
 * For windows that do not overlap, of four channels or more: each writes all its inputs, the output's gradient where the choice
 * points and zero elsewhere. Inputs outside all windows are not touched.
 */
export function maxPoolGradient(
  outputGradient: usize, choice: usize, outputHeight: i32, outputWidth: i32, images: i32, inputGradient: usize,
  inputHeight: i32, inputWidth: i32, channels: i32, size: i32, stride: i32,
): void {
  const lineElements = inputWidth * channels;
  const pixelBytes = (<usize>channels) * FLOAT_BYTES;
  for (let image = 0; image < images; image++) {
    for (let y = 0; y < outputHeight; y++) {
      for (let x = 0; x < outputWidth; x++) {
        const first = y * stride * lineElements + x * stride * channels;
        for (let ky = 0; ky < size; ky++) {
          for (let kx = 0; kx < size; kx++) {
            const index = first + ky * lineElements + kx * channels;
            choosePixel(outputGradient, choice, index, channels, inputGradient + (<usize>index) * FLOAT_BYTES);
          }
        }
        outputGradient += pixelBytes;
        choice += pixelBytes;
      }
    }
    inputGradient += (<usize>inputHeight) * (<usize>lineElements) * FLOAT_BYTES;
  }
}

// @ts-ignore: decorator
@inline
function choosePixel(outputGradient: usize, choice: usize, index: i32, channels: i32, inputGradient: usize): void {
  const lanes = i32x4.add(i32x4.splat(index), i32x4(0, 1, 2, 3));
  for (let channel = 0; channel < channels; channel += 4) {
    const c = min(channel, channels - 4);
    const at = (<usize>c) * FLOAT_BYTES;
    const chosen = i32x4.eq(v128.load(choice + at), i32x4.add(lanes, i32x4.splat(c)));
    v128.store(inputGradient + at, v128.and(v128.load(outputGradient + at), chosen));
  }
}

/** Each output's gradient is added where its choice points. */
export function scatterPoolGradient(
  outputGradient: usize, choice: usize, outputElements: i32, images: i32, inputGradient: usize, imageBytes: usize,
): void {
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
