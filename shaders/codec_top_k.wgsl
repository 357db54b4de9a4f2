// The codec top-k (SPEC C; shared/wire/codec/naive.ts is the definition): a range of a layout to words, and back.
//
//   encode: payload = encoded(source - base), kept = base + decoded(payload): parameters, the center, what was sent;
//           with GRADIENT payload = encoded(source + kept), kept = what is left of that: a gradient, the residual
//   decode: center = center + decoded(change)
//
//   source, base, kept, center [elements of the layout / 4] of 4; the range is in vectors, from a block's beginning on
//   payload, change [blocks, 4]: of the greatest magnitudes, of equal ones the first, the element's index in the low half of a word,
//                               and its value as f16 in the high half
//
// To encode an invocation has a block, which it reads twice; to decode eight elements. The last block is filled up with zeros, which
// are never among the greatest: it has 64 elements at least.

override GRADIENT: bool = false;

const INVOCATIONS = 64u;
// Of decode: invocations on a block, each with two vectors of it.
const LANES = 16u;
const BLOCK_VECTORS = 32u;
const TOP = 4u;
const INFINITY_BITS = 0x7f800000u;
const GREATEST_F16 = 65504.0;
const F16_NAN_BITS = 0x7e00u;

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

// To nearest, ties to even; a NaN stays one, and what is beyond f16's greatest is infinite. On the integer bits: a device may
// round pack2x16float otherwise, and flush f16's denormals in unpack2x16float.
fn f16_bits(value: vec4f) -> vec4u {
  let bits = bitcast<vec4u>(value);
  let magnitude = bits & vec4u(0x7fffffff);
  let normal = (magnitude - 0x38000000 + 0xfff + ((magnitude >> vec4u(13)) & vec4u(1))) >> vec4u(13);
  // Adding a half rounds at the last bit of an f16 denormal, 2^-24.
  let denormal = bitcast<vec4u>(bitcast<vec4f>(magnitude) + 0.5) - 0x3f000000;
  let finite = select(normal, denormal, magnitude < vec4u(0x38800000));
  let beyond = select(vec4u(0x7c00), vec4u(0x7e00), magnitude > vec4u(0x7f800000));
  return ((bits >> vec4u(16)) & vec4u(0x8000)) | select(finite, beyond, magnitude >= vec4u(0x47800000));
}

fn f16_values(bits: vec4u) -> vec4f {
  let magnitude = bits & vec4u(0x7fff);
  let normal = (magnitude << vec4u(13)) + 0x38000000;
  let denormal = bitcast<vec4u>(vec4f(magnitude) * 0x1p-24);
  let finite = select(normal, denormal, magnitude < vec4u(0x0400));
  let value = select(finite, normal + 0x38000000, magnitude >= vec4u(0x7c00));
  return bitcast<vec4f>(value | ((bits & vec4u(0x8000)) << vec4u(16)));
}

// f16 bits of what is finite, at most f16's greatest; a NaN's of all else.
fn top_bits(value: f32) -> u32 {
  if ((bitcast<u32>(value) & 0x7fffffff) >= INFINITY_BITS) {
    return F16_NAN_BITS;
  }
  return f16_bits(vec4f(clamp(value, -GREATEST_F16, GREATEST_F16))).x;
}

// Magnitudes to be compared as whole numbers, and above zero; a NaN counts as an infinity.
fn keys_of(value: vec4f) -> vec4u {
  return min(bitcast<vec4u>(value) & vec4u(0x7fffffff), vec4u(INFINITY_BITS)) + 1;
}

// The greatest so far, in order.
struct Top {
  keys: vec4u,
  places: vec4u,
}

// What is as great as another stays behind it.
fn with_key(top: Top, key: u32, place: u32) -> Top {
  let is_greater = vec4u(key) > top.keys;
  let is_shifted = vec4<bool>(false, is_greater.xyz);
  let keys = select(vec4u(key), top.keys.xxyz, is_shifted);
  let places = select(vec4u(place), top.places.xxyz, is_shifted);
  return Top(select(top.keys, keys, is_greater), select(top.places, places, is_greater));
}

// Once all of a block are kept as left out.
fn wanted_at(vector: u32, lane: u32) -> f32 {
  if (GRADIENT) {
    return kept[vector][lane];
  }
  return source[vector][lane] - base[vector][lane];
}

// Encodes one element of a block, and counts it as said.
fn pick(first: u32, place: u32) -> u32 {
  let vector = first + place / 4;
  let lane = place % 4;
  let value = wanted_at(vector, lane);
  let bits = top_bits(value);
  let decoded = f16_values(vec4u(bits)).x;
  if (GRADIENT) {
    kept[vector][lane] = value - decoded;
  } else {
    kept[vector][lane] = base[vector][lane] + decoded;
  }
  return (bits << 16) | place;
}

@compute @workgroup_size(INVOCATIONS)
fn encode(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let block = (group.y * groups.x + group.x) * INVOCATIONS + local;
  let first = range.first + block * BLOCK_VECTORS;
  if (first >= range.end) {
    return;
  }
  // The least of four maxima is at most the fourth greatest of all: few of a block have to be looked at one by one.
  var four = vec4u();
  for (var index = first; index < first + BLOCK_VECTORS; index++) {
    four = max(four, keys_of(wanted(index)));
  }
  let two = min(four.xy, four.zw);
  let least = vec4u(min(two.x, two.y));
  var top = Top();
  for (var index = 0u; index < BLOCK_VECTORS; index++) {
    let value = wanted(first + index);
    keep(first + index, value, vec4f());
    let keys = keys_of(value);
    if (any(keys >= least)) {
      top = with_key(top, keys.x, 4 * index);
      top = with_key(top, keys.y, 4 * index + 1);
      top = with_key(top, keys.z, 4 * index + 2);
      top = with_key(top, keys.w, 4 * index + 3);
    }
  }
  let at = block * TOP;
  payload[at] = pick(first, top.places.x);
  payload[at + 1] = pick(first, top.places.y);
  payload[at + 2] = pick(first, top.places.z);
  payload[at + 3] = pick(first, top.places.w);
}

@compute @workgroup_size(INVOCATIONS)
fn decode(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let block = ((group.y * groups.x + group.x) * INVOCATIONS + local) / LANES;
  let lane = local % LANES;
  let first = range.first + block * BLOCK_VECTORS + 2 * lane;
  if (first >= range.end) {
    return;
  }
  let low_places = 8 * lane + vec4u(0, 1, 2, 3);
  let high_places = low_places + 4;
  var low = vec4f();
  var high = vec4f();
  // Of two words for one element the later counts.
  for (var turn = 0u; turn < TOP; turn++) {
    let word = change[block * TOP + turn];
    let value = f16_values(vec4u(word >> 16));
    low = select(low, value, low_places == vec4u(word & 127));
    high = select(high, value, high_places == vec4u(word & 127));
  }
  add(first, low);
  add(first + 1, high);
}
