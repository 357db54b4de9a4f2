// The codec bf16 (SPEC C; shared/wire/codec/naive.ts is the definition): a range of a layout to words, and back.
//
//   encode: payload = encoded(source - base), kept = base + decoded(payload): parameters, the center, what was sent;
//           with GRADIENT payload = encoded(source + kept), kept = what is left of that: a gradient, the residual
//   decode: center = center + decoded(change)
//
//   source, base, kept, center [elements of the layout / 4] of 4; the range is in vectors, from a block's beginning on
//   payload, change [blocks, 16] of 4: two elements a word, the first in its low half
//
// An invocation per eight elements. The last block is filled up with zeros.

override GRADIENT: bool = false;

const INVOCATIONS = 64u;
// Invocations on a block, each with two vectors of it.
const LANES = 16u;
const BLOCK_VECTORS = 32u;

struct Range {
  first: u32,
  end: u32,
}

@group(0) @binding(0) var<uniform> range: Range;

// Of encode.
@group(0) @binding(1) var<storage, read> source: array<vec4f>;
@group(0) @binding(2) var<storage, read> base: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> kept: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> payload: array<vec4u>;

// Of decode.
@group(0) @binding(1) var<storage, read> change: array<vec4u>;
@group(0) @binding(2) var<storage, read_write> center: array<vec4f>;

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

// To nearest, ties to even; a NaN stays one.
fn bf16_bits(value: vec4f) -> vec4u {
  let bits = bitcast<vec4u>(value);
  let high = bits >> vec4u(16);
  let rounded = (bits + 0x7fff + (high & vec4u(1))) >> vec4u(16);
  return select(rounded, high | vec4u(0x40), (bits & vec4u(0x7fffffff)) > vec4u(0x7f800000));
}

fn bf16_values(bits: vec4u) -> vec4f {
  return bitcast<vec4f>(bits << vec4u(16));
}

fn words(bits: vec4u) -> vec2u {
  return bits.xz | (bits.yw << vec2u(16));
}

fn halves(words: vec2u) -> vec4u {
  return vec4u(words.x & 0xffff, words.x >> 16, words.y & 0xffff, words.y >> 16);
}

@compute @workgroup_size(INVOCATIONS)
fn encode(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let invocation = (group.y * groups.x + group.x) * INVOCATIONS + local;
  let first = range.first + 2 * invocation;
  if (invocation / LANES * BLOCK_VECTORS >= range.end - range.first) {
    return;
  }
  let low = wanted(first);
  let high = wanted(first + 1);
  let low_bits = bf16_bits(low);
  let high_bits = bf16_bits(high);
  payload[invocation] = vec4u(words(low_bits), words(high_bits));
  keep(first, low, bf16_values(low_bits));
  keep(first + 1, high, bf16_values(high_bits));
}

@compute @workgroup_size(INVOCATIONS)
fn decode(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let invocation = (group.y * groups.x + group.x) * INVOCATIONS + local;
  let first = range.first + 2 * invocation;
  if (first >= range.end) {
    return;
  }
  let pairs = change[invocation];
  add(first, bf16_values(halves(pairs.xy)));
  add(first + 1, bf16_values(halves(pairs.zw)));
}
