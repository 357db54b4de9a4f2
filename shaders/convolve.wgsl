// Convolution without subgroups, for any device.
//
// The implicit GEMM behind a convolution, a dense layer and both of their data gradients:
//
//   output[pixel, channel] = sum over k of window[pixel, k] * weights[k, channel]
//
//   input   [batch, IN_HEIGHT, IN_WIDTH, IN_CHANNELS]
//   weights [SIZE * SIZE * IN_CHANNELS, OUT_CHANNELS], or, where TRANSPOSED, the forward pass's weights
//           [SIZE * SIZE, OUT_CHANNELS, IN_CHANNELS] read with their taps in reverse
//   bias    [OUT_CHANNELS]
//   mask    as output; where it is not positive, output becomes 0 (the gradient of a fused relu)
//   output  [batch, OUT_HEIGHT, OUT_WIDTH, OUT_CHANNELS]
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
override PADDING: u32 = 0;
/// The input is read as if UPSAMPLING - 1 zeros stood between its pixels (the data gradient of a strided convolution).
override UPSAMPLING: u32 = 1;
override TRANSPOSED: bool = false;
override BIAS: bool = false;
override RELU: bool = false;
override MASK: bool = false;

/// The register tile: at most 20 rows (channels) by 2 columns (of 4 pixels).
override ROWS: u32 = 20;
override COLUMNS: u32 = 2;
override INVOCATIONS: u32 = 4;

override DEPTH: u32 = SIZE * SIZE * IN_CHANNELS;
override CHECKED: bool = PADDING > 0 || UPSAMPLING > 1;
override VECTOR: bool = IN_CHANNELS % 4 == 0;

@group(0) @binding(0) var<storage, read> input: array<f32>;
@group(0) @binding(1) var<storage, read> input_vectors: array<vec4f>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> mask: array<f32>;
@group(0) @binding(5) var<storage, read_write> output: array<f32>;

/// Where a pixel's window begins: the address of its first element, and its corner in the (upsampled) input.
struct Window {
  base: u32,
  y: i32,
  x: i32,
}

/// One position in a window.
struct Tap {
  offset: u32,
  y: i32,
  x: i32,
  channel: u32,
}

fn window_at(index: u32) -> Window {
  let pixel = min(index, PIXELS - 1);
  let row = pixel / OUT_WIDTH;
  let image = row / OUT_HEIGHT;
  let y = i32(row % OUT_HEIGHT * STRIDE) - i32(PADDING);
  let x = i32(pixel % OUT_WIDTH * STRIDE) - i32(PADDING);
  if (UPSAMPLING > 1) {
    return Window(image * IN_HEIGHT * IN_WIDTH * IN_CHANNELS, y, x);
  }
  // Wraps below zero in the padding, and back when the tap's offset is added.
  return Window(u32((i32(image * IN_HEIGHT) + y) * i32(IN_WIDTH) + x) * IN_CHANNELS, y, x);
}

fn tap_at(k: u32) -> Tap {
  let depth = min(k, DEPTH - 1);
  let y = depth / (SIZE * IN_CHANNELS);
  let along = depth % (SIZE * IN_CHANNELS);
  return Tap(y * IN_WIDTH * IN_CHANNELS + along, i32(y), i32(along / IN_CHANNELS), along % IN_CHANNELS);
}

fn is_inside(window: Window, tap: Tap) -> bool {
  let y = u32(window.y + tap.y);
  let x = u32(window.x + tap.x);
  return y < IN_HEIGHT * UPSAMPLING && x < IN_WIDTH * UPSAMPLING && y % UPSAMPLING == 0 && x % UPSAMPLING == 0;
}

fn address(window: Window, tap: Tap) -> u32 {
  if (UPSAMPLING == 1) {
    return window.base + tap.offset;
  }
  let y = u32(window.y + tap.y) / UPSAMPLING;
  let x = u32(window.x + tap.x) / UPSAMPLING;
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

/// Column j holds window[pixel 0..3, k + j].
fn windows_at(k: u32, w0: Window, w1: Window, w2: Window, w3: Window) -> mat4x4f {
  let t0 = tap_at(k);
  if (VECTOR) {
    return transpose(mat4x4f(vector(w0, t0), vector(w1, t0), vector(w2, t0), vector(w3, t0)));
  }
  let t1 = tap_at(k + 1);
  let t2 = tap_at(k + 2);
  let t3 = tap_at(k + 3);
  return mat4x4f(
    element(w0, t0), element(w1, t0), element(w2, t0), element(w3, t0),
    element(w0, t1), element(w1, t1), element(w2, t1), element(w3, t1),
    element(w0, t2), element(w1, t2), element(w2, t2), element(w3, t2),
    element(w0, t3), element(w1, t3), element(w2, t3), element(w3, t3),
  );
}

/// Address of weights[k, channel 0].
fn weights_offset(k: u32) -> u32 {
  let depth = min(k, DEPTH - 1);
  if (!TRANSPOSED) {
    return depth * OUT_CHANNELS;
  }
  return (SIZE * SIZE - 1 - depth / IN_CHANNELS) * OUT_CHANNELS * IN_CHANNELS + depth % IN_CHANNELS;
}

fn weight(offset: u32, channel: u32, k: u32) -> f32 {
  let row = min(channel, OUT_CHANNELS - 1);
  let value = weights[offset + select(row, row * IN_CHANNELS, TRANSPOSED)];
  if (DEPTH % 4 == 0) {
    return value;
  }
  return select(0.0, value, k < DEPTH);
}

/// weights[k .. k + 3, channel].
fn weights_at(offsets: vec4u, channel: u32, k: u32) -> vec4f {
  return vec4f(
    weight(offsets.x, channel, k),
    weight(offsets.y, channel, k + 1),
    weight(offsets.z, channel, k + 2),
    weight(offsets.w, channel, k + 3),
  );
}

fn start(channel: u32) -> vec4f {
  if (BIAS) {
    return vec4f(bias[min(channel, OUT_CHANNELS - 1)]);
  }
  return vec4f();
}

fn store_element(pixel: u32, channel: u32, sum: f32) {
  let at = min(pixel, PIXELS - 1) * OUT_CHANNELS + min(channel, OUT_CHANNELS - 1);
  if (MASK) {
    output[at] = select(0.0, sum, mask[at] > 0.0);
  } else {
    output[at] = sum;
  }
}

fn store(pixel: u32, channel: u32, sum: vec4f) {
  let value = select(sum, max(sum, vec4f()), RELU);
  store_element(pixel, channel, value.x);
  store_element(pixel + 1, channel, value.y);
  store_element(pixel + 2, channel, value.z);
  store_element(pixel + 3, channel, value.w);
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) group: vec3u) {
  let pixel = id.x * 4 * COLUMNS;
  let channel = group.y * ROWS;
  let w0 = window_at(pixel + 0);
  let w1 = window_at(pixel + 1);
  let w2 = window_at(pixel + 2);
  let w3 = window_at(pixel + 3);
  let w4 = window_at(pixel + 4);
  let w5 = window_at(pixel + 5);
  let w6 = window_at(pixel + 6);
  let w7 = window_at(pixel + 7);
  var a0 = start(channel + 0);
  var b0 = a0;
  var a1 = start(channel + 1);
  var b1 = a1;
  var a2 = start(channel + 2);
  var b2 = a2;
  var a3 = start(channel + 3);
  var b3 = a3;
  var a4 = start(channel + 4);
  var b4 = a4;
  var a5 = start(channel + 5);
  var b5 = a5;
  var a6 = start(channel + 6);
  var b6 = a6;
  var a7 = start(channel + 7);
  var b7 = a7;
  var a8 = start(channel + 8);
  var b8 = a8;
  var a9 = start(channel + 9);
  var b9 = a9;
  var a10 = start(channel + 10);
  var b10 = a10;
  var a11 = start(channel + 11);
  var b11 = a11;
  var a12 = start(channel + 12);
  var b12 = a12;
  var a13 = start(channel + 13);
  var b13 = a13;
  var a14 = start(channel + 14);
  var b14 = a14;
  var a15 = start(channel + 15);
  var b15 = a15;
  var a16 = start(channel + 16);
  var b16 = a16;
  var a17 = start(channel + 17);
  var b17 = a17;
  var a18 = start(channel + 18);
  var b18 = a18;
  var a19 = start(channel + 19);
  var b19 = a19;
  for (var k = 0u; k < DEPTH; k += 4) {
    let a = windows_at(k, w0, w1, w2, w3);
    var b: mat4x4f;
    if (COLUMNS > 1) {
      b = windows_at(k, w4, w5, w6, w7);
    }
    let offsets = vec4u(weights_offset(k), weights_offset(k + 1), weights_offset(k + 2), weights_offset(k + 3));
    if (ROWS > 0) {
      let w = weights_at(offsets, channel + 0, k);
      a0 += a * w;
      if (COLUMNS > 1) { b0 += b * w; }
    }
    if (ROWS > 1) {
      let w = weights_at(offsets, channel + 1, k);
      a1 += a * w;
      if (COLUMNS > 1) { b1 += b * w; }
    }
    if (ROWS > 2) {
      let w = weights_at(offsets, channel + 2, k);
      a2 += a * w;
      if (COLUMNS > 1) { b2 += b * w; }
    }
    if (ROWS > 3) {
      let w = weights_at(offsets, channel + 3, k);
      a3 += a * w;
      if (COLUMNS > 1) { b3 += b * w; }
    }
    if (ROWS > 4) {
      let w = weights_at(offsets, channel + 4, k);
      a4 += a * w;
      if (COLUMNS > 1) { b4 += b * w; }
    }
    if (ROWS > 5) {
      let w = weights_at(offsets, channel + 5, k);
      a5 += a * w;
      if (COLUMNS > 1) { b5 += b * w; }
    }
    if (ROWS > 6) {
      let w = weights_at(offsets, channel + 6, k);
      a6 += a * w;
      if (COLUMNS > 1) { b6 += b * w; }
    }
    if (ROWS > 7) {
      let w = weights_at(offsets, channel + 7, k);
      a7 += a * w;
      if (COLUMNS > 1) { b7 += b * w; }
    }
    if (ROWS > 8) {
      let w = weights_at(offsets, channel + 8, k);
      a8 += a * w;
      if (COLUMNS > 1) { b8 += b * w; }
    }
    if (ROWS > 9) {
      let w = weights_at(offsets, channel + 9, k);
      a9 += a * w;
      if (COLUMNS > 1) { b9 += b * w; }
    }
    if (ROWS > 10) {
      let w = weights_at(offsets, channel + 10, k);
      a10 += a * w;
      if (COLUMNS > 1) { b10 += b * w; }
    }
    if (ROWS > 11) {
      let w = weights_at(offsets, channel + 11, k);
      a11 += a * w;
      if (COLUMNS > 1) { b11 += b * w; }
    }
    if (ROWS > 12) {
      let w = weights_at(offsets, channel + 12, k);
      a12 += a * w;
      if (COLUMNS > 1) { b12 += b * w; }
    }
    if (ROWS > 13) {
      let w = weights_at(offsets, channel + 13, k);
      a13 += a * w;
      if (COLUMNS > 1) { b13 += b * w; }
    }
    if (ROWS > 14) {
      let w = weights_at(offsets, channel + 14, k);
      a14 += a * w;
      if (COLUMNS > 1) { b14 += b * w; }
    }
    if (ROWS > 15) {
      let w = weights_at(offsets, channel + 15, k);
      a15 += a * w;
      if (COLUMNS > 1) { b15 += b * w; }
    }
    if (ROWS > 16) {
      let w = weights_at(offsets, channel + 16, k);
      a16 += a * w;
      if (COLUMNS > 1) { b16 += b * w; }
    }
    if (ROWS > 17) {
      let w = weights_at(offsets, channel + 17, k);
      a17 += a * w;
      if (COLUMNS > 1) { b17 += b * w; }
    }
    if (ROWS > 18) {
      let w = weights_at(offsets, channel + 18, k);
      a18 += a * w;
      if (COLUMNS > 1) { b18 += b * w; }
    }
    if (ROWS > 19) {
      let w = weights_at(offsets, channel + 19, k);
      a19 += a * w;
      if (COLUMNS > 1) { b19 += b * w; }
    }
  }
  if (ROWS > 0) {
    store(pixel, channel + 0, a0);
    if (COLUMNS > 1) { store(pixel + 4, channel + 0, b0); }
  }
  if (ROWS > 1) {
    store(pixel, channel + 1, a1);
    if (COLUMNS > 1) { store(pixel + 4, channel + 1, b1); }
  }
  if (ROWS > 2) {
    store(pixel, channel + 2, a2);
    if (COLUMNS > 1) { store(pixel + 4, channel + 2, b2); }
  }
  if (ROWS > 3) {
    store(pixel, channel + 3, a3);
    if (COLUMNS > 1) { store(pixel + 4, channel + 3, b3); }
  }
  if (ROWS > 4) {
    store(pixel, channel + 4, a4);
    if (COLUMNS > 1) { store(pixel + 4, channel + 4, b4); }
  }
  if (ROWS > 5) {
    store(pixel, channel + 5, a5);
    if (COLUMNS > 1) { store(pixel + 4, channel + 5, b5); }
  }
  if (ROWS > 6) {
    store(pixel, channel + 6, a6);
    if (COLUMNS > 1) { store(pixel + 4, channel + 6, b6); }
  }
  if (ROWS > 7) {
    store(pixel, channel + 7, a7);
    if (COLUMNS > 1) { store(pixel + 4, channel + 7, b7); }
  }
  if (ROWS > 8) {
    store(pixel, channel + 8, a8);
    if (COLUMNS > 1) { store(pixel + 4, channel + 8, b8); }
  }
  if (ROWS > 9) {
    store(pixel, channel + 9, a9);
    if (COLUMNS > 1) { store(pixel + 4, channel + 9, b9); }
  }
  if (ROWS > 10) {
    store(pixel, channel + 10, a10);
    if (COLUMNS > 1) { store(pixel + 4, channel + 10, b10); }
  }
  if (ROWS > 11) {
    store(pixel, channel + 11, a11);
    if (COLUMNS > 1) { store(pixel + 4, channel + 11, b11); }
  }
  if (ROWS > 12) {
    store(pixel, channel + 12, a12);
    if (COLUMNS > 1) { store(pixel + 4, channel + 12, b12); }
  }
  if (ROWS > 13) {
    store(pixel, channel + 13, a13);
    if (COLUMNS > 1) { store(pixel + 4, channel + 13, b13); }
  }
  if (ROWS > 14) {
    store(pixel, channel + 14, a14);
    if (COLUMNS > 1) { store(pixel + 4, channel + 14, b14); }
  }
  if (ROWS > 15) {
    store(pixel, channel + 15, a15);
    if (COLUMNS > 1) { store(pixel + 4, channel + 15, b15); }
  }
  if (ROWS > 16) {
    store(pixel, channel + 16, a16);
    if (COLUMNS > 1) { store(pixel + 4, channel + 16, b16); }
  }
  if (ROWS > 17) {
    store(pixel, channel + 17, a17);
    if (COLUMNS > 1) { store(pixel + 4, channel + 17, b17); }
  }
  if (ROWS > 18) {
    store(pixel, channel + 18, a18);
    if (COLUMNS > 1) { store(pixel + 4, channel + 18, b18); }
  }
  if (ROWS > 19) {
    store(pixel, channel + 19, a19);
    if (COLUMNS > 1) { store(pixel + 4, channel + 19, b19); }
  }
}
