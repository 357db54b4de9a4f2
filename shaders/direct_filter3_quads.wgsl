// Direct filter gradient of three by three taps for devices with subgroups: the four lanes of a quad share their loads of the input.
//
// Gradients of the weights and the bias of a convolution, without barriers and with nothing lowered:
//
//   gradient[tap, k, channel] = sum over pixels of input[pixel + tap, k] * output_gradient[pixel, channel]
//
//   input           [BATCH, IN_HEIGHT, IN_WIDTH, IN_CHANNELS]
//   output_gradient [BATCH, OUT_HEIGHT, OUT_WIDTH, OUT_CHANNELS]
//   gradients       weights [3, 3, GROUP_IN, OUT_CHANNELS] from WEIGHTS_OFFSET on, bias from BIAS_OFFSET on
//
// Each invocation keeps the three taps of one row of the filter and ROWS of its input channels, times 4 * COLUMNS
// neighbouring output channels, in registers. It takes 8 pixels of a row at a time and loads the strip of input that they
// see once for all three taps. The rows of all images are split into chunks of CHUNK, one per workgroup in z, each writing
// its own copy SPLIT_ELEMENTS further on; sum_partials.wgsl adds the copies.
// All lanes of a quad have the same input channels: each loads one of four, and takes the other three by swapping. So
// lane l keeps the four in the order l, l ^ 1, l ^ 2, l ^ 3. A workgroup is one quad.
// No invocation returns early: one beyond the edge repeats the last channel and stores equal bits.

enable subgroups;

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
override BIAS: bool = false;
/// Rows of images per workgroup in z.
override CHUNK: u32 = 1;
override SPLIT_ELEMENTS: u32 = 0;
override WEIGHTS_OFFSET: u32 = 0;
override BIAS_OFFSET: u32 = 0;

/// The register tile: at most 16 input channels (a multiple of 4) by 2 columns (of 4 output channels).
override ROWS: u32 = 16;
override COLUMNS: u32 = 2;
override INVOCATIONS: u32 = 4;

override GROUP_IN: u32 = IN_CHANNELS / GROUPS;
override GROUP_OUT: u32 = OUT_CHANNELS / GROUPS;
/// Blocks that cover the input channels of a group, and tiles that cover its output channels.
override BLOCKS: u32 = (GROUP_IN + ROWS - 1) / ROWS;
override TILES: u32 = (GROUP_OUT + 4 * COLUMNS * INVOCATIONS - 1) / (4 * COLUMNS * INVOCATIONS);
/// Pixels of input that eight pixels see.
override SEEN: u32 = 7 * STRIDE + 3;
override CHECKED: bool = PADDING > 0 || ((OUT_WIDTH + 7) / 8 * 8 - 1) * STRIDE + 3 > IN_WIDTH;
override VECTOR: bool = GROUP_OUT % 4 == 0;

@group(0) @binding(0) var<storage, read> input: array<f32>;
@group(0) @binding(1) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(2) var<storage, read> output_gradient_vectors: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> gradients: array<f32>;

/// Four output channels of a pixel; zero beyond the end of its row.
fn gradient_at(row: u32, x: u32, channel: u32, last_channel: u32) -> vec4f {
  let base = (row * OUT_WIDTH + min(x, OUT_WIDTH - 1)) * OUT_CHANNELS;
  var value: vec4f;
  if (VECTOR) {
    value = output_gradient_vectors[(base + min(channel, last_channel - 3)) / 4];
  } else {
    let at = base + min(channel + vec4u(0, 1, 2, 3), vec4u(last_channel));
    value = vec4f(output_gradient[at.x], output_gradient[at.y], output_gradient[at.z], output_gradient[at.w]);
  }
  if (OUT_WIDTH % 8 == 0) {
    return value;
  }
  return select(vec4f(), value, x < OUT_WIDTH);
}

/// Four input channels of a pixel, in the lane's order; each lane has loaded its own.
fn input_at(row_base: u32, x: i32, channels: vec4u) -> vec4f {
  var own = input[row_base + u32(clamp(x, 0, i32(IN_WIDTH) - 1)) * IN_CHANNELS + channels.x];
  if (CHECKED) {
    own = select(0.0, own, u32(x) < IN_WIDTH);
  }
  return vec4f(own, quadSwapX(own), quadSwapY(own), quadSwapDiagonal(own));
}

/// Addresses of four neighbouring output channels.
fn columns_at(base: u32, channel: u32, last_channel: u32) -> vec4u {
  if (VECTOR) {
    return base + min(channel, last_channel - 3) + vec4u(0, 1, 2, 3);
  }
  return base + min(channel + vec4u(0, 1, 2, 3), vec4u(last_channel));
}

fn store(at: vec4u, sum: vec4f) {
  gradients[at.x] = sum.x;
  gradients[at.y] = sum.y;
  gradients[at.z] = sum.z;
  gradients[at.w] = sum.w;
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) workgroup: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let tap_y = workgroup.x / BLOCKS;
  let k = (workgroup.x - tap_y * BLOCKS) * ROWS;
  let group = workgroup.y / TILES;
  let tile = workgroup.y - group * TILES;
  let channel = group * GROUP_OUT + (tile * INVOCATIONS + local) * 4 * COLUMNS;
  let last_channel = (group + 1) * GROUP_OUT - 1;
  let has_bias = BIAS & (workgroup.x == 0);
  let lane_k = lane % 4;
  let order = vec4u(lane_k, lane_k ^ 1, lane_k ^ 2, lane_k ^ 3);
  let first_k = group * GROUP_IN;
  let k0 = min(k + 0 + order, vec4u(GROUP_IN - 1));
  let k1 = min(k + 4 + order, vec4u(GROUP_IN - 1));
  let k2 = min(k + 8 + order, vec4u(GROUP_IN - 1));
  let k3 = min(k + 12 + order, vec4u(GROUP_IN - 1));
  var bias_a: vec4f; var bias_b: vec4f;
  var a0_0: vec4f; var b0_0: vec4f;
  var a0_1: vec4f; var b0_1: vec4f;
  var a0_2: vec4f; var b0_2: vec4f;
  var a0_3: vec4f; var b0_3: vec4f;
  var a0_4: vec4f; var b0_4: vec4f;
  var a0_5: vec4f; var b0_5: vec4f;
  var a0_6: vec4f; var b0_6: vec4f;
  var a0_7: vec4f; var b0_7: vec4f;
  var a0_8: vec4f; var b0_8: vec4f;
  var a0_9: vec4f; var b0_9: vec4f;
  var a0_10: vec4f; var b0_10: vec4f;
  var a0_11: vec4f; var b0_11: vec4f;
  var a0_12: vec4f; var b0_12: vec4f;
  var a0_13: vec4f; var b0_13: vec4f;
  var a0_14: vec4f; var b0_14: vec4f;
  var a0_15: vec4f; var b0_15: vec4f;
  var a1_0: vec4f; var b1_0: vec4f;
  var a1_1: vec4f; var b1_1: vec4f;
  var a1_2: vec4f; var b1_2: vec4f;
  var a1_3: vec4f; var b1_3: vec4f;
  var a1_4: vec4f; var b1_4: vec4f;
  var a1_5: vec4f; var b1_5: vec4f;
  var a1_6: vec4f; var b1_6: vec4f;
  var a1_7: vec4f; var b1_7: vec4f;
  var a1_8: vec4f; var b1_8: vec4f;
  var a1_9: vec4f; var b1_9: vec4f;
  var a1_10: vec4f; var b1_10: vec4f;
  var a1_11: vec4f; var b1_11: vec4f;
  var a1_12: vec4f; var b1_12: vec4f;
  var a1_13: vec4f; var b1_13: vec4f;
  var a1_14: vec4f; var b1_14: vec4f;
  var a1_15: vec4f; var b1_15: vec4f;
  var a2_0: vec4f; var b2_0: vec4f;
  var a2_1: vec4f; var b2_1: vec4f;
  var a2_2: vec4f; var b2_2: vec4f;
  var a2_3: vec4f; var b2_3: vec4f;
  var a2_4: vec4f; var b2_4: vec4f;
  var a2_5: vec4f; var b2_5: vec4f;
  var a2_6: vec4f; var b2_6: vec4f;
  var a2_7: vec4f; var b2_7: vec4f;
  var a2_8: vec4f; var b2_8: vec4f;
  var a2_9: vec4f; var b2_9: vec4f;
  var a2_10: vec4f; var b2_10: vec4f;
  var a2_11: vec4f; var b2_11: vec4f;
  var a2_12: vec4f; var b2_12: vec4f;
  var a2_13: vec4f; var b2_13: vec4f;
  var a2_14: vec4f; var b2_14: vec4f;
  var a2_15: vec4f; var b2_15: vec4f;
  let end = min((workgroup.z + 1) * CHUNK, BATCH * OUT_HEIGHT);
  for (var row = workgroup.z * CHUNK; row < end; row++) {
    let image = row / OUT_HEIGHT;
    let at_y = i32((row - image * OUT_HEIGHT) * STRIDE + tap_y) - PADDING;
    let is_inside = u32(at_y) < IN_HEIGHT;
    if (!is_inside & !has_bias) {
      continue;
    }
    let row_base = (image * IN_HEIGHT + u32(clamp(at_y, 0, i32(IN_HEIGHT) - 1))) * IN_WIDTH * IN_CHANNELS + first_k;
    for (var x = 0u; x < OUT_WIDTH; x += 8) {
      let ga0 = mat4x4f(
        gradient_at(row, x + 0, channel, last_channel), gradient_at(row, x + 1, channel, last_channel),
        gradient_at(row, x + 2, channel, last_channel), gradient_at(row, x + 3, channel, last_channel),
      );
      var gb0: mat4x4f;
      if (COLUMNS > 1) {
        gb0 = mat4x4f(
          gradient_at(row, x + 0, channel + 4, last_channel), gradient_at(row, x + 1, channel + 4, last_channel),
          gradient_at(row, x + 2, channel + 4, last_channel), gradient_at(row, x + 3, channel + 4, last_channel),
        );
      }
      let ga1 = mat4x4f(
        gradient_at(row, x + 4, channel, last_channel), gradient_at(row, x + 5, channel, last_channel),
        gradient_at(row, x + 6, channel, last_channel), gradient_at(row, x + 7, channel, last_channel),
      );
      var gb1: mat4x4f;
      if (COLUMNS > 1) {
        gb1 = mat4x4f(
          gradient_at(row, x + 4, channel + 4, last_channel), gradient_at(row, x + 5, channel + 4, last_channel),
          gradient_at(row, x + 6, channel + 4, last_channel), gradient_at(row, x + 7, channel + 4, last_channel),
        );
      }
      if (BIAS) {
        bias_a += ga0[0] + ga0[1] + ga0[2] + ga0[3] + ga1[0] + ga1[1] + ga1[2] + ga1[3];
        bias_b += gb0[0] + gb0[1] + gb0[2] + gb0[3] + gb1[0] + gb1[1] + gb1[2] + gb1[3];
      }
      if (!is_inside) {
        continue;
      }
      let from_x = i32(x * STRIDE) - PADDING;
      if (ROWS > 0) {
        let s0 = input_at(row_base, from_x + 0, k0);
        let s1 = input_at(row_base, from_x + 1, k0);
        let s2 = input_at(row_base, from_x + 2, k0);
        let s3 = input_at(row_base, from_x + 3, k0);
        let s4 = input_at(row_base, from_x + 4, k0);
        let s5 = input_at(row_base, from_x + 5, k0);
        let s6 = input_at(row_base, from_x + 6, k0);
        let s7 = input_at(row_base, from_x + 7, k0);
        let s8 = input_at(row_base, from_x + 8, k0);
        let s9 = input_at(row_base, from_x + 9, k0);
        var s10: vec4f; if (SEEN > 10) { s10 = input_at(row_base, from_x + 10, k0); }
        var s11: vec4f; if (SEEN > 11) { s11 = input_at(row_base, from_x + 11, k0); }
        var s12: vec4f; if (SEEN > 12) { s12 = input_at(row_base, from_x + 12, k0); }
        var s13: vec4f; if (SEEN > 13) { s13 = input_at(row_base, from_x + 13, k0); }
        var s14: vec4f; if (SEEN > 14) { s14 = input_at(row_base, from_x + 14, k0); }
        var s15: vec4f; if (SEEN > 15) { s15 = input_at(row_base, from_x + 15, k0); }
        var s16: vec4f; if (SEEN > 16) { s16 = input_at(row_base, from_x + 16, k0); }
        var m0_0 = transpose(mat4x4f(s0, s1, s2, s3));
        if (STRIDE == 2) { m0_0 = transpose(mat4x4f(s0, s2, s4, s6)); }
        var m0_1 = transpose(mat4x4f(s4, s5, s6, s7));
        if (STRIDE == 2) { m0_1 = transpose(mat4x4f(s8, s10, s12, s14)); }
        a0_0 += ga0 * m0_0[0] + ga1 * m0_1[0]; if (COLUMNS > 1) { b0_0 += gb0 * m0_0[0] + gb1 * m0_1[0]; }
        a0_1 += ga0 * m0_0[1] + ga1 * m0_1[1]; if (COLUMNS > 1) { b0_1 += gb0 * m0_0[1] + gb1 * m0_1[1]; }
        a0_2 += ga0 * m0_0[2] + ga1 * m0_1[2]; if (COLUMNS > 1) { b0_2 += gb0 * m0_0[2] + gb1 * m0_1[2]; }
        a0_3 += ga0 * m0_0[3] + ga1 * m0_1[3]; if (COLUMNS > 1) { b0_3 += gb0 * m0_0[3] + gb1 * m0_1[3]; }
        var m1_0 = transpose(mat4x4f(s1, s2, s3, s4));
        if (STRIDE == 2) { m1_0 = transpose(mat4x4f(s1, s3, s5, s7)); }
        var m1_1 = transpose(mat4x4f(s5, s6, s7, s8));
        if (STRIDE == 2) { m1_1 = transpose(mat4x4f(s9, s11, s13, s15)); }
        a1_0 += ga0 * m1_0[0] + ga1 * m1_1[0]; if (COLUMNS > 1) { b1_0 += gb0 * m1_0[0] + gb1 * m1_1[0]; }
        a1_1 += ga0 * m1_0[1] + ga1 * m1_1[1]; if (COLUMNS > 1) { b1_1 += gb0 * m1_0[1] + gb1 * m1_1[1]; }
        a1_2 += ga0 * m1_0[2] + ga1 * m1_1[2]; if (COLUMNS > 1) { b1_2 += gb0 * m1_0[2] + gb1 * m1_1[2]; }
        a1_3 += ga0 * m1_0[3] + ga1 * m1_1[3]; if (COLUMNS > 1) { b1_3 += gb0 * m1_0[3] + gb1 * m1_1[3]; }
        var m2_0 = transpose(mat4x4f(s2, s3, s4, s5));
        if (STRIDE == 2) { m2_0 = transpose(mat4x4f(s2, s4, s6, s8)); }
        var m2_1 = transpose(mat4x4f(s6, s7, s8, s9));
        if (STRIDE == 2) { m2_1 = transpose(mat4x4f(s10, s12, s14, s16)); }
        a2_0 += ga0 * m2_0[0] + ga1 * m2_1[0]; if (COLUMNS > 1) { b2_0 += gb0 * m2_0[0] + gb1 * m2_1[0]; }
        a2_1 += ga0 * m2_0[1] + ga1 * m2_1[1]; if (COLUMNS > 1) { b2_1 += gb0 * m2_0[1] + gb1 * m2_1[1]; }
        a2_2 += ga0 * m2_0[2] + ga1 * m2_1[2]; if (COLUMNS > 1) { b2_2 += gb0 * m2_0[2] + gb1 * m2_1[2]; }
        a2_3 += ga0 * m2_0[3] + ga1 * m2_1[3]; if (COLUMNS > 1) { b2_3 += gb0 * m2_0[3] + gb1 * m2_1[3]; }
      }
      if (ROWS > 4) {
        let s0 = input_at(row_base, from_x + 0, k1);
        let s1 = input_at(row_base, from_x + 1, k1);
        let s2 = input_at(row_base, from_x + 2, k1);
        let s3 = input_at(row_base, from_x + 3, k1);
        let s4 = input_at(row_base, from_x + 4, k1);
        let s5 = input_at(row_base, from_x + 5, k1);
        let s6 = input_at(row_base, from_x + 6, k1);
        let s7 = input_at(row_base, from_x + 7, k1);
        let s8 = input_at(row_base, from_x + 8, k1);
        let s9 = input_at(row_base, from_x + 9, k1);
        var s10: vec4f; if (SEEN > 10) { s10 = input_at(row_base, from_x + 10, k1); }
        var s11: vec4f; if (SEEN > 11) { s11 = input_at(row_base, from_x + 11, k1); }
        var s12: vec4f; if (SEEN > 12) { s12 = input_at(row_base, from_x + 12, k1); }
        var s13: vec4f; if (SEEN > 13) { s13 = input_at(row_base, from_x + 13, k1); }
        var s14: vec4f; if (SEEN > 14) { s14 = input_at(row_base, from_x + 14, k1); }
        var s15: vec4f; if (SEEN > 15) { s15 = input_at(row_base, from_x + 15, k1); }
        var s16: vec4f; if (SEEN > 16) { s16 = input_at(row_base, from_x + 16, k1); }
        var m0_0 = transpose(mat4x4f(s0, s1, s2, s3));
        if (STRIDE == 2) { m0_0 = transpose(mat4x4f(s0, s2, s4, s6)); }
        var m0_1 = transpose(mat4x4f(s4, s5, s6, s7));
        if (STRIDE == 2) { m0_1 = transpose(mat4x4f(s8, s10, s12, s14)); }
        a0_4 += ga0 * m0_0[0] + ga1 * m0_1[0]; if (COLUMNS > 1) { b0_4 += gb0 * m0_0[0] + gb1 * m0_1[0]; }
        a0_5 += ga0 * m0_0[1] + ga1 * m0_1[1]; if (COLUMNS > 1) { b0_5 += gb0 * m0_0[1] + gb1 * m0_1[1]; }
        a0_6 += ga0 * m0_0[2] + ga1 * m0_1[2]; if (COLUMNS > 1) { b0_6 += gb0 * m0_0[2] + gb1 * m0_1[2]; }
        a0_7 += ga0 * m0_0[3] + ga1 * m0_1[3]; if (COLUMNS > 1) { b0_7 += gb0 * m0_0[3] + gb1 * m0_1[3]; }
        var m1_0 = transpose(mat4x4f(s1, s2, s3, s4));
        if (STRIDE == 2) { m1_0 = transpose(mat4x4f(s1, s3, s5, s7)); }
        var m1_1 = transpose(mat4x4f(s5, s6, s7, s8));
        if (STRIDE == 2) { m1_1 = transpose(mat4x4f(s9, s11, s13, s15)); }
        a1_4 += ga0 * m1_0[0] + ga1 * m1_1[0]; if (COLUMNS > 1) { b1_4 += gb0 * m1_0[0] + gb1 * m1_1[0]; }
        a1_5 += ga0 * m1_0[1] + ga1 * m1_1[1]; if (COLUMNS > 1) { b1_5 += gb0 * m1_0[1] + gb1 * m1_1[1]; }
        a1_6 += ga0 * m1_0[2] + ga1 * m1_1[2]; if (COLUMNS > 1) { b1_6 += gb0 * m1_0[2] + gb1 * m1_1[2]; }
        a1_7 += ga0 * m1_0[3] + ga1 * m1_1[3]; if (COLUMNS > 1) { b1_7 += gb0 * m1_0[3] + gb1 * m1_1[3]; }
        var m2_0 = transpose(mat4x4f(s2, s3, s4, s5));
        if (STRIDE == 2) { m2_0 = transpose(mat4x4f(s2, s4, s6, s8)); }
        var m2_1 = transpose(mat4x4f(s6, s7, s8, s9));
        if (STRIDE == 2) { m2_1 = transpose(mat4x4f(s10, s12, s14, s16)); }
        a2_4 += ga0 * m2_0[0] + ga1 * m2_1[0]; if (COLUMNS > 1) { b2_4 += gb0 * m2_0[0] + gb1 * m2_1[0]; }
        a2_5 += ga0 * m2_0[1] + ga1 * m2_1[1]; if (COLUMNS > 1) { b2_5 += gb0 * m2_0[1] + gb1 * m2_1[1]; }
        a2_6 += ga0 * m2_0[2] + ga1 * m2_1[2]; if (COLUMNS > 1) { b2_6 += gb0 * m2_0[2] + gb1 * m2_1[2]; }
        a2_7 += ga0 * m2_0[3] + ga1 * m2_1[3]; if (COLUMNS > 1) { b2_7 += gb0 * m2_0[3] + gb1 * m2_1[3]; }
      }
      if (ROWS > 8) {
        let s0 = input_at(row_base, from_x + 0, k2);
        let s1 = input_at(row_base, from_x + 1, k2);
        let s2 = input_at(row_base, from_x + 2, k2);
        let s3 = input_at(row_base, from_x + 3, k2);
        let s4 = input_at(row_base, from_x + 4, k2);
        let s5 = input_at(row_base, from_x + 5, k2);
        let s6 = input_at(row_base, from_x + 6, k2);
        let s7 = input_at(row_base, from_x + 7, k2);
        let s8 = input_at(row_base, from_x + 8, k2);
        let s9 = input_at(row_base, from_x + 9, k2);
        var s10: vec4f; if (SEEN > 10) { s10 = input_at(row_base, from_x + 10, k2); }
        var s11: vec4f; if (SEEN > 11) { s11 = input_at(row_base, from_x + 11, k2); }
        var s12: vec4f; if (SEEN > 12) { s12 = input_at(row_base, from_x + 12, k2); }
        var s13: vec4f; if (SEEN > 13) { s13 = input_at(row_base, from_x + 13, k2); }
        var s14: vec4f; if (SEEN > 14) { s14 = input_at(row_base, from_x + 14, k2); }
        var s15: vec4f; if (SEEN > 15) { s15 = input_at(row_base, from_x + 15, k2); }
        var s16: vec4f; if (SEEN > 16) { s16 = input_at(row_base, from_x + 16, k2); }
        var m0_0 = transpose(mat4x4f(s0, s1, s2, s3));
        if (STRIDE == 2) { m0_0 = transpose(mat4x4f(s0, s2, s4, s6)); }
        var m0_1 = transpose(mat4x4f(s4, s5, s6, s7));
        if (STRIDE == 2) { m0_1 = transpose(mat4x4f(s8, s10, s12, s14)); }
        a0_8 += ga0 * m0_0[0] + ga1 * m0_1[0]; if (COLUMNS > 1) { b0_8 += gb0 * m0_0[0] + gb1 * m0_1[0]; }
        a0_9 += ga0 * m0_0[1] + ga1 * m0_1[1]; if (COLUMNS > 1) { b0_9 += gb0 * m0_0[1] + gb1 * m0_1[1]; }
        a0_10 += ga0 * m0_0[2] + ga1 * m0_1[2]; if (COLUMNS > 1) { b0_10 += gb0 * m0_0[2] + gb1 * m0_1[2]; }
        a0_11 += ga0 * m0_0[3] + ga1 * m0_1[3]; if (COLUMNS > 1) { b0_11 += gb0 * m0_0[3] + gb1 * m0_1[3]; }
        var m1_0 = transpose(mat4x4f(s1, s2, s3, s4));
        if (STRIDE == 2) { m1_0 = transpose(mat4x4f(s1, s3, s5, s7)); }
        var m1_1 = transpose(mat4x4f(s5, s6, s7, s8));
        if (STRIDE == 2) { m1_1 = transpose(mat4x4f(s9, s11, s13, s15)); }
        a1_8 += ga0 * m1_0[0] + ga1 * m1_1[0]; if (COLUMNS > 1) { b1_8 += gb0 * m1_0[0] + gb1 * m1_1[0]; }
        a1_9 += ga0 * m1_0[1] + ga1 * m1_1[1]; if (COLUMNS > 1) { b1_9 += gb0 * m1_0[1] + gb1 * m1_1[1]; }
        a1_10 += ga0 * m1_0[2] + ga1 * m1_1[2]; if (COLUMNS > 1) { b1_10 += gb0 * m1_0[2] + gb1 * m1_1[2]; }
        a1_11 += ga0 * m1_0[3] + ga1 * m1_1[3]; if (COLUMNS > 1) { b1_11 += gb0 * m1_0[3] + gb1 * m1_1[3]; }
        var m2_0 = transpose(mat4x4f(s2, s3, s4, s5));
        if (STRIDE == 2) { m2_0 = transpose(mat4x4f(s2, s4, s6, s8)); }
        var m2_1 = transpose(mat4x4f(s6, s7, s8, s9));
        if (STRIDE == 2) { m2_1 = transpose(mat4x4f(s10, s12, s14, s16)); }
        a2_8 += ga0 * m2_0[0] + ga1 * m2_1[0]; if (COLUMNS > 1) { b2_8 += gb0 * m2_0[0] + gb1 * m2_1[0]; }
        a2_9 += ga0 * m2_0[1] + ga1 * m2_1[1]; if (COLUMNS > 1) { b2_9 += gb0 * m2_0[1] + gb1 * m2_1[1]; }
        a2_10 += ga0 * m2_0[2] + ga1 * m2_1[2]; if (COLUMNS > 1) { b2_10 += gb0 * m2_0[2] + gb1 * m2_1[2]; }
        a2_11 += ga0 * m2_0[3] + ga1 * m2_1[3]; if (COLUMNS > 1) { b2_11 += gb0 * m2_0[3] + gb1 * m2_1[3]; }
      }
      if (ROWS > 12) {
        let s0 = input_at(row_base, from_x + 0, k3);
        let s1 = input_at(row_base, from_x + 1, k3);
        let s2 = input_at(row_base, from_x + 2, k3);
        let s3 = input_at(row_base, from_x + 3, k3);
        let s4 = input_at(row_base, from_x + 4, k3);
        let s5 = input_at(row_base, from_x + 5, k3);
        let s6 = input_at(row_base, from_x + 6, k3);
        let s7 = input_at(row_base, from_x + 7, k3);
        let s8 = input_at(row_base, from_x + 8, k3);
        let s9 = input_at(row_base, from_x + 9, k3);
        var s10: vec4f; if (SEEN > 10) { s10 = input_at(row_base, from_x + 10, k3); }
        var s11: vec4f; if (SEEN > 11) { s11 = input_at(row_base, from_x + 11, k3); }
        var s12: vec4f; if (SEEN > 12) { s12 = input_at(row_base, from_x + 12, k3); }
        var s13: vec4f; if (SEEN > 13) { s13 = input_at(row_base, from_x + 13, k3); }
        var s14: vec4f; if (SEEN > 14) { s14 = input_at(row_base, from_x + 14, k3); }
        var s15: vec4f; if (SEEN > 15) { s15 = input_at(row_base, from_x + 15, k3); }
        var s16: vec4f; if (SEEN > 16) { s16 = input_at(row_base, from_x + 16, k3); }
        var m0_0 = transpose(mat4x4f(s0, s1, s2, s3));
        if (STRIDE == 2) { m0_0 = transpose(mat4x4f(s0, s2, s4, s6)); }
        var m0_1 = transpose(mat4x4f(s4, s5, s6, s7));
        if (STRIDE == 2) { m0_1 = transpose(mat4x4f(s8, s10, s12, s14)); }
        a0_12 += ga0 * m0_0[0] + ga1 * m0_1[0]; if (COLUMNS > 1) { b0_12 += gb0 * m0_0[0] + gb1 * m0_1[0]; }
        a0_13 += ga0 * m0_0[1] + ga1 * m0_1[1]; if (COLUMNS > 1) { b0_13 += gb0 * m0_0[1] + gb1 * m0_1[1]; }
        a0_14 += ga0 * m0_0[2] + ga1 * m0_1[2]; if (COLUMNS > 1) { b0_14 += gb0 * m0_0[2] + gb1 * m0_1[2]; }
        a0_15 += ga0 * m0_0[3] + ga1 * m0_1[3]; if (COLUMNS > 1) { b0_15 += gb0 * m0_0[3] + gb1 * m0_1[3]; }
        var m1_0 = transpose(mat4x4f(s1, s2, s3, s4));
        if (STRIDE == 2) { m1_0 = transpose(mat4x4f(s1, s3, s5, s7)); }
        var m1_1 = transpose(mat4x4f(s5, s6, s7, s8));
        if (STRIDE == 2) { m1_1 = transpose(mat4x4f(s9, s11, s13, s15)); }
        a1_12 += ga0 * m1_0[0] + ga1 * m1_1[0]; if (COLUMNS > 1) { b1_12 += gb0 * m1_0[0] + gb1 * m1_1[0]; }
        a1_13 += ga0 * m1_0[1] + ga1 * m1_1[1]; if (COLUMNS > 1) { b1_13 += gb0 * m1_0[1] + gb1 * m1_1[1]; }
        a1_14 += ga0 * m1_0[2] + ga1 * m1_1[2]; if (COLUMNS > 1) { b1_14 += gb0 * m1_0[2] + gb1 * m1_1[2]; }
        a1_15 += ga0 * m1_0[3] + ga1 * m1_1[3]; if (COLUMNS > 1) { b1_15 += gb0 * m1_0[3] + gb1 * m1_1[3]; }
        var m2_0 = transpose(mat4x4f(s2, s3, s4, s5));
        if (STRIDE == 2) { m2_0 = transpose(mat4x4f(s2, s4, s6, s8)); }
        var m2_1 = transpose(mat4x4f(s6, s7, s8, s9));
        if (STRIDE == 2) { m2_1 = transpose(mat4x4f(s10, s12, s14, s16)); }
        a2_12 += ga0 * m2_0[0] + ga1 * m2_1[0]; if (COLUMNS > 1) { b2_12 += gb0 * m2_0[0] + gb1 * m2_1[0]; }
        a2_13 += ga0 * m2_0[1] + ga1 * m2_1[1]; if (COLUMNS > 1) { b2_13 += gb0 * m2_0[1] + gb1 * m2_1[1]; }
        a2_14 += ga0 * m2_0[2] + ga1 * m2_1[2]; if (COLUMNS > 1) { b2_14 += gb0 * m2_0[2] + gb1 * m2_1[2]; }
        a2_15 += ga0 * m2_0[3] + ga1 * m2_1[3]; if (COLUMNS > 1) { b2_15 += gb0 * m2_0[3] + gb1 * m2_1[3]; }
      }
    }
  }
  let split = workgroup.z * SPLIT_ELEMENTS;
  var tile_a = array<vec4f, 48>(
    a0_0, a0_1, a0_2, a0_3, a0_4, a0_5, a0_6, a0_7, a0_8, a0_9, a0_10, a0_11, a0_12, a0_13, a0_14, a0_15,
    a1_0, a1_1, a1_2, a1_3, a1_4, a1_5, a1_6, a1_7, a1_8, a1_9, a1_10, a1_11, a1_12, a1_13, a1_14, a1_15,
    a2_0, a2_1, a2_2, a2_3, a2_4, a2_5, a2_6, a2_7, a2_8, a2_9, a2_10, a2_11, a2_12, a2_13, a2_14, a2_15,
  );
  var tile_b = array<vec4f, 48>(
    b0_0, b0_1, b0_2, b0_3, b0_4, b0_5, b0_6, b0_7, b0_8, b0_9, b0_10, b0_11, b0_12, b0_13, b0_14, b0_15,
    b1_0, b1_1, b1_2, b1_3, b1_4, b1_5, b1_6, b1_7, b1_8, b1_9, b1_10, b1_11, b1_12, b1_13, b1_14, b1_15,
    b2_0, b2_1, b2_2, b2_3, b2_4, b2_5, b2_6, b2_7, b2_8, b2_9, b2_10, b2_11, b2_12, b2_13, b2_14, b2_15,
  );
  var rows = array<vec4u, 4>(k0, k1, k2, k3);
  for (var tap_x = 0u; tap_x < 3; tap_x++) {
    for (var r = 0u; r < ROWS; r++) {
      let base = split + WEIGHTS_OFFSET + ((tap_y * 3 + tap_x) * GROUP_IN + rows[r / 4][r % 4]) * OUT_CHANNELS;
      store(columns_at(base, channel, last_channel), tile_a[tap_x * 16 + r]);
      if (COLUMNS > 1) {
        store(columns_at(base, channel + 4, last_channel), tile_b[tap_x * 16 + r]);
      }
    }
  }
  if (has_bias) {
    store(columns_at(split + BIAS_OFFSET, channel, last_channel), bias_a);
    if (COLUMNS > 1) {
      store(columns_at(split + BIAS_OFFSET, channel + 4, last_channel), bias_b);
    }
  }
}
