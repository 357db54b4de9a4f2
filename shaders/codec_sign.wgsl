// The codec sign (SPEC C; shared/wire/codec/naive.ts is the definition): a range of a layout to words, and back.
//
//   encode: payload = encoded(source - base), kept = base + decoded(payload): parameters, the center, what was sent;
//           with GRADIENT payload = encoded(source + kept), kept = what is left of that: a gradient, the residual
//   decode: center = center + decoded(change)
//
//   source, base, kept, center [elements of the layout / 4] of 4; the range is in vectors, from a block's beginning on
//   payload, change [blocks, 5]: the scale, then a bit for each element, 1 where it is negative
//
// 16 invocations per block, eight elements each. The last block is filled up with zeros.

override GRADIENT: bool = false;

const INVOCATIONS = 64u;
// Invocations on a block, each with two vectors of it.
const LANES = 16u;
const BLOCK_VECTORS = 32u;
const BLOCK_WORDS = 5u;
// Invocations whose signs make a word.
const WORD_LANES = 4u;
const BLOCK_ELEMENTS = 128.0;
// Scales below 2^-100 are zero.
const LEAST_SCALE_BITS = 0x0d800000u;
const INFINITY_BITS = 0x7f800000u;
const NAN_BITS = 0x7fc00000u;

struct Range {
  first: u32,
  end: u32,
}

@group(0) @binding(0) var<uniform> range: Range;

// Of encode.
@group(0) @binding(1) var<storage, read> source: array<vec4f>;
@group(0) @binding(2) var<storage, read> base: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> kept: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> payload: array<u32>;

// Of decode.
@group(0) @binding(1) var<storage, read> change: array<u32>;
@group(0) @binding(2) var<storage, read_write> center: array<vec4f>;

var<workgroup> magnitudes: array<u32, INVOCATIONS>;
var<workgroup> sums: array<f32, INVOCATIONS>;
var<workgroup> signs: array<u32, INVOCATIONS>;

fn wanted(index: u32) -> vec4f {
  if (index >= range.end) {
    return vec4f();
  }
  if (GRADIENT) {
    return source[index] + kept[index];
  }
  return source[index] - base[index];
}

fn keep(index: u32, value: vec4f, decoded: vec4f) {
  if (index >= range.end) {
    return;
  }
  if (GRADIENT) {
    kept[index] = value - decoded;
  } else {
    kept[index] = base[index] + decoded;
  }
}

fn add(index: u32, decoded: vec4f) {
  if (index < range.end) {
    center[index] += decoded;
  }
}

// To 8 significant bits, to nearest, ties to even; a NaN's where an element was not finite.
fn scale_bits(mean: f32, magnitude: u32) -> u32 {
  if (magnitude >= INFINITY_BITS) {
    return NAN_BITS;
  }
  let exact = bitcast<u32>(mean);
  let bits = (exact + 0x7fff + ((exact >> 16) & 1)) & 0xffff0000;
  return select(bits, 0, bits < LEAST_SCALE_BITS);
}

fn magnitudes_of(value: vec4f) -> vec4u {
  return bitcast<vec4u>(value) & vec4u(0x7fffffff);
}

// A bit for each element below zero, which a zero with a sign is not.
fn signs_of(value: vec4f) -> u32 {
  let is_negative = (bitcast<vec4u>(value) > vec4u(0x80000000));
  let bits = select(vec4u(), vec4u(1, 2, 4, 8), is_negative);
  return bits.x | bits.y | bits.z | bits.w;
}

fn sum(values: vec4f) -> f32 {
  let two = values.xy + values.zw;
  return two.x + two.y;
}

fn signed(scale: u32, signs: u32) -> vec4f {
  return bitcast<vec4f>(vec4u(scale) ^ ((vec4u(signs) << vec4u(31, 30, 29, 28)) & vec4u(0x80000000)));
}

@compute @workgroup_size(INVOCATIONS)
fn encode(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let block = ((group.y * groups.x + group.x) * INVOCATIONS + local) / LANES;
  let lane = local % LANES;
  let first = range.first + block * BLOCK_VECTORS + 2 * lane;
  let low = wanted(first);
  let high = wanted(first + 1);
  let four = max(magnitudes_of(low), magnitudes_of(high));
  let two = max(four.xy, four.zw);
  magnitudes[local] = max(two.x, two.y);
  // Divided first, so that the sum of finite elements is finite.
  sums[local] = sum(abs(low) / BLOCK_ELEMENTS) + sum(abs(high) / BLOCK_ELEMENTS);
  let own_signs = signs_of(low) | (signs_of(high) << 4);
  signs[local] = own_signs;
  workgroupBarrier();
  if (block * BLOCK_VECTORS >= range.end - range.first) {
    return;
  }
  var magnitude = 0u;
  var mean = 0.0;
  for (var other = local - lane; other < local - lane + LANES; other++) {
    magnitude = max(magnitude, magnitudes[other]);
    mean += sums[other];
  }
  let bits = scale_bits(mean, magnitude);
  let at = block * BLOCK_WORDS;
  if (lane == 0) {
    payload[at] = bits;
  }
  if (lane % WORD_LANES == 0) {
    payload[at + 1 + lane / WORD_LANES] =
      signs[local] | (signs[local + 1] << 8) | (signs[local + 2] << 16) | (signs[local + 3] << 24);
  }
  keep(first, low, signed(bits, own_signs));
  keep(first + 1, high, signed(bits, own_signs >> 4));
}

@compute @workgroup_size(INVOCATIONS)
fn decode(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let block = ((group.y * groups.x + group.x) * INVOCATIONS + local) / LANES;
  let lane = local % LANES;
  let first = range.first + block * BLOCK_VECTORS + 2 * lane;
  if (first >= range.end) {
    return;
  }
  let at = block * BLOCK_WORDS;
  let own_signs = change[at + 1 + lane / WORD_LANES] >> (8 * (lane % WORD_LANES));
  add(first, signed(change[at], own_signs));
  add(first + 1, signed(change[at], own_signs >> 4));
}
