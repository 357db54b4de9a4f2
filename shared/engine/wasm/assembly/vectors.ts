// Element by element: gathering a batch, undoing a relu, the update and the exchange. Parameter vectors have a multiple of 64
// elements; other lengths are rounded up to 4, into slack that every buffer has.

import { FLOAT_BYTES, madd, VECTOR_BYTES } from "./lanes";

/** output [batch, imageElements] = byte * scale + shift of the examples chosen; their labels as u32. */
export function gather(
  images: usize, labelBytes: usize, examples: usize, batch: i32, imageElements: i32,
  scale: f32, shift: f32, output: usize, labels: usize,
): void {
  for (let row = 0; row < batch; row++) {
    const example: usize = load<u32>(examples + (<usize>row) * FLOAT_BYTES);
    const image = images + example * (<usize>imageElements);
    let index = 0;
    for (; index + 8 <= imageElements; index += 8) {
      const shorts = v128.load_ext<u8>(image + (<usize>index));
      normalise(output, i32x4.extend_low_i16x8_u(shorts), scale, shift);
      normalise(output + VECTOR_BYTES, i32x4.extend_high_i16x8_u(shorts), scale, shift);
      output += 2 * VECTOR_BYTES;
    }
    for (; index < imageElements; index++) {
      store<f32>(output, <f32>load<u8>(image + (<usize>index)) * scale + shift);
      output += FLOAT_BYTES;
    }
    store<u32>(labels + (<usize>row) * FLOAT_BYTES, load<u8>(labelBytes + example));
  }
}

// @ts-ignore: decorator
@inline
function normalise(output: usize, bytes: v128, scale: f32, shift: f32): void {
  v128.store(output, madd(f32x4.convert_i32x4_u(bytes), f32x4.splat(scale), f32x4.splat(shift)));
}

export function fillZero(target: usize, bytes: usize): void {
  memory.fill(target, 0, bytes);
}

/** gradient <- 0 where the relu's output is not positive. */
export function maskByRelu(gradient: usize, reluOutput: usize, elements: i32): void {
  for (let index = 0; index < elements; index += 4) {
    const positive = f32x4.gt(v128.load(reluOutput), f32x4.splat(0));
    v128.store(gradient, v128.and(v128.load(gradient), positive));
    gradient += VECTOR_BYTES;
    reluOutput += VECTOR_BYTES;
  }
}

/** 2^-100: a smaller velocity counts as zero. Left alone it would halve its way into denormals and stay there, slow. */
const SMALLEST_VELOCITY: f32 = 7.888609052210118e-31;

/** v <- momentum*v - learningRate*(g + weightDecay*x) ; x <- x + v. */
export function heavyBall(
  parameters: usize, velocity: usize, gradient: usize, elements: i32, learningRate: f32, momentum: f32, weightDecay: f32,
): void {
  for (let index = 0; index < elements; index += 4) {
    const x = v128.load(parameters);
    const slope = madd(f32x4.splat(weightDecay), x, v128.load(gradient));
    const kept = f32x4.mul(f32x4.splat(momentum), v128.load(velocity));
    const moved = madd(f32x4.splat(-learningRate), slope, kept);
    const v = v128.andnot(moved, f32x4.lt(f32x4.abs(moved), f32x4.splat(SMALLEST_VELOCITY)));
    v128.store(velocity, v);
    v128.store(parameters, f32x4.add(x, v));
    parameters += VECTOR_BYTES;
    velocity += VECTOR_BYTES;
    gradient += VECTOR_BYTES;
  }
}

/** difference <- parameters - base ; sent <- parameters. */
export function takeDifference(parameters: usize, base: usize, sent: usize, difference: usize, elements: i32): void {
  for (let at: usize = 0; at < (<usize>elements) * FLOAT_BYTES; at += VECTOR_BYTES) {
    const x = v128.load(parameters + at);
    v128.store(sent + at, x);
    v128.store(difference + at, f32x4.sub(x, v128.load(base + at)));
  }
}

/**
 * parameters <- parameters - movingRate * (sent - center), where `base` holds the center. Never fused, so that both modules
 * move by exactly the same.
 */
export function settle(parameters: usize, sent: usize, base: usize, elements: i32, movingRate: f32): void {
  for (let at: usize = 0; at < (<usize>elements) * FLOAT_BYTES; at += VECTOR_BYTES) {
    const pull = f32x4.mul(f32x4.splat(movingRate), f32x4.sub(v128.load(sent + at), v128.load(base + at)));
    v128.store(parameters + at, f32x4.sub(v128.load(parameters + at), pull));
  }
}
