// Direct convolution of three by three taps without subgroups, for any device.
//
// Forward pass or data gradient (stride 1) of a convolution, without barriers and with nothing lowered:
//
//   output[pixel, channel] = sum over taps and k of input[pixel + tap, k] * weights[tap, k, channel]
//
//   input   [BATCH, IN_HEIGHT, IN_WIDTH, IN_CHANNELS]
//   weights [3, 3, GROUP_IN, OUT_CHANNELS], or, where TRANSPOSED, the forward pass's weights
//           [3, 3, GROUP_OUT, IN_CHANNELS] read with their taps in reverse
//   bias    [OUT_CHANNELS]
//   undone  as output: what the layer before put out, whose activation's derivative the sum is multiplied by
//   output  [BATCH, OUT_HEIGHT, OUT_WIDTH, OUT_CHANNELS]
//
// The sum, with what stood in the output where ACCUMULATE, goes through ACTIVATION (forward) or is multiplied by the
// derivative of UNDO (a data gradient). Each invocation keeps ROWS channels of 8 neighbouring pixels of a row in
// registers. It loads the strip of input that they see once for all three taps of a row, four channels at a time.
// All invocations of a workgroup have the same channels, so their loads of weights are uniform.
// No invocation returns early: one beyond the edge repeats the last strip or channel and stores equal bits.

override BATCH: u32 = 1;
override OUT_HEIGHT: u32 = 1;
override OUT_WIDTH: u32 = 1;
override IN_HEIGHT: u32 = 1;
override IN_WIDTH: u32 = 1;
override IN_CHANNELS: u32 = 1;
override OUT_CHANNELS: u32 = 1;
/// 1 or 2.
override STRIDE: u32 = 1;
override PADDING: i32 = 0;
override GROUPS: u32 = 1;
override TRANSPOSED: bool = false;
override BIAS: bool = false;
/// 0 none, 1 relu, 2 leaky relu with SLOPE below zero, 3 tanh, 4 sigmoid; UNDO likewise.
override ACTIVATION: u32 = 0;
override UNDO: u32 = 0;
override SLOPE: f32 = 0;
override ACCUMULATE: bool = false;

/// Channels of the register tile: at most 32.
override ROWS: u32 = 32;
override INVOCATIONS: u32 = 4;

override GROUP_IN: u32 = IN_CHANNELS / GROUPS;
override GROUP_OUT: u32 = OUT_CHANNELS / GROUPS;
/// Tiles that cover the output channels of a group.
override TILES: u32 = (GROUP_OUT + ROWS - 1) / ROWS;
/// Strips of 8 pixels that cover a row, and all rows.
override ROW_STRIPS: u32 = (OUT_WIDTH + 7) / 8;
override STRIPS: u32 = BATCH * OUT_HEIGHT * ROW_STRIPS;
/// Pixels of input that a strip sees.
override SEEN: u32 = 7 * STRIDE + 3;
override CHECKED: bool = PADDING != 0 || (ROW_STRIPS * 8 - 1) * STRIDE + 3 > IN_WIDTH;
/// Weights of a transposed matrix from one row to the next.
override ROW_STEP: u32 = select(1, IN_CHANNELS, TRANSPOSED);

@group(0) @binding(0) var<storage, read> input: array<f32>;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> undone: array<f32>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

/// The output channels that an invocation may compute: those of its group.
struct Group {
  index: u32,
  last_channel: u32,
}

/// Four input channels.
fn load(at: u32, channels: vec4u, is_inside: bool) -> vec4f {
  let value = vec4f(input[at + channels.x], input[at + channels.y], input[at + channels.z], input[at + channels.w]);
  if (!CHECKED) {
    return value;
  }
  return select(vec4f(), value, is_inside);
}

/// Address of the weights of channel 0 at a tap and an input channel of the group.
fn weights_offset(tap: u32, k: u32, group: Group) -> u32 {
  let depth = min(k, GROUP_IN - 1);
  if (!TRANSPOSED) {
    return (tap * GROUP_IN + depth) * OUT_CHANNELS;
  }
  // The rows of a transposed matrix count from the group's first channel.
  let first = group.index * (GROUP_IN - GROUP_OUT * IN_CHANNELS);
  return first + (8 - tap) * GROUP_OUT * IN_CHANNELS + depth;
}

fn weight(at: u32, k: u32) -> f32 {
  if (GROUP_IN % 4 == 0) {
    return weights[at];
  }
  return select(0.0, weights[at], k < GROUP_IN);
}

/// The weights of four k. `offsets` are those of channel 0.
fn weights_at(offsets: vec4u, row: u32, k: u32) -> vec4f {
  return vec4f(
    weight(offsets.x + row, k),
    weight(offsets.y + row, k + 1),
    weight(offsets.z + row, k + 2),
    weight(offsets.w + row, k + 3),
  );
}

fn start(channel: u32, group: Group) -> vec4f {
  if (BIAS) {
    return vec4f(bias[min(channel, group.last_channel)]);
  }
  return vec4f();
}

fn activated(value: f32) -> f32 {
  switch (ACTIVATION) {
    case 1: { return max(value, 0.0); }
    case 2: { return select(SLOPE * value, value, value > 0.0); }
    case 3: { return tanh(clamp(value, -15.0, 15.0)); }
    case 4: { return 1.0 / (1.0 + exp(-value)); }
    default: { return value; }
  }
}

/// The derivative of an activation where it put out `value`.
fn derivative(value: f32) -> f32 {
  switch (UNDO) {
    case 1: { return select(0.0, 1.0, value > 0.0); }
    case 2: { return select(SLOPE, 1.0, value > 0.0); }
    case 3: { return 1.0 - value * value; }
    default: { return value * (1.0 - value); }
  }
}

fn store_element(at: u32, is_own: bool, sum: f32) {
  var value = sum;
  if (ACCUMULATE) {
    // An element that another invocation adds to as well would be added to twice.
    if (!is_own) {
      return;
    }
    value += output[at];
  }
  if (UNDO > 0) {
    value *= derivative(undone[at]);
  }
  output[at] = activated(value);
}

fn store(row: u32, x: u32, channel: u32, group: Group, is_own: bool, sum: vec4f) {
  let xs = vec4u(x, x + 1, x + 2, x + 3);
  let at = (row * OUT_WIDTH + min(xs, vec4u(OUT_WIDTH - 1))) * OUT_CHANNELS + min(channel, group.last_channel);
  // The last pixel of a row is repeated by pixels that other sums belong to.
  let is_pixel = xs < vec4u(OUT_WIDTH);
  let may_store = is_own & (channel <= group.last_channel);
  if (is_pixel.x) {
    store_element(at.x, may_store, sum.x);
  }
  if (is_pixel.y) {
    store_element(at.y, may_store, sum.y);
  }
  if (is_pixel.z) {
    store_element(at.z, may_store, sum.z);
  }
  if (is_pixel.w) {
    store_element(at.w, may_store, sum.w);
  }
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let index = id.x + workgroup.z * workgroups.x * INVOCATIONS;
  let strip = min(index, STRIPS - 1);
  let row = strip / ROW_STRIPS;
  let x = (strip - row * ROW_STRIPS) * 8;
  let image = row / OUT_HEIGHT;
  let y = row - image * OUT_HEIGHT;
  let group_index = workgroup.y / TILES;
  let channel = group_index * GROUP_OUT + (workgroup.y - group_index * TILES) * ROWS;
  let group = Group(group_index, (group_index + 1) * GROUP_OUT - 1);
  let from_x = i32(x * STRIDE) - PADDING;
  let from_y = i32(y * STRIDE) - PADDING;
  let order = vec4u(0, 1, 2, 3);
  let x0 = from_x + 0; let i0 = u32(x0) < IN_WIDTH; let p0 = u32(clamp(x0, 0, i32(IN_WIDTH) - 1)) * IN_CHANNELS;
  let x1 = from_x + 1; let i1 = u32(x1) < IN_WIDTH; let p1 = u32(clamp(x1, 0, i32(IN_WIDTH) - 1)) * IN_CHANNELS;
  let x2 = from_x + 2; let i2 = u32(x2) < IN_WIDTH; let p2 = u32(clamp(x2, 0, i32(IN_WIDTH) - 1)) * IN_CHANNELS;
  let x3 = from_x + 3; let i3 = u32(x3) < IN_WIDTH; let p3 = u32(clamp(x3, 0, i32(IN_WIDTH) - 1)) * IN_CHANNELS;
  let x4 = from_x + 4; let i4 = u32(x4) < IN_WIDTH; let p4 = u32(clamp(x4, 0, i32(IN_WIDTH) - 1)) * IN_CHANNELS;
  let x5 = from_x + 5; let i5 = u32(x5) < IN_WIDTH; let p5 = u32(clamp(x5, 0, i32(IN_WIDTH) - 1)) * IN_CHANNELS;
  let x6 = from_x + 6; let i6 = u32(x6) < IN_WIDTH; let p6 = u32(clamp(x6, 0, i32(IN_WIDTH) - 1)) * IN_CHANNELS;
  let x7 = from_x + 7; let i7 = u32(x7) < IN_WIDTH; let p7 = u32(clamp(x7, 0, i32(IN_WIDTH) - 1)) * IN_CHANNELS;
  let x8 = from_x + 8; let i8 = u32(x8) < IN_WIDTH; let p8 = u32(clamp(x8, 0, i32(IN_WIDTH) - 1)) * IN_CHANNELS;
  let x9 = from_x + 9; let i9 = u32(x9) < IN_WIDTH; let p9 = u32(clamp(x9, 0, i32(IN_WIDTH) - 1)) * IN_CHANNELS;
  let x10 = from_x + 10; let i10 = u32(x10) < IN_WIDTH; let p10 = u32(clamp(x10, 0, i32(IN_WIDTH) - 1)) * IN_CHANNELS;
  let x11 = from_x + 11; let i11 = u32(x11) < IN_WIDTH; let p11 = u32(clamp(x11, 0, i32(IN_WIDTH) - 1)) * IN_CHANNELS;
  let x12 = from_x + 12; let i12 = u32(x12) < IN_WIDTH; let p12 = u32(clamp(x12, 0, i32(IN_WIDTH) - 1)) * IN_CHANNELS;
  let x13 = from_x + 13; let i13 = u32(x13) < IN_WIDTH; let p13 = u32(clamp(x13, 0, i32(IN_WIDTH) - 1)) * IN_CHANNELS;
  let x14 = from_x + 14; let i14 = u32(x14) < IN_WIDTH; let p14 = u32(clamp(x14, 0, i32(IN_WIDTH) - 1)) * IN_CHANNELS;
  let x15 = from_x + 15; let i15 = u32(x15) < IN_WIDTH; let p15 = u32(clamp(x15, 0, i32(IN_WIDTH) - 1)) * IN_CHANNELS;
  let x16 = from_x + 16; let i16 = u32(x16) < IN_WIDTH; let p16 = u32(clamp(x16, 0, i32(IN_WIDTH) - 1)) * IN_CHANNELS;
  var a0 = start(channel + 0, group); var b0 = a0;
  var a1 = start(channel + 1, group); var b1 = a1;
  var a2 = start(channel + 2, group); var b2 = a2;
  var a3 = start(channel + 3, group); var b3 = a3;
  var a4 = start(channel + 4, group); var b4 = a4;
  var a5 = start(channel + 5, group); var b5 = a5;
  var a6 = start(channel + 6, group); var b6 = a6;
  var a7 = start(channel + 7, group); var b7 = a7;
  var a8 = start(channel + 8, group); var b8 = a8;
  var a9 = start(channel + 9, group); var b9 = a9;
  var a10 = start(channel + 10, group); var b10 = a10;
  var a11 = start(channel + 11, group); var b11 = a11;
  var a12 = start(channel + 12, group); var b12 = a12;
  var a13 = start(channel + 13, group); var b13 = a13;
  var a14 = start(channel + 14, group); var b14 = a14;
  var a15 = start(channel + 15, group); var b15 = a15;
  var a16 = start(channel + 16, group); var b16 = a16;
  var a17 = start(channel + 17, group); var b17 = a17;
  var a18 = start(channel + 18, group); var b18 = a18;
  var a19 = start(channel + 19, group); var b19 = a19;
  var a20 = start(channel + 20, group); var b20 = a20;
  var a21 = start(channel + 21, group); var b21 = a21;
  var a22 = start(channel + 22, group); var b22 = a22;
  var a23 = start(channel + 23, group); var b23 = a23;
  var a24 = start(channel + 24, group); var b24 = a24;
  var a25 = start(channel + 25, group); var b25 = a25;
  var a26 = start(channel + 26, group); var b26 = a26;
  var a27 = start(channel + 27, group); var b27 = a27;
  var a28 = start(channel + 28, group); var b28 = a28;
  var a29 = start(channel + 29, group); var b29 = a29;
  var a30 = start(channel + 30, group); var b30 = a30;
  var a31 = start(channel + 31, group); var b31 = a31;
  for (var tap_y = 0u; tap_y < 3; tap_y++) {
    let at_y = from_y + i32(tap_y);
    let inside_y = u32(at_y) < IN_HEIGHT;
    let row_base = (image * IN_HEIGHT + u32(clamp(at_y, 0, i32(IN_HEIGHT) - 1))) * IN_WIDTH * IN_CHANNELS;
    for (var k = 0u; k < GROUP_IN; k += 4) {
      let channels = group_index * GROUP_IN + min(k + order, vec4u(GROUP_IN - 1));
      let s0 = load(row_base + p0, channels, i0 & inside_y);
      let s1 = load(row_base + p1, channels, i1 & inside_y);
      let s2 = load(row_base + p2, channels, i2 & inside_y);
      let s3 = load(row_base + p3, channels, i3 & inside_y);
      let s4 = load(row_base + p4, channels, i4 & inside_y);
      let s5 = load(row_base + p5, channels, i5 & inside_y);
      let s6 = load(row_base + p6, channels, i6 & inside_y);
      let s7 = load(row_base + p7, channels, i7 & inside_y);
      let s8 = load(row_base + p8, channels, i8 & inside_y);
      let s9 = load(row_base + p9, channels, i9 & inside_y);
      var s10: vec4f; if (SEEN > 10) { s10 = load(row_base + p10, channels, i10 & inside_y); }
      var s11: vec4f; if (SEEN > 11) { s11 = load(row_base + p11, channels, i11 & inside_y); }
      var s12: vec4f; if (SEEN > 12) { s12 = load(row_base + p12, channels, i12 & inside_y); }
      var s13: vec4f; if (SEEN > 13) { s13 = load(row_base + p13, channels, i13 & inside_y); }
      var s14: vec4f; if (SEEN > 14) { s14 = load(row_base + p14, channels, i14 & inside_y); }
      var s15: vec4f; if (SEEN > 15) { s15 = load(row_base + p15, channels, i15 & inside_y); }
      var s16: vec4f; if (SEEN > 16) { s16 = load(row_base + p16, channels, i16 & inside_y); }
      var ma0 = transpose(mat4x4f(s0, s1, s2, s3));
      if (STRIDE == 2) { ma0 = transpose(mat4x4f(s0, s2, s4, s6)); }
      var mb0 = transpose(mat4x4f(s4, s5, s6, s7));
      if (STRIDE == 2) { mb0 = transpose(mat4x4f(s8, s10, s12, s14)); }
      var ma1 = transpose(mat4x4f(s1, s2, s3, s4));
      if (STRIDE == 2) { ma1 = transpose(mat4x4f(s1, s3, s5, s7)); }
      var mb1 = transpose(mat4x4f(s5, s6, s7, s8));
      if (STRIDE == 2) { mb1 = transpose(mat4x4f(s9, s11, s13, s15)); }
      var ma2 = transpose(mat4x4f(s2, s3, s4, s5));
      if (STRIDE == 2) { ma2 = transpose(mat4x4f(s2, s4, s6, s8)); }
      var mb2 = transpose(mat4x4f(s6, s7, s8, s9));
      if (STRIDE == 2) { mb2 = transpose(mat4x4f(s10, s12, s14, s16)); }
      let o0 = vec4u(weights_offset(tap_y * 3 + 0, k, group), weights_offset(tap_y * 3 + 0, k + 1, group), weights_offset(tap_y * 3 + 0, k + 2, group), weights_offset(tap_y * 3 + 0, k + 3, group));
      let o1 = vec4u(weights_offset(tap_y * 3 + 1, k, group), weights_offset(tap_y * 3 + 1, k + 1, group), weights_offset(tap_y * 3 + 1, k + 2, group), weights_offset(tap_y * 3 + 1, k + 3, group));
      let o2 = vec4u(weights_offset(tap_y * 3 + 2, k, group), weights_offset(tap_y * 3 + 2, k + 1, group), weights_offset(tap_y * 3 + 2, k + 2, group), weights_offset(tap_y * 3 + 2, k + 3, group));
      if (ROWS > 0) { let q = min(channel + 0, group.last_channel) * ROW_STEP; let w0 = weights_at(o0, q, k); let w1 = weights_at(o1, q, k); let w2 = weights_at(o2, q, k); a0 += ma0 * w0 + ma1 * w1 + ma2 * w2; b0 += mb0 * w0 + mb1 * w1 + mb2 * w2; }
      if (ROWS > 1) { let q = min(channel + 1, group.last_channel) * ROW_STEP; let w0 = weights_at(o0, q, k); let w1 = weights_at(o1, q, k); let w2 = weights_at(o2, q, k); a1 += ma0 * w0 + ma1 * w1 + ma2 * w2; b1 += mb0 * w0 + mb1 * w1 + mb2 * w2; }
      if (ROWS > 2) { let q = min(channel + 2, group.last_channel) * ROW_STEP; let w0 = weights_at(o0, q, k); let w1 = weights_at(o1, q, k); let w2 = weights_at(o2, q, k); a2 += ma0 * w0 + ma1 * w1 + ma2 * w2; b2 += mb0 * w0 + mb1 * w1 + mb2 * w2; }
      if (ROWS > 3) { let q = min(channel + 3, group.last_channel) * ROW_STEP; let w0 = weights_at(o0, q, k); let w1 = weights_at(o1, q, k); let w2 = weights_at(o2, q, k); a3 += ma0 * w0 + ma1 * w1 + ma2 * w2; b3 += mb0 * w0 + mb1 * w1 + mb2 * w2; }
      if (ROWS > 4) { let q = min(channel + 4, group.last_channel) * ROW_STEP; let w0 = weights_at(o0, q, k); let w1 = weights_at(o1, q, k); let w2 = weights_at(o2, q, k); a4 += ma0 * w0 + ma1 * w1 + ma2 * w2; b4 += mb0 * w0 + mb1 * w1 + mb2 * w2; }
      if (ROWS > 5) { let q = min(channel + 5, group.last_channel) * ROW_STEP; let w0 = weights_at(o0, q, k); let w1 = weights_at(o1, q, k); let w2 = weights_at(o2, q, k); a5 += ma0 * w0 + ma1 * w1 + ma2 * w2; b5 += mb0 * w0 + mb1 * w1 + mb2 * w2; }
      if (ROWS > 6) { let q = min(channel + 6, group.last_channel) * ROW_STEP; let w0 = weights_at(o0, q, k); let w1 = weights_at(o1, q, k); let w2 = weights_at(o2, q, k); a6 += ma0 * w0 + ma1 * w1 + ma2 * w2; b6 += mb0 * w0 + mb1 * w1 + mb2 * w2; }
      if (ROWS > 7) { let q = min(channel + 7, group.last_channel) * ROW_STEP; let w0 = weights_at(o0, q, k); let w1 = weights_at(o1, q, k); let w2 = weights_at(o2, q, k); a7 += ma0 * w0 + ma1 * w1 + ma2 * w2; b7 += mb0 * w0 + mb1 * w1 + mb2 * w2; }
      if (ROWS > 8) { let q = min(channel + 8, group.last_channel) * ROW_STEP; let w0 = weights_at(o0, q, k); let w1 = weights_at(o1, q, k); let w2 = weights_at(o2, q, k); a8 += ma0 * w0 + ma1 * w1 + ma2 * w2; b8 += mb0 * w0 + mb1 * w1 + mb2 * w2; }
      if (ROWS > 9) { let q = min(channel + 9, group.last_channel) * ROW_STEP; let w0 = weights_at(o0, q, k); let w1 = weights_at(o1, q, k); let w2 = weights_at(o2, q, k); a9 += ma0 * w0 + ma1 * w1 + ma2 * w2; b9 += mb0 * w0 + mb1 * w1 + mb2 * w2; }
      if (ROWS > 10) { let q = min(channel + 10, group.last_channel) * ROW_STEP; let w0 = weights_at(o0, q, k); let w1 = weights_at(o1, q, k); let w2 = weights_at(o2, q, k); a10 += ma0 * w0 + ma1 * w1 + ma2 * w2; b10 += mb0 * w0 + mb1 * w1 + mb2 * w2; }
      if (ROWS > 11) { let q = min(channel + 11, group.last_channel) * ROW_STEP; let w0 = weights_at(o0, q, k); let w1 = weights_at(o1, q, k); let w2 = weights_at(o2, q, k); a11 += ma0 * w0 + ma1 * w1 + ma2 * w2; b11 += mb0 * w0 + mb1 * w1 + mb2 * w2; }
      if (ROWS > 12) { let q = min(channel + 12, group.last_channel) * ROW_STEP; let w0 = weights_at(o0, q, k); let w1 = weights_at(o1, q, k); let w2 = weights_at(o2, q, k); a12 += ma0 * w0 + ma1 * w1 + ma2 * w2; b12 += mb0 * w0 + mb1 * w1 + mb2 * w2; }
      if (ROWS > 13) { let q = min(channel + 13, group.last_channel) * ROW_STEP; let w0 = weights_at(o0, q, k); let w1 = weights_at(o1, q, k); let w2 = weights_at(o2, q, k); a13 += ma0 * w0 + ma1 * w1 + ma2 * w2; b13 += mb0 * w0 + mb1 * w1 + mb2 * w2; }
      if (ROWS > 14) { let q = min(channel + 14, group.last_channel) * ROW_STEP; let w0 = weights_at(o0, q, k); let w1 = weights_at(o1, q, k); let w2 = weights_at(o2, q, k); a14 += ma0 * w0 + ma1 * w1 + ma2 * w2; b14 += mb0 * w0 + mb1 * w1 + mb2 * w2; }
      if (ROWS > 15) { let q = min(channel + 15, group.last_channel) * ROW_STEP; let w0 = weights_at(o0, q, k); let w1 = weights_at(o1, q, k); let w2 = weights_at(o2, q, k); a15 += ma0 * w0 + ma1 * w1 + ma2 * w2; b15 += mb0 * w0 + mb1 * w1 + mb2 * w2; }
      if (ROWS > 16) { let q = min(channel + 16, group.last_channel) * ROW_STEP; let w0 = weights_at(o0, q, k); let w1 = weights_at(o1, q, k); let w2 = weights_at(o2, q, k); a16 += ma0 * w0 + ma1 * w1 + ma2 * w2; b16 += mb0 * w0 + mb1 * w1 + mb2 * w2; }
      if (ROWS > 17) { let q = min(channel + 17, group.last_channel) * ROW_STEP; let w0 = weights_at(o0, q, k); let w1 = weights_at(o1, q, k); let w2 = weights_at(o2, q, k); a17 += ma0 * w0 + ma1 * w1 + ma2 * w2; b17 += mb0 * w0 + mb1 * w1 + mb2 * w2; }
      if (ROWS > 18) { let q = min(channel + 18, group.last_channel) * ROW_STEP; let w0 = weights_at(o0, q, k); let w1 = weights_at(o1, q, k); let w2 = weights_at(o2, q, k); a18 += ma0 * w0 + ma1 * w1 + ma2 * w2; b18 += mb0 * w0 + mb1 * w1 + mb2 * w2; }
      if (ROWS > 19) { let q = min(channel + 19, group.last_channel) * ROW_STEP; let w0 = weights_at(o0, q, k); let w1 = weights_at(o1, q, k); let w2 = weights_at(o2, q, k); a19 += ma0 * w0 + ma1 * w1 + ma2 * w2; b19 += mb0 * w0 + mb1 * w1 + mb2 * w2; }
      if (ROWS > 20) { let q = min(channel + 20, group.last_channel) * ROW_STEP; let w0 = weights_at(o0, q, k); let w1 = weights_at(o1, q, k); let w2 = weights_at(o2, q, k); a20 += ma0 * w0 + ma1 * w1 + ma2 * w2; b20 += mb0 * w0 + mb1 * w1 + mb2 * w2; }
      if (ROWS > 21) { let q = min(channel + 21, group.last_channel) * ROW_STEP; let w0 = weights_at(o0, q, k); let w1 = weights_at(o1, q, k); let w2 = weights_at(o2, q, k); a21 += ma0 * w0 + ma1 * w1 + ma2 * w2; b21 += mb0 * w0 + mb1 * w1 + mb2 * w2; }
      if (ROWS > 22) { let q = min(channel + 22, group.last_channel) * ROW_STEP; let w0 = weights_at(o0, q, k); let w1 = weights_at(o1, q, k); let w2 = weights_at(o2, q, k); a22 += ma0 * w0 + ma1 * w1 + ma2 * w2; b22 += mb0 * w0 + mb1 * w1 + mb2 * w2; }
      if (ROWS > 23) { let q = min(channel + 23, group.last_channel) * ROW_STEP; let w0 = weights_at(o0, q, k); let w1 = weights_at(o1, q, k); let w2 = weights_at(o2, q, k); a23 += ma0 * w0 + ma1 * w1 + ma2 * w2; b23 += mb0 * w0 + mb1 * w1 + mb2 * w2; }
      if (ROWS > 24) { let q = min(channel + 24, group.last_channel) * ROW_STEP; let w0 = weights_at(o0, q, k); let w1 = weights_at(o1, q, k); let w2 = weights_at(o2, q, k); a24 += ma0 * w0 + ma1 * w1 + ma2 * w2; b24 += mb0 * w0 + mb1 * w1 + mb2 * w2; }
      if (ROWS > 25) { let q = min(channel + 25, group.last_channel) * ROW_STEP; let w0 = weights_at(o0, q, k); let w1 = weights_at(o1, q, k); let w2 = weights_at(o2, q, k); a25 += ma0 * w0 + ma1 * w1 + ma2 * w2; b25 += mb0 * w0 + mb1 * w1 + mb2 * w2; }
      if (ROWS > 26) { let q = min(channel + 26, group.last_channel) * ROW_STEP; let w0 = weights_at(o0, q, k); let w1 = weights_at(o1, q, k); let w2 = weights_at(o2, q, k); a26 += ma0 * w0 + ma1 * w1 + ma2 * w2; b26 += mb0 * w0 + mb1 * w1 + mb2 * w2; }
      if (ROWS > 27) { let q = min(channel + 27, group.last_channel) * ROW_STEP; let w0 = weights_at(o0, q, k); let w1 = weights_at(o1, q, k); let w2 = weights_at(o2, q, k); a27 += ma0 * w0 + ma1 * w1 + ma2 * w2; b27 += mb0 * w0 + mb1 * w1 + mb2 * w2; }
      if (ROWS > 28) { let q = min(channel + 28, group.last_channel) * ROW_STEP; let w0 = weights_at(o0, q, k); let w1 = weights_at(o1, q, k); let w2 = weights_at(o2, q, k); a28 += ma0 * w0 + ma1 * w1 + ma2 * w2; b28 += mb0 * w0 + mb1 * w1 + mb2 * w2; }
      if (ROWS > 29) { let q = min(channel + 29, group.last_channel) * ROW_STEP; let w0 = weights_at(o0, q, k); let w1 = weights_at(o1, q, k); let w2 = weights_at(o2, q, k); a29 += ma0 * w0 + ma1 * w1 + ma2 * w2; b29 += mb0 * w0 + mb1 * w1 + mb2 * w2; }
      if (ROWS > 30) { let q = min(channel + 30, group.last_channel) * ROW_STEP; let w0 = weights_at(o0, q, k); let w1 = weights_at(o1, q, k); let w2 = weights_at(o2, q, k); a30 += ma0 * w0 + ma1 * w1 + ma2 * w2; b30 += mb0 * w0 + mb1 * w1 + mb2 * w2; }
      if (ROWS > 31) { let q = min(channel + 31, group.last_channel) * ROW_STEP; let w0 = weights_at(o0, q, k); let w1 = weights_at(o1, q, k); let w2 = weights_at(o2, q, k); a31 += ma0 * w0 + ma1 * w1 + ma2 * w2; b31 += mb0 * w0 + mb1 * w1 + mb2 * w2; }
    }
  }
  let is_own = index < STRIPS;
  var tile_a = array<vec4f, 32>(
    a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15,
    a16, a17, a18, a19, a20, a21, a22, a23, a24, a25, a26, a27, a28, a29, a30, a31,
  );
  var tile_b = array<vec4f, 32>(
    b0, b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13, b14, b15,
    b16, b17, b18, b19, b20, b21, b22, b23, b24, b25, b26, b27, b28, b29, b30, b31,
  );
  for (var r = 0u; r < ROWS; r++) {
    store(row, x, channel + r, group, is_own, tile_a[r]);
    store(row, x + 4, channel + r, group, is_own, tile_b[r]);
  }
}
