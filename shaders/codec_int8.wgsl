// The codec int8 (SPEC C; shared/wire/codec/naive.ts is the definition): a range of a layout to words, and back.
//
//   encode: payload = encoded(source - base), kept = base + decoded(payload): parameters, the center, what was sent;
//           with GRADIENT payload = encoded(source + kept), kept = what is left of that: a gradient, the residual
//   decode: center = center + decoded(change)
//
//   source, base, kept, center [elements of the layout / 4] of 4; the range is in vectors, from a block's beginning on
//   payload, change [blocks, 33]: the scale, then four codes a word, the first in its lowest byte
//
// To encode an invocation has a block, which it reads twice; to decode eight elements. The last block is filled up with zeros.

override GRADIENT: bool = false;

const INVOCATIONS = 64u;
// Of decode: invocations on a block, each with two vectors of it.
const LANES = 16u;
const BLOCK_VECTORS = 32u;
const BLOCK_WORDS = 33u;
const MOST = 127.0;
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

// The bits of the least number of 8 significant bits that is not below a MOST-th of the greatest magnitude; a NaN's where
// that is not finite. Compared as whole numbers, since a compiler may take it that there are no NaN.
fn scale_bits(magnitude: u32) -> u32 {
  if (magnitude >= INFINITY_BITS) {
    return NAN_BITS;
  }
  let bits = (bitcast<u32>(bitcast<f32>(magnitude) / MOST) + 0xffff) & 0xffff0000;
  return select(bits, 0, bits < LEAST_SCALE_BITS);
}

fn codes(value: vec4f, bits: u32) -> vec4i {
  if (bits == 0 || bits >= INFINITY_BITS) {
    return vec4i();
  }
  return vec4i(clamp(round(value / bitcast<f32>(bits)), vec4f(-MOST), vec4f(MOST)));
}

fn word(codes: vec4i) -> u32 {
  let bytes = (bitcast<vec4u>(codes) & vec4u(0xff)) << vec4u(0, 8, 16, 24);
  return bytes.x | bytes.y | bytes.z | bytes.w;
}

fn codes_in(word: u32) -> vec4f {
  return vec4f(bitcast<vec4i>(vec4u(word) << vec4u(24, 16, 8, 0)) >> vec4u(24));
}

@compute @workgroup_size(INVOCATIONS)
fn encode(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let block = (group.y * groups.x + group.x) * INVOCATIONS + local;
  let first = range.first + block * BLOCK_VECTORS;
  if (first >= range.end) {
    return;
  }
  var four = vec4u();
  for (var index = first; index < first + BLOCK_VECTORS; index++) {
    four = max(four, bitcast<vec4u>(wanted(index)) & vec4u(0x7fffffff));
  }
  let two = max(four.xy, four.zw);
  let bits = scale_bits(max(two.x, two.y));
  let scale = bitcast<f32>(bits);
  let at = block * BLOCK_WORDS;
  payload[at] = bits;
  for (var index = 0u; index < BLOCK_VECTORS; index++) {
    let value = wanted(first + index);
    let found = codes(value, bits);
    payload[at + 1 + index] = word(found);
    keep(first + index, value, scale * vec4f(found));
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
  let scale = bitcast<f32>(change[at]);
  add(first, scale * codes_in(change[at + 1 + 2 * lane]));
  add(first + 1, scale * codes_in(change[at + 2 + 2 * lane]));
}
