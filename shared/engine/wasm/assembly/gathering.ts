// Gathers a batch from the data set on the device: pixels normalised by channel, shifted and flipped at random where the plan
// augments, or tokens as they are.

import { dieOf, mixed } from "./dropout";
import { FLOAT_BYTES, madd, VECTOR_BYTES } from "./lanes";

/** As AUGMENTATION_SALT in `engine/dice.ts`. */
const AUGMENTATION_SALT: u32 = 0;

/**
 * output [batch, height, width, channels] = byte * scale + shift of the examples chosen; their labels as u32. `scales` and
 * `shifts` hold a line's factors [width, channels]. Each image is moved by up to `cropPadding` pixels, with zeros where nothing
 * comes in, and turned left to right if its die says so and `flip` is set. The first image is the `first`-th of the batch.
 */
export function gather(
  images: usize, labelBytes: usize, examples: usize, batch: i32, first: i32, height: i32, width: i32, channels: i32,
  scales: usize, shifts: usize, cropPadding: i32, flip: bool, seed: i32, draw: usize, output: usize, labels: usize,
): void {
  const lineElements = width * channels;
  const imageBytes = <usize>(height * lineElements);
  const outputLineBytes = (<usize>lineElements) * FLOAT_BYTES;
  const augments = cropPadding > 0 || flip;
  const die = augments ? dieOf(seed, load<u32>(draw), AUGMENTATION_SALT) : 0;
  const places: u32 = 2 * cropPadding + 1;
  for (let row = 0; row < batch; row++) {
    const example: usize = load<u32>(examples + (<usize>row) * FLOAT_BYTES);
    const image = images + example * imageBytes;
    const word: u32 = augments ? mixed(<u32>(first + row) ^ die) : 0;
    const dx = augments ? <i32>((word & 0xfff) % places) - cropPadding : 0;
    const dy = augments ? <i32>(((word >> 12) & 0xfff) % places) - cropPadding : 0;
    const flipped = flip && word >> 31 == 1;
    for (let y = 0; y < height; y++) {
      const fromY = y + dy;
      const line = image + <usize>(fromY * lineElements);
      if (fromY < 0 || fromY >= height) memory.fill(output, 0, outputLineBytes);
      else if (flipped) gatherFlipped(line, width, channels, dx, scales, shifts, output);
      else gatherLine(line, width, channels, dx, scales, shifts, output);
      output += outputLineBytes;
    }
    store<u32>(labels + (<usize>row) * FLOAT_BYTES, load<u8>(labelBytes + example));
  }
}

/** A line whose pixel x comes from x + dx. */
function gatherLine(
  line: usize, width: i32, channels: i32, dx: i32, scales: usize, shifts: usize, output: usize,
): void {
  const from = max(-dx, 0);
  const to = max(min(width - dx, width), from);
  if (from > 0) memory.fill(output, 0, (<usize>(from * channels)) * FLOAT_BYTES);
  if (to < width) {
    memory.fill(output + (<usize>(to * channels)) * FLOAT_BYTES, 0, (<usize>((width - to) * channels)) * FLOAT_BYTES);
  }
  const elements = (to - from) * channels;
  const source = line + <usize>((from + dx) * channels);
  output += (<usize>(from * channels)) * FLOAT_BYTES;
  let index = 0;
  for (; index + 8 <= elements; index += 8) {
    const at = (<usize>index) * FLOAT_BYTES;
    const shorts = v128.load_ext<u8>(source + <usize>index);
    normalise(output + at, i32x4.extend_low_i16x8_u(shorts), scales + at, shifts + at);
    const next = at + VECTOR_BYTES;
    normalise(output + next, i32x4.extend_high_i16x8_u(shorts), scales + next, shifts + next);
  }
  for (; index < elements; index++) {
    const at = (<usize>index) * FLOAT_BYTES;
    const byte = <f32>load<u8>(source + <usize>index);
    store<f32>(output + at, byte * load<f32>(scales + at) + load<f32>(shifts + at));
  }
}

// @ts-ignore: decorator
@inline
function normalise(output: usize, bytes: v128, scales: usize, shifts: usize): void {
  v128.store(output, madd(f32x4.convert_i32x4_u(bytes), v128.load(scales), v128.load(shifts)));
}

/** A line whose pixel x comes from width - 1 - x + dx. */
function gatherFlipped(
  line: usize, width: i32, channels: i32, dx: i32, scales: usize, shifts: usize, output: usize,
): void {
  for (let x = 0; x < width; x++) {
    const from = width - 1 - x + dx;
    for (let channel = 0; channel < channels; channel++) {
      const at = (<usize>channel) * FLOAT_BYTES;
      if (from < 0 || from >= width) {
        store<f32>(output + at, 0);
      } else {
        const byte = <f32>load<u8>(line + <usize>(from * channels + channel));
        store<f32>(output + at, byte * load<f32>(scales + at) + load<f32>(shifts + at));
      }
    }
    output += (<usize>channels) * FLOAT_BYTES;
  }
}
