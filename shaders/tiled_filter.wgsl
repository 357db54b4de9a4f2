// Filter gradient with tiles in workgroup memory, for real GPUs.
//
// Gradients of the weights and the bias of a convolution or a dense layer, as one GEMM over the pixels:
//
//   gradient[k, channel] = sum over pixels of window[pixel, k] * output_gradient[pixel, channel]
//
//   input           [batch, IN_HEIGHT, IN_WIDTH, IN_CHANNELS]
//   output_gradient [batch, OUT_HEIGHT, OUT_WIDTH, OUT_CHANNELS]
//   gradients       weights [SIZE * SIZE * GROUP_IN, OUT_CHANNELS] from WEIGHTS_OFFSET on, bias from BIAS_OFFSET on
//
// The bias, where there is one, is one more row of weights, k = DEPTH, whose input is always 1. A workgroup of 16 x 16
// invocations computes 64 * COLUMNS rows by 16 * ROWS channels over a chunk of CHUNK pixels, and writes its own copy
// SPLIT_ELEMENTS further on; sum_partials.wgsl adds the copies. It brings STEP pixels of both operands into workgroup
// memory at a time. Barriers are dear in software, where this kernel is not used.

override PIXELS: u32 = 1;
override OUT_HEIGHT: u32 = 1;
override OUT_WIDTH: u32 = 1;
override IN_HEIGHT: u32 = 1;
override IN_WIDTH: u32 = 1;
override IN_CHANNELS: u32 = 1;
override OUT_CHANNELS: u32 = 1;
override SIZE: u32 = 1;
override STRIDE: u32 = 1;
override PADDING: u32 = 0;
override DILATION: u32 = 1;
override GROUPS: u32 = 1;
override BIAS: bool = false;
/// Pixels per workgroup in z.
override CHUNK: u32 = 4;
override SPLIT_ELEMENTS: u32 = 0;
override WEIGHTS_OFFSET: u32 = 0;
override BIAS_OFFSET: u32 = 0;

/// The register tile: 4 or 8 channels by 1 or 2 columns (of 4 k).
override ROWS: u32 = 8;
override COLUMNS: u32 = 2;
override INVOCATIONS: u32 = 256;

override SIDE: u32 = 16;
override STEP: u32 = 16;
override GROUP_IN: u32 = IN_CHANNELS / GROUPS;
override GROUP_OUT: u32 = OUT_CHANNELS / GROUPS;
/// Vectors of 4 in a tile's row: of k, of channels.
override K_VECTORS: u32 = SIDE * COLUMNS;
override CHANNEL_VECTORS: u32 = SIDE * ROWS / 4;
/// Tiles that cover the output channels of a group.
override TILES: u32 = (GROUP_OUT + SIDE * ROWS - 1) / (SIDE * ROWS);
override DEPTH: u32 = SIZE * SIZE * GROUP_IN;
override VECTOR: bool = GROUP_IN % 4 == 0;
override GRADIENT_VECTOR: bool = OUT_CHANNELS % 4 == 0 && GROUP_OUT % 4 == 0;
override WINDOW_TILE: u32 = STEP * K_VECTORS;
override GRADIENT_TILE: u32 = STEP * CHANNEL_VECTORS;

@group(0) @binding(0) var<storage, read> input: array<f32>;
@group(0) @binding(1) var<storage, read> input_vectors: array<vec4f>;
@group(0) @binding(2) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(3) var<storage, read> output_gradient_vectors: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> gradients: array<f32>;

var<workgroup> window_tile: array<vec4f, WINDOW_TILE>;
var<workgroup> weights_tile: array<vec4f, GRADIENT_TILE>;

/// Where window[pixel, k] lies, and whether it lies inside the image.
struct Place {
  at: u32,
  is_inside: bool,
}

fn place(pixel: u32, k: u32, group: u32) -> Place {
  let row = pixel / OUT_WIDTH;
  let image = row / OUT_HEIGHT;
  let tap = k / GROUP_IN;
  let tap_y = tap / SIZE;
  let y = u32(i32((row - image * OUT_HEIGHT) * STRIDE + tap_y * DILATION) - i32(PADDING));
  let x = u32(i32((pixel - row * OUT_WIDTH) * STRIDE + (tap - tap_y * SIZE) * DILATION) - i32(PADDING));
  let is_inside = (y < IN_HEIGHT) & (x < IN_WIDTH) & (pixel < PIXELS) & (k < DEPTH);
  let channel = group * GROUP_IN + k - tap * GROUP_IN;
  return Place(select(0u, ((image * IN_HEIGHT + y) * IN_WIDTH + x) * IN_CHANNELS + channel, is_inside), is_inside);
}

fn window_element(pixel: u32, k: u32, group: u32) -> f32 {
  let found = place(pixel, k, group);
  let value = select(f32(0), input[found.at], found.is_inside);
  return select(value, f32(1), BIAS & (k == DEPTH));
}

/// window[pixel, k .. k + 3].
fn window_vector(pixel: u32, k: u32, group: u32) -> vec4f {
  if (VECTOR) {
    let found = place(pixel, k, group);
    let value = select(vec4f(), input_vectors[found.at / 4], found.is_inside);
    return select(value, vec4f(1, 0, 0, 0), BIAS & (k == DEPTH));
  }
  return vec4f(
    window_element(pixel, k, group), window_element(pixel, k + 1, group),
    window_element(pixel, k + 2, group), window_element(pixel, k + 3, group),
  );
}

fn bring_windows(first_pixel: u32, first_k: u32, group: u32, local: u32) {
  for (var item = local; item < WINDOW_TILE; item += INVOCATIONS) {
    let step = item / K_VECTORS;
    window_tile[item] = window_vector(first_pixel + step, first_k + (item - step * K_VECTORS) * 4, group);
  }
}

fn bring_gradients(first_pixel: u32, end: u32, first_channel: u32, last_channel: u32, local: u32) {
  for (var item = local; item < GRADIENT_TILE; item += INVOCATIONS) {
    let step = item / CHANNEL_VECTORS;
    let channel = first_channel + (item - step * CHANNEL_VECTORS) * 4;
    let pixel = first_pixel + step;
    let base = min(pixel, PIXELS - 1) * OUT_CHANNELS;
    var values: vec4f;
    if (GRADIENT_VECTOR) {
      values = output_gradient_vectors[(base + min(channel, last_channel - 3)) / 4];
    } else {
      let at = base + min(channel + vec4u(0, 1, 2, 3), vec4u(last_channel));
      values = vec4f(output_gradient[at.x], output_gradient[at.y], output_gradient[at.z], output_gradient[at.w]);
    }
    weights_tile[item] = select(vec4f(), values, pixel < end);
  }
}

fn store(split: u32, k: u32, channel: u32, last_channel: u32, sum: vec4f) {
  if (channel > last_channel) {
    return;
  }
  for (var i = 0u; i < 4; i++) {
    let row = k + i;
    if (row < DEPTH) {
      gradients[split * SPLIT_ELEMENTS + WEIGHTS_OFFSET + row * OUT_CHANNELS + channel] = sum[i];
    } else if (BIAS & (row == DEPTH)) {
      gradients[split * SPLIT_ELEMENTS + BIAS_OFFSET + channel] = sum[i];
    }
  }
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) workgroup: vec3u) {
  let first_k = workgroup.x * SIDE * 4 * COLUMNS;
  let group = workgroup.y / TILES;
  let first_channel = group * GROUP_OUT + (workgroup.y - group * TILES) * SIDE * ROWS;
  let last_channel = (group + 1) * GROUP_OUT - 1;
  let column = local % SIDE;
  let row = local / SIDE;
  let channel = first_channel + row * ROWS;
  let end = min((workgroup.z + 1) * CHUNK, PIXELS);
  var a0: vec4f; var b0: vec4f;
  var a1: vec4f; var b1: vec4f;
  var a2: vec4f; var b2: vec4f;
  var a3: vec4f; var b3: vec4f;
  var a4: vec4f; var b4: vec4f;
  var a5: vec4f; var b5: vec4f;
  var a6: vec4f; var b6: vec4f;
  var a7: vec4f; var b7: vec4f;
  for (var pixel = workgroup.z * CHUNK; pixel < end; pixel += STEP) {
    bring_windows(pixel, first_k, group, local);
    bring_gradients(pixel, end, first_channel, last_channel, local);
    workgroupBarrier();
    for (var step = 0u; step < STEP; step++) {
      let p = vec4f(window_tile[step * K_VECTORS + column]);
      var q: vec4f;
      if (COLUMNS > 1) { q = vec4f(window_tile[step * K_VECTORS + SIDE + column]); }
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
  let k = first_k + column * 4;
  var tile_a = array<vec4f, 8>(a0, a1, a2, a3, a4, a5, a6, a7);
  var tile_b = array<vec4f, 8>(b0, b1, b2, b3, b4, b5, b6, b7);
  for (var r = 0u; r < ROWS; r++) {
    store(workgroup.z, k, channel + r, last_channel, tile_a[r]);
    if (COLUMNS > 1) {
      store(workgroup.z, k + SIDE * 4, channel + r, last_channel, tile_b[r]);
    }
  }
}
