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
// 16 invocations per block, eight elements each. In each of four turns every invocation names the greatest of its own that is left,
// and all of a block find the greatest of these. The last block is filled up with zeros.

override GRADIENT: bool = false;

const INVOCATIONS = 64u;
// Invocations on a block, each with two vectors of it.
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

// Of each turn, so that no turn waits for the one before to have been read.
var<workgroup> keys: array<u32, TOP * INVOCATIONS>;
var<workgroup> places: array<u32, TOP * INVOCATIONS>;

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

// A magnitude to be compared as a whole number, and above zero; a NaN counts as an infinity.
fn keys_of(value: vec4f) -> vec4u {
  return min(bitcast<vec4u>(value) & vec4u(0x7fffffff), vec4u(INFINITY_BITS)) + 1;
}

fn greatest(low: vec4u, high: vec4u) -> u32 {
  let four = max(low, high);
  let two = max(four.xy, four.zw);
  return max(two.x, two.y);
}

// Where the first of eight is that equals `key`; one does.
fn place_of(key: u32, low: vec4u, high: vec4u) -> u32 {
  var place = select(7u, 6u, high.z == key);
  place = select(place, 5u, high.y == key);
  place = select(place, 4u, high.x == key);
  place = select(place, 3u, low.w == key);
  place = select(place, 2u, low.z == key);
  place = select(place, 1u, low.y == key);
  return select(place, 0u, low.x == key);
}

@compute @workgroup_size(INVOCATIONS)
fn encode(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let block = ((group.y * groups.x + group.x) * INVOCATIONS + local) / LANES;
  let lane = local % LANES;
  let first = range.first + block * BLOCK_VECTORS + 2 * lane;
  let low = wanted(first);
  let high = wanted(first + 1);
  let low_places = 8 * lane + vec4u(0, 1, 2, 3);
  let high_places = low_places + 4;
  var low_keys = keys_of(low);
  var high_keys = keys_of(high);
  var low_decoded = vec4f();
  var high_decoded = vec4f();
  let is_inside = block * BLOCK_VECTORS < range.end - range.first;
  for (var turn = 0u; turn < TOP; turn++) {
    let own = greatest(low_keys, high_keys);
    keys[turn * INVOCATIONS + local] = own;
    places[turn * INVOCATIONS + local] = 8 * lane + place_of(own, low_keys, high_keys);
    workgroupBarrier();
    var best = 0u;
    var place = 0u;
    let begin = turn * INVOCATIONS + local - lane;
    for (var other = begin; other < begin + LANES; other++) {
      if (keys[other] > best) {
        best = keys[other];
        place = places[other];
      }
    }
    if (place / 8 == lane) {
      let is_low = low_places == vec4u(place);
      let is_high = high_places == vec4u(place);
      let bits = top_bits(lane_of(select(low, high, vec4<bool>(place % 8 >= 4)), place % 4));
      if (is_inside) {
        payload[block * TOP + turn] = (bits << 16) | place;
      }
      let decoded = f16_values(vec4u(bits));
      low_decoded = select(low_decoded, decoded, is_low);
      high_decoded = select(high_decoded, decoded, is_high);
      low_keys = select(low_keys, vec4u(), is_low);
      high_keys = select(high_keys, vec4u(), is_high);
    }
  }
  if (is_inside) {
    keep(first, low, low_decoded);
    keep(first + 1, high, high_decoded);
  }
}

fn lane_of(values: vec4f, lane: u32) -> f32 {
  let two = select(values.xy, values.zw, lane >= 2);
  return select(two.x, two.y, lane % 2 == 1);
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
