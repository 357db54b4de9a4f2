// The codec sign (SPEC C; shared/wire/codec/naive.ts is the definition): a range of a layout to words, and back.
//
//   encode: payload = encoded(source - base), kept = base + decoded(payload): parameters, the center, what was sent;
//           with GRADIENT payload = encoded(source + kept), kept = what is left of that: a gradient, the residual
//   decode: center = center + decoded(change)
//
//   source, base, kept, center [elements of the layout / 4] of 4; the range is in vectors, from a block's beginning on
//   payload, change [blocks, 5]: the scale, then a bit for each element, 1 where it is negative
//
// To encode an invocation has a block, which it reads twice; to decode eight elements. The last block is filled up with zeros.

override GRADIENT: bool = false;

const INVOCATIONS = 64u;
// Of decode: invocations on a block, each with two vectors of it.
const LANES = 16u;
const BLOCK_VECTORS = 32u;
const BLOCK_WORDS = 5u;
// Invocations whose signs are a word, and vectors.
const WORD_LANES = 4u;
const WORD_VECTORS = 8u;
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

// A bit for each element below zero, which a zero with a sign is not.
fn signs_of(value: vec4f) -> u32 {
  let is_negative = (bitcast<vec4u>(value) > vec4u(0x80000000));
  let bits = select(vec4u(), vec4u(1, 2, 4, 8), is_negative);
  return bits.x | bits.y | bits.z | bits.w;
}

fn signed(scale: u32, signs: u32) -> vec4f {
  return bitcast<vec4f>(vec4u(scale) ^ ((vec4u(signs) << vec4u(31, 30, 29, 28)) & vec4u(0x80000000)));
}

@compute @workgroup_size(INVOCATIONS)
fn encode(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let block = (group.y * groups.x + group.x) * INVOCATIONS + local;
  let first = range.first + block * BLOCK_VECTORS;
  if (first >= range.end) {
    return;
  }
  var four = vec4u();
  var sums = vec4f();
  for (var index = first; index < first + BLOCK_VECTORS; index++) {
    let value = wanted(index);
    four = max(four, bitcast<vec4u>(value) & vec4u(0x7fffffff));
    // Divided first, so that the sum of finite elements is finite.
    sums += abs(value) / BLOCK_ELEMENTS;
  }
  let two = max(four.xy, four.zw);
  let pair = sums.xy + sums.zw;
  let bits = scale_bits(pair.x + pair.y, max(two.x, two.y));
  let at = block * BLOCK_WORDS;
  payload[at] = bits;
  for (var word = 0u; word < BLOCK_WORDS - 1; word++) {
    var signs = 0u;
    for (var vector = 0u; vector < WORD_VECTORS; vector++) {
      let index = first + word * WORD_VECTORS + vector;
      let value = wanted(index);
      let own_signs = signs_of(value);
      signs |= own_signs << (4 * vector);
      keep(index, value, signed(bits, own_signs));
    }
    payload[at + 1 + word] = signs;
  }
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
