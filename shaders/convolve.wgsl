// Convolution without subgroups, for any device.
//
// The implicit GEMM behind a convolution, a dense layer and both of their data gradients:
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
// Output channels of a group see that group's GROUP_IN input channels. The sum, with what stood in the output where
// ACCUMULATE, goes through ACTIVATION (forward) or is multiplied by the derivative of UNDO (a data gradient).
//
// A dense layer is the case SIZE = 1 on images of one pixel. Each invocation keeps ROWS channels of 4 * COLUMNS
// neighbouring pixels in registers. All invocations of a workgroup have the same channels, so
// their loads of weights are uniform.
// No invocation returns early: one beyond the edge repeats the last pixel or channel and stores equal bits.

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

/// The register tile: at most 25 rows (channels) by 2 columns (of 4 pixels).
override ROWS: u32 = 25;
override COLUMNS: u32 = 2;
override INVOCATIONS: u32 = 4;

override BATCH: u32 = PIXELS / (OUT_HEIGHT * OUT_WIDTH);
override GROUP_IN: u32 = IN_CHANNELS / GROUPS;
override GROUP_OUT: u32 = OUT_CHANNELS / GROUPS;
/// Tiles that cover the output channels of a group.
override TILES: u32 = (GROUP_OUT + ROWS - 1) / ROWS;
override DEPTH: u32 = SIZE * SIZE * GROUP_IN;
/// From the end of a tap's channels to the beginning of the next tap's.
override TAP_SKIP: u32 = DILATION * IN_CHANNELS - GROUP_IN;
/// From the end of a window's row to the beginning of its next one; negative where the window is wider than the input.
override ROW_SKIP: i32 = (i32(IN_WIDTH) - i32(SIZE)) * i32(DILATION * IN_CHANNELS);
override CHECKED: bool = PADDING != 0 || UPSAMPLING > 1;
override VECTOR: bool = GROUP_IN % 4 == 0;

@group(0) @binding(0) var<storage, read> input: array<f32>;
@group(0) @binding(1) var<storage, read> input_vectors: array<vec4f>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> undone: array<f32>;
@group(0) @binding(5) var<storage, read_write> output: array<f32>;

/// An output pixel. Stepping from one to the next costs less than dividing an index again.
struct Pixel {
  x: u32,
  y: u32,
  image: u32,
}

fn pixel_at(index: u32) -> Pixel {
  let row = index / OUT_WIDTH;
  let image = row / OUT_HEIGHT;
  return Pixel(index - row * OUT_WIDTH, row - image * OUT_HEIGHT, image);
}

/// The pixel after `pixel`; the last one follows itself.
fn next_pixel(pixel: Pixel) -> Pixel {
  let ends_row = pixel.x + 1 == OUT_WIDTH;
  let ends_image = ends_row & (pixel.y + 1 == OUT_HEIGHT);
  let ends_batch = ends_image & (pixel.image + 1 == BATCH);
  let x = select(pixel.x + 1, 0, ends_row);
  let y = select(select(pixel.y, pixel.y + 1, ends_row), 0, ends_image);
  let image = select(pixel.image, pixel.image + 1, ends_image);
  return Pixel(select(x, pixel.x, ends_batch), select(y, pixel.y, ends_batch), select(image, pixel.image, ends_batch));
}

/// Where a pixel's window begins: the address of its first element, and its corner in the (upsampled) input.
struct Window {
  base: u32,
  y: i32,
  x: i32,
}

fn window_of(pixel: Pixel, group: u32) -> Window {
  let y = i32(pixel.y * STRIDE) - PADDING;
  let x = i32(pixel.x * STRIDE) - PADDING;
  let first_channel = group * GROUP_IN;
  if (UPSAMPLING > 1) {
    return Window(pixel.image * IN_HEIGHT * IN_WIDTH * IN_CHANNELS + first_channel, y, x);
  }
  // Wraps below zero in the padding, and back when the tap's offset is added.
  return Window(u32((i32(pixel.image * IN_HEIGHT) + y) * i32(IN_WIDTH) + x) * IN_CHANNELS + first_channel, y, x);
}

/// One position in a window: k, taken apart; y and x in pixels of the (upsampled) input.
struct Tap {
  offset: u32,
  y: u32,
  x: u32,
  channel: u32,
}

/// The tap `by` channels further on, where `by` divides GROUP_IN; the last one follows itself.
fn next_tap(tap: Tap, by: u32) -> Tap {
  let channel = tap.channel + by;
  let ends_pixel = channel == GROUP_IN;
  let ends_row = ends_pixel & (tap.x + DILATION == SIZE * DILATION);
  let ends_window = ends_row & (tap.y + DILATION == SIZE * DILATION);
  let offset = tap.offset + by + select(0, TAP_SKIP, ends_pixel) + select(0, u32(ROW_SKIP), ends_row);
  let y = select(tap.y, tap.y + DILATION, ends_row);
  let x = select(select(tap.x, tap.x + DILATION, ends_pixel), 0, ends_row);
  return Tap(
    select(offset, tap.offset, ends_window),
    select(y, tap.y, ends_window),
    select(x, tap.x, ends_window),
    select(select(channel, 0, ends_pixel), tap.channel, ends_window),
  );
}

fn is_inside(window: Window, tap: Tap) -> bool {
  let y = u32(window.y + i32(tap.y));
  let x = u32(window.x + i32(tap.x));
  // & instead of &&, which would branch.
  let inside = (y < IN_HEIGHT * UPSAMPLING) & (x < IN_WIDTH * UPSAMPLING);
  if (UPSAMPLING == 1) {
    return inside;
  }
  return inside & (y % UPSAMPLING == 0) & (x % UPSAMPLING == 0);
}

fn address(window: Window, tap: Tap) -> u32 {
  if (UPSAMPLING == 1) {
    return window.base + tap.offset;
  }
  let y = u32(window.y + i32(tap.y)) / UPSAMPLING;
  let x = u32(window.x + i32(tap.x)) / UPSAMPLING;
  return window.base + (y * IN_WIDTH + x) * IN_CHANNELS + tap.channel;
}

fn element(window: Window, tap: Tap) -> f32 {
  if (!CHECKED) {
    return input[address(window, tap)];
  }
  let inside = is_inside(window, tap);
  return select(0.0, input[select(0u, address(window, tap), inside)], inside);
}

fn vector(window: Window, tap: Tap) -> vec4f {
  if (!CHECKED) {
    return input_vectors[address(window, tap) / 4];
  }
  let inside = is_inside(window, tap);
  return select(vec4f(), input_vectors[select(0u, address(window, tap), inside) / 4], inside);
}

/// The four taps of a block of k; where VECTOR, only the first is used.
struct Taps {
  t0: Tap,
  t1: Tap,
  t2: Tap,
  t3: Tap,
}

fn taps_from(first: Tap) -> Taps {
  if (VECTOR) {
    return Taps(first, first, first, first);
  }
  let second = next_tap(first, 1);
  let third = next_tap(second, 1);
  return Taps(first, second, third, next_tap(third, 1));
}

fn taps_after(taps: Taps) -> Taps {
  if (VECTOR) {
    return taps_from(next_tap(taps.t0, 4));
  }
  return taps_from(next_tap(taps.t3, 1));
}

/// Column j holds window[pixel 0 .. 3, k + j].
fn windows_at(taps: Taps, w0: Window, w1: Window, w2: Window, w3: Window) -> mat4x4f {
  if (VECTOR) {
    return transpose(mat4x4f(vector(w0, taps.t0), vector(w1, taps.t0), vector(w2, taps.t0), vector(w3, taps.t0)));
  }
  return mat4x4f(
    element(w0, taps.t0), element(w1, taps.t0), element(w2, taps.t0), element(w3, taps.t0),
    element(w0, taps.t1), element(w1, taps.t1), element(w2, taps.t1), element(w3, taps.t1),
    element(w0, taps.t2), element(w1, taps.t2), element(w2, taps.t2), element(w3, taps.t2),
    element(w0, taps.t3), element(w1, taps.t3), element(w2, taps.t3), element(w3, taps.t3),
  );
}

/// The output channels that an invocation may compute: those of its group.
struct Group {
  index: u32,
  last_channel: u32,
}

/// Address of weights[k, channel 0].
fn weights_offset(k: u32, group: Group) -> u32 {
  let depth = min(k, DEPTH - 1);
  if (!TRANSPOSED) {
    return depth * OUT_CHANNELS;
  }
  // The rows of a transposed matrix count from the group's first channel.
  let first = group.index * (GROUP_IN - GROUP_OUT * IN_CHANNELS);
  if (SIZE == 1) {
    return first + depth;
  }
  let tap = depth / GROUP_IN;
  return first + (SIZE * SIZE - 1 - tap) * GROUP_OUT * IN_CHANNELS + depth - tap * GROUP_IN;
}

fn weight(offset: u32, channel: u32, k: u32, group: Group) -> f32 {
  let row = min(channel, group.last_channel);
  let value = weights[offset + select(row, row * IN_CHANNELS, TRANSPOSED)];
  if (DEPTH % 4 == 0) {
    return value;
  }
  return select(0.0, value, k < DEPTH);
}

/// weights[k .. k + 3, channel].
fn weights_at(offsets: vec4u, channel: u32, k: u32, group: Group) -> vec4f {
  return vec4f(
    weight(offsets.x, channel, k, group),
    weight(offsets.y, channel, k + 1, group),
    weight(offsets.z, channel, k + 2, group),
    weight(offsets.w, channel, k + 3, group),
  );
}

fn bias_of(channel: u32, group: Group) -> vec4f {
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

fn store(pixel: u32, channel: u32, group: Group, products: vec4f) {
  let sum = products + bias_of(channel, group);
  let pixels = vec4u(pixel, pixel + 1, pixel + 2, pixel + 3);
  let at = min(pixels, vec4u(PIXELS - 1)) * OUT_CHANNELS + min(channel, group.last_channel);
  let is_own = (pixels < vec4u(PIXELS)) & vec4<bool>(channel <= group.last_channel);
  store_element(at.x, is_own.x, sum.x);
  store_element(at.y, is_own.y, sum.y);
  store_element(at.z, is_own.z, sum.z);
  store_element(at.w, is_own.w, sum.w);
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let pixel = (id.x + workgroup.z * workgroups.x * INVOCATIONS) * 4 * COLUMNS;
  let group_index = workgroup.y / TILES;
  let channel = group_index * GROUP_OUT + (workgroup.y - group_index * TILES) * ROWS;
  let group = Group(group_index, (group_index + 1) * GROUP_OUT - 1);
  let p0 = pixel_at(min(pixel, PIXELS - 1));
  let p1 = next_pixel(p0);
  let p2 = next_pixel(p1);
  let p3 = next_pixel(p2);
  let p4 = next_pixel(p3);
  let p5 = next_pixel(p4);
  let p6 = next_pixel(p5);
  let p7 = next_pixel(p6);
  let w0 = window_of(p0, group_index);
  let w1 = window_of(p1, group_index);
  let w2 = window_of(p2, group_index);
  let w3 = window_of(p3, group_index);
  let w4 = window_of(p4, group_index);
  let w5 = window_of(p5, group_index);
  let w6 = window_of(p6, group_index);
  let w7 = window_of(p7, group_index);
  var a0: vec4f; var b0: vec4f;
  var a1: vec4f; var b1: vec4f;
  var a2: vec4f; var b2: vec4f;
  var a3: vec4f; var b3: vec4f;
  var a4: vec4f; var b4: vec4f;
  var a5: vec4f; var b5: vec4f;
  var a6: vec4f; var b6: vec4f;
  var a7: vec4f; var b7: vec4f;
  var a8: vec4f; var b8: vec4f;
  var a9: vec4f; var b9: vec4f;
  var a10: vec4f; var b10: vec4f;
  var a11: vec4f; var b11: vec4f;
  var a12: vec4f; var b12: vec4f;
  var a13: vec4f; var b13: vec4f;
  var a14: vec4f; var b14: vec4f;
  var a15: vec4f; var b15: vec4f;
  var a16: vec4f; var b16: vec4f;
  var a17: vec4f; var b17: vec4f;
  var a18: vec4f; var b18: vec4f;
  var a19: vec4f; var b19: vec4f;
  var a20: vec4f; var b20: vec4f;
  var a21: vec4f; var b21: vec4f;
  var a22: vec4f; var b22: vec4f;
  var a23: vec4f; var b23: vec4f;
  var a24: vec4f; var b24: vec4f;
  var taps = taps_from(Tap(0, 0, 0, 0));
  for (var k = 0u; k < DEPTH; k += 4) {
    let a = windows_at(taps, w0, w1, w2, w3);
    var b: mat4x4f;
    if (COLUMNS > 1) {
      b = windows_at(taps, w4, w5, w6, w7);
    }
    let offsets = vec4u(weights_offset(k, group), weights_offset(k + 1, group), weights_offset(k + 2, group), weights_offset(k + 3, group));
    if (ROWS > 0) { let w = weights_at(offsets, channel + 0, k, group); a0 += a * w; if (COLUMNS > 1) { b0 += b * w; } }
    if (ROWS > 1) { let w = weights_at(offsets, channel + 1, k, group); a1 += a * w; if (COLUMNS > 1) { b1 += b * w; } }
    if (ROWS > 2) { let w = weights_at(offsets, channel + 2, k, group); a2 += a * w; if (COLUMNS > 1) { b2 += b * w; } }
    if (ROWS > 3) { let w = weights_at(offsets, channel + 3, k, group); a3 += a * w; if (COLUMNS > 1) { b3 += b * w; } }
    if (ROWS > 4) { let w = weights_at(offsets, channel + 4, k, group); a4 += a * w; if (COLUMNS > 1) { b4 += b * w; } }
    if (ROWS > 5) { let w = weights_at(offsets, channel + 5, k, group); a5 += a * w; if (COLUMNS > 1) { b5 += b * w; } }
    if (ROWS > 6) { let w = weights_at(offsets, channel + 6, k, group); a6 += a * w; if (COLUMNS > 1) { b6 += b * w; } }
    if (ROWS > 7) { let w = weights_at(offsets, channel + 7, k, group); a7 += a * w; if (COLUMNS > 1) { b7 += b * w; } }
    if (ROWS > 8) { let w = weights_at(offsets, channel + 8, k, group); a8 += a * w; if (COLUMNS > 1) { b8 += b * w; } }
    if (ROWS > 9) { let w = weights_at(offsets, channel + 9, k, group); a9 += a * w; if (COLUMNS > 1) { b9 += b * w; } }
    if (ROWS > 10) { let w = weights_at(offsets, channel + 10, k, group); a10 += a * w; if (COLUMNS > 1) { b10 += b * w; } }
    if (ROWS > 11) { let w = weights_at(offsets, channel + 11, k, group); a11 += a * w; if (COLUMNS > 1) { b11 += b * w; } }
    if (ROWS > 12) { let w = weights_at(offsets, channel + 12, k, group); a12 += a * w; if (COLUMNS > 1) { b12 += b * w; } }
    if (ROWS > 13) { let w = weights_at(offsets, channel + 13, k, group); a13 += a * w; if (COLUMNS > 1) { b13 += b * w; } }
    if (ROWS > 14) { let w = weights_at(offsets, channel + 14, k, group); a14 += a * w; if (COLUMNS > 1) { b14 += b * w; } }
    if (ROWS > 15) { let w = weights_at(offsets, channel + 15, k, group); a15 += a * w; if (COLUMNS > 1) { b15 += b * w; } }
    if (ROWS > 16) { let w = weights_at(offsets, channel + 16, k, group); a16 += a * w; if (COLUMNS > 1) { b16 += b * w; } }
    if (ROWS > 17) { let w = weights_at(offsets, channel + 17, k, group); a17 += a * w; if (COLUMNS > 1) { b17 += b * w; } }
    if (ROWS > 18) { let w = weights_at(offsets, channel + 18, k, group); a18 += a * w; if (COLUMNS > 1) { b18 += b * w; } }
    if (ROWS > 19) { let w = weights_at(offsets, channel + 19, k, group); a19 += a * w; if (COLUMNS > 1) { b19 += b * w; } }
    if (ROWS > 20) { let w = weights_at(offsets, channel + 20, k, group); a20 += a * w; if (COLUMNS > 1) { b20 += b * w; } }
    if (ROWS > 21) { let w = weights_at(offsets, channel + 21, k, group); a21 += a * w; if (COLUMNS > 1) { b21 += b * w; } }
    if (ROWS > 22) { let w = weights_at(offsets, channel + 22, k, group); a22 += a * w; if (COLUMNS > 1) { b22 += b * w; } }
    if (ROWS > 23) { let w = weights_at(offsets, channel + 23, k, group); a23 += a * w; if (COLUMNS > 1) { b23 += b * w; } }
    if (ROWS > 24) { let w = weights_at(offsets, channel + 24, k, group); a24 += a * w; if (COLUMNS > 1) { b24 += b * w; } }
    taps = taps_after(taps);
  }
  var tile_a = array<vec4f, 25>(
    a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12,
    a13, a14, a15, a16, a17, a18, a19, a20, a21, a22, a23, a24,
  );
  var tile_b = array<vec4f, 25>(
    b0, b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12,
    b13, b14, b15, b16, b17, b18, b19, b20, b21, b22, b23, b24,
  );
  for (var row = 0u; row < ROWS; row++) {
    store(pixel, channel + row, group, tile_a[row]);
    if (COLUMNS > 1) {
      store(pixel + 4, channel + row, group, tile_b[row]);
    }
  }
}
