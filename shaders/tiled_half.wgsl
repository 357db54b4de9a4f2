// Convolution with tiles in workgroup memory, for real GPUs; operands in f16, sums in f32.
//
// The implicit GEMM behind a convolution, a dense layer and both of their data gradients, as in convolve.wgsl:
//
//   output[pixel, channel] = sum over k of window[pixel, k] * weights[k, channel]
//
//   input   [batch, IN_HEIGHT, IN_WIDTH, IN_CHANNELS]
//   weights [SIZE * SIZE * GROUP_IN, OUT_CHANNELS], or, where TRANSPOSED, the forward pass's weights
//           [SIZE * SIZE, GROUP_OUT, IN_CHANNELS] read with their taps in reverse
//   bias    [OUT_CHANNELS]
//   undone  as output: what the layer before put out, whose activation's derivative the sum is multiplied by
//   output  [batch, OUT_HEIGHT, OUT_WIDTH, OUT_CHANNELS]
//
// A workgroup of 16 x 16 invocations computes 64 * COLUMNS pixels by 16 * ROWS channels. It brings STEP k of both
// operands into workgroup memory at a time; each invocation keeps ROWS channels of 4 * COLUMNS pixels in registers.
// Barriers are dear in software, where this kernel is not used.
// No invocation returns early: one beyond the edge helps to bring tiles and stores nothing.

enable f16;

override PIXELS: u32 = 1;
override OUT_HEIGHT: u32 = 1;
override OUT_WIDTH: u32 = 1;
override IN_HEIGHT: u32 = 1;
override IN_WIDTH: u32 = 1;
override IN_CHANNELS: u32 = 1;
override OUT_CHANNELS: u32 = 1;
override SIZE: u32 = 1;
override STRIDE: u32 = 1;
/// Negative where a data gradient reads inside the image only.
override PADDING: i32 = 0;
override DILATION: u32 = 1;
override GROUPS: u32 = 1;
/// The input is read as if UPSAMPLING - 1 zeros stood between its pixels (the data gradient of a strided convolution).
override UPSAMPLING: u32 = 1;
override TRANSPOSED: bool = false;
override BIAS: bool = false;
/// 0 none, 1 relu, 2 leaky relu with SLOPE below zero, 3 tanh, 4 sigmoid; UNDO likewise.
override ACTIVATION: u32 = 0;
override UNDO: u32 = 0;
override SLOPE: f32 = 0;
override ACCUMULATE: bool = false;

/// The register tile: 4 or 8 channels by 1 or 2 columns (of 4 pixels).
override ROWS: u32 = 8;
override COLUMNS: u32 = 2;
override INVOCATIONS: u32 = 256;

override SIDE: u32 = 16;
override STEP: u32 = 16;
override GROUP_IN: u32 = IN_CHANNELS / GROUPS;
override GROUP_OUT: u32 = OUT_CHANNELS / GROUPS;
/// Vectors of 4 in a tile's row: of pixels, of channels.
override PIXEL_VECTORS: u32 = SIDE * COLUMNS;
override CHANNEL_VECTORS: u32 = SIDE * ROWS / 4;
/// Tiles that cover the output channels of a group.
override TILES: u32 = (GROUP_OUT + SIDE * ROWS - 1) / (SIDE * ROWS);
override DEPTH: u32 = SIZE * SIZE * GROUP_IN;
override VECTOR: bool = GROUP_IN % 4 == 0;
override WEIGHT_VECTOR: bool = !TRANSPOSED && OUT_CHANNELS % 4 == 0 && GROUP_OUT % 4 == 0;
override WINDOW_TILE: u32 = STEP * PIXEL_VECTORS;
override WEIGHTS_TILE: u32 = STEP * CHANNEL_VECTORS;

@group(0) @binding(0) var<storage, read> input: array<f16>;
@group(0) @binding(1) var<storage, read> input_vectors: array<vec4h>;
@group(0) @binding(2) var<storage, read> weights: array<f16>;
@group(0) @binding(3) var<storage, read> weight_vectors: array<vec4h>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read> undone: array<f32>;
@group(0) @binding(6) var<storage, read_write> output: array<f32>;

var<workgroup> window_tile: array<vec4h, WINDOW_TILE>;
var<workgroup> weights_tile: array<vec4h, WEIGHTS_TILE>;

/// The output channels that an invocation may compute: those of its group.
struct Group {
  index: u32,
  last_channel: u32,
}

/// Where window[pixel, k] lies, and whether it lies inside the image.
struct Place {
  at: u32,
  is_inside: bool,
}

fn place(pixel: u32, k: u32, group: Group) -> Place {
  let own = min(pixel, PIXELS - 1);
  let row = own / OUT_WIDTH;
  let image = row / OUT_HEIGHT;
  let depth = min(k, DEPTH - 1);
  let tap = depth / GROUP_IN;
  let tap_y = tap / SIZE;
  let up_y = u32(i32((row - image * OUT_HEIGHT) * STRIDE + tap_y * DILATION) - PADDING);
  let up_x = u32(i32((own - row * OUT_WIDTH) * STRIDE + (tap - tap_y * SIZE) * DILATION) - PADDING);
  let y = up_y / UPSAMPLING;
  let x = up_x / UPSAMPLING;
  let is_whole = (y * UPSAMPLING == up_y) & (x * UPSAMPLING == up_x);
  let is_inside = (y < IN_HEIGHT) & (x < IN_WIDTH) & is_whole & (k < DEPTH);
  let channel = group.index * GROUP_IN + depth - tap * GROUP_IN;
  return Place(select(0u, ((image * IN_HEIGHT + y) * IN_WIDTH + x) * IN_CHANNELS + channel, is_inside), is_inside);
}

fn window_element(pixel: u32, k: u32, group: Group) -> f16 {
  let found = place(pixel, k, group);
  return select(f16(0), input[found.at], found.is_inside);
}

/// window[pixel, k .. k + 3].
fn window_vector(pixel: u32, k: u32, group: Group) -> vec4h {
  let found = place(pixel, k, group);
  return select(vec4h(), input_vectors[found.at / 4], found.is_inside);
}

fn bring_windows(first_pixel: u32, first_k: u32, group: Group, local: u32) {
  if (VECTOR) {
    for (var item = local; item < WINDOW_TILE / 4; item += INVOCATIONS) {
      let column = item / (STEP / 4);
      let k = (item - column * (STEP / 4)) * 4;
      let pixel = first_pixel + column * 4;
      let rows = transpose(mat4x4<f16>(
        window_vector(pixel, first_k + k, group), window_vector(pixel + 1, first_k + k, group),
        window_vector(pixel + 2, first_k + k, group), window_vector(pixel + 3, first_k + k, group),
      ));
      window_tile[k * PIXEL_VECTORS + column] = rows[0];
      window_tile[(k + 1) * PIXEL_VECTORS + column] = rows[1];
      window_tile[(k + 2) * PIXEL_VECTORS + column] = rows[2];
      window_tile[(k + 3) * PIXEL_VECTORS + column] = rows[3];
    }
    return;
  }
  for (var item = local; item < WINDOW_TILE; item += INVOCATIONS) {
    let column = item / STEP;
    let k = item - column * STEP;
    let pixel = first_pixel + column * 4;
    window_tile[k * PIXEL_VECTORS + column] = vec4h(
      window_element(pixel, first_k + k, group), window_element(pixel + 1, first_k + k, group),
      window_element(pixel + 2, first_k + k, group), window_element(pixel + 3, first_k + k, group),
    );
  }
}

/// Address of weights[k, channel 0].
fn weights_offset(k: u32, group: Group) -> u32 {
  let depth = min(k, DEPTH - 1);
  if (!TRANSPOSED) {
    return depth * OUT_CHANNELS;
  }
  // The rows of a transposed matrix count from the group's first channel.
  let first = group.index * (GROUP_IN - GROUP_OUT * IN_CHANNELS);
  let tap = depth / GROUP_IN;
  return first + (SIZE * SIZE - 1 - tap) * GROUP_OUT * IN_CHANNELS + depth - tap * GROUP_IN;
}

fn bring_weights(first_channel: u32, first_k: u32, group: Group, local: u32) {
  for (var item = local; item < WEIGHTS_TILE; item += INVOCATIONS) {
    // Neighbouring invocations read neighbouring elements: channels, or k of a transposed matrix.
    let column = select(item % CHANNEL_VECTORS, item / STEP, TRANSPOSED);
    let k = select(item / CHANNEL_VECTORS, item % STEP, TRANSPOSED);
    let offset = weights_offset(first_k + k, group);
    let channel = first_channel + column * 4;
    var values: vec4h;
    if (WEIGHT_VECTOR) {
      values = weight_vectors[(offset + min(channel, group.last_channel - 3)) / 4];
    } else {
      let rows = min(channel + vec4u(0, 1, 2, 3), vec4u(group.last_channel)) * select(1u, IN_CHANNELS, TRANSPOSED) + offset;
      values = vec4h(weights[rows.x], weights[rows.y], weights[rows.z], weights[rows.w]);
    }
    weights_tile[k * CHANNEL_VECTORS + column] = select(vec4h(), values, first_k + k < DEPTH);
  }
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

fn store_element(at: u32, sum: f32) {
  var value = sum;
  if (ACCUMULATE) {
    value += output[at];
  }
  if (UNDO > 0) {
    value *= derivative(undone[at]);
  }
  output[at] = activated(value);
}

fn store(pixel: u32, channel: u32, group: Group, sum: vec4f) {
  if (channel > group.last_channel) {
    return;
  }
  for (var i = 0u; i < 4; i++) {
    if (pixel + i < PIXELS) {
      store_element((pixel + i) * OUT_CHANNELS + channel, sum[i]);
    }
  }
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let first_pixel = (workgroup.x + workgroup.z * workgroups.x) * SIDE * 4 * COLUMNS;
  let group_index = workgroup.y / TILES;
  let first_channel = group_index * GROUP_OUT + (workgroup.y - group_index * TILES) * SIDE * ROWS;
  let group = Group(group_index, (group_index + 1) * GROUP_OUT - 1);
  let column = local % SIDE;
  let row = local / SIDE;
  let channel = first_channel + row * ROWS;
  var a0 = start(channel + 0, group); var b0 = a0;
  var a1 = start(channel + 1, group); var b1 = a1;
  var a2 = start(channel + 2, group); var b2 = a2;
  var a3 = start(channel + 3, group); var b3 = a3;
  var a4 = start(channel + 4, group); var b4 = a4;
  var a5 = start(channel + 5, group); var b5 = a5;
  var a6 = start(channel + 6, group); var b6 = a6;
  var a7 = start(channel + 7, group); var b7 = a7;
  for (var k = 0u; k < DEPTH; k += STEP) {
    bring_windows(first_pixel, k, group, local);
    bring_weights(first_channel, k, group, local);
    workgroupBarrier();
    for (var step = 0u; step < STEP; step++) {
      let p = vec4f(window_tile[step * PIXEL_VECTORS + column]);
      var q: vec4f;
      if (COLUMNS > 1) { q = vec4f(window_tile[step * PIXEL_VECTORS + SIDE + column]); }
      let weights_row = step * CHANNEL_VECTORS + row * (ROWS / 4);
      if (ROWS > 0) { let w = f32(weights_tile[weights_row + 0][0]); a0 += p * w; if (COLUMNS > 1) { b0 += q * w; } }
      if (ROWS > 1) { let w = f32(weights_tile[weights_row + 0][1]); a1 += p * w; if (COLUMNS > 1) { b1 += q * w; } }
      if (ROWS > 2) { let w = f32(weights_tile[weights_row + 0][2]); a2 += p * w; if (COLUMNS > 1) { b2 += q * w; } }
      if (ROWS > 3) { let w = f32(weights_tile[weights_row + 0][3]); a3 += p * w; if (COLUMNS > 1) { b3 += q * w; } }
      if (ROWS > 4) { let w = f32(weights_tile[weights_row + 1][0]); a4 += p * w; if (COLUMNS > 1) { b4 += q * w; } }
      if (ROWS > 5) { let w = f32(weights_tile[weights_row + 1][1]); a5 += p * w; if (COLUMNS > 1) { b5 += q * w; } }
      if (ROWS > 6) { let w = f32(weights_tile[weights_row + 1][2]); a6 += p * w; if (COLUMNS > 1) { b6 += q * w; } }
      if (ROWS > 7) { let w = f32(weights_tile[weights_row + 1][3]); a7 += p * w; if (COLUMNS > 1) { b7 += q * w; } }
    }
    workgroupBarrier();
  }
  let pixel = first_pixel + column * 4;
  var tile_a = array<vec4f, 8>(a0, a1, a2, a3, a4, a5, a6, a7);
  var tile_b = array<vec4f, 8>(b0, b1, b2, b3, b4, b5, b6, b7);
  for (var r = 0u; r < ROWS; r++) {
    store(pixel, channel + r, group, tile_a[r]);
    if (COLUMNS > 1) {
      store(pixel + SIDE * 4, channel + r, group, tile_b[r]);
    }
  }
}
