// Filter gradient for devices with subgroups: the four lanes of a quad share their loads of the output gradient.
//
// Gradients of the weights and the bias of a convolution or a dense layer, as one GEMM over the pixels:
//
//   gradient[k, channel] = sum over pixels of window[pixel, k] * output_gradient[pixel, channel]
//
//   input           [batch, IN_HEIGHT, IN_WIDTH, IN_CHANNELS]
//   output_gradient [batch, OUT_HEIGHT, OUT_WIDTH, OUT_CHANNELS]
//   gradients       weights [SIZE * SIZE * GROUP_IN, OUT_CHANNELS] from WEIGHTS_OFFSET on, bias from BIAS_OFFSET on
//
// Output channels of a group see that group's GROUP_IN input channels. The bias, where there is one, is one more row of
// weights, k = DEPTH, whose input is always 1. The pixels are split into chunks of CHUNK, one
// per workgroup in z, each writing its own copy SPLIT_ELEMENTS further on; sum_partials.wgsl adds the copies. Each
// invocation keeps ROWS channels of 4 * COLUMNS neighbouring k in registers. All lanes of a workgroup have the same
// channels, so a quad loads four pixels of a channel once, one per lane, and swaps them (quadBroadcast costs twenty times a swap in
// SwiftShader): lane l meets the four pixels in the order l, l ^ 1, l ^ 2, l ^ 3.
// No invocation returns early: one beyond the edge repeats the last channel, or the last row, and stores equal bits.

enable subgroups;

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
/// Pixels per workgroup in z, a multiple of 4.
override CHUNK: u32 = 4;
override SPLITS: u32 = 1;
override SPLIT_ELEMENTS: u32 = 0;
override WEIGHTS_OFFSET: u32 = 0;
override BIAS_OFFSET: u32 = 0;

/// The register tile: at most 25 rows (channels) by 2 columns (of 4 k).
override ROWS: u32 = 25;
override COLUMNS: u32 = 2;
override INVOCATIONS: u32 = 4;

override BATCH: u32 = PIXELS / (OUT_HEIGHT * OUT_WIDTH);
override GROUP_IN: u32 = IN_CHANNELS / GROUPS;
override GROUP_OUT: u32 = OUT_CHANNELS / GROUPS;
/// Tiles that cover the output channels of a group.
override TILES: u32 = (GROUP_OUT + ROWS - 1) / ROWS;
override DEPTH: u32 = SIZE * SIZE * GROUP_IN;
override CHECKED: bool = PADDING > 0;
override VECTOR: bool = GROUP_IN % 4 == 0;

@group(0) @binding(0) var<storage, read> input: array<f32>;
@group(0) @binding(1) var<storage, read> input_vectors: array<vec4f>;
@group(0) @binding(2) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> gradients: array<f32>;

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

/// Where a pixel's window begins: the address of its first element, and its corner in the input.
struct Window {
  base: u32,
  y: i32,
  x: i32,
}

fn window_of(pixel: Pixel) -> Window {
  let y = i32(pixel.y * STRIDE) - i32(PADDING);
  let x = i32(pixel.x * STRIDE) - i32(PADDING);
  // Wraps below zero in the padding, and back when the tap's offset is added.
  return Window(u32((i32(pixel.image * IN_HEIGHT) + y) * i32(IN_WIDTH) + x) * IN_CHANNELS, y, x);
}

/// Four values in the order in which a lane meets them: that of its own place in the quad, and those one swap away.
fn in_lane_order(values: vec4u, place: u32) -> vec4u {
  let halves = select(values, values.yxwz, (place & 1) == 1);
  return select(halves, halves.zwxy, (place & 2) == 2);
}

/// One position in a window; the one after the last is the bias.
struct Tap {
  offset: u32,
  y: i32,
  x: i32,
  is_bias: bool,
}

/// The row of weights that stands at k: without a bias, those beyond the end repeat the last ones.
fn row_at(k: u32, j: u32) -> u32 {
  if (BIAS) {
    return min(k + j, DEPTH);
  }
  if (VECTOR) {
    return min(k, DEPTH - 4) + j;
  }
  return min(k + j, DEPTH - 1);
}

fn tap_at(row: u32, first_channel: u32) -> Tap {
  let is_bias = row >= DEPTH;
  let depth = select(row, 0, is_bias);
  let y = depth / (SIZE * GROUP_IN);
  let along = depth - y * SIZE * GROUP_IN;
  let x = along / GROUP_IN;
  let offset = (y * IN_WIDTH + x) * DILATION * IN_CHANNELS + along - x * GROUP_IN;
  return Tap(offset + first_channel, i32(y * DILATION), i32(x * DILATION), is_bias);
}

fn is_inside(window: Window, tap: Tap) -> bool {
  // & instead of &&, which would branch.
  return (u32(window.y + tap.y) < IN_HEIGHT) & (u32(window.x + tap.x) < IN_WIDTH);
}

fn element(window: Window, tap: Tap) -> f32 {
  var value: f32;
  if (CHECKED) {
    let inside = is_inside(window, tap);
    value = select(0.0, input[select(0u, window.base + tap.offset, inside)], inside);
  } else {
    value = input[window.base + tap.offset];
  }
  if (!BIAS) {
    return value;
  }
  return select(value, 1.0, tap.is_bias);
}

fn vector(window: Window, tap: Tap) -> vec4f {
  var value: vec4f;
  if (CHECKED) {
    let inside = is_inside(window, tap);
    value = select(vec4f(), input_vectors[select(0u, window.base + tap.offset, inside) / 4], inside);
  } else {
    value = input_vectors[(window.base + tap.offset) / 4];
  }
  if (!BIAS) {
    return value;
  }
  return select(value, vec4f(1.0), tap.is_bias);
}

/// window[pixel, k .. k + 3].
fn taps_of(window: Window, t0: Tap, t1: Tap, t2: Tap, t3: Tap) -> vec4f {
  if (VECTOR) {
    return vector(window, t0);
  }
  return vec4f(element(window, t0), element(window, t1), element(window, t2), element(window, t3));
}

fn gradient_element(pixel: u32, channel: u32, last_channel: u32) -> f32 {
  let value = output_gradient[min(pixel, PIXELS - 1) * OUT_CHANNELS + min(channel, last_channel)];
  if (PIXELS == SPLITS * CHUNK) {
    return value;
  }
  return select(0.0, value, pixel < PIXELS);
}

/// output_gradient[pixel .. pixel + 3, channel] in each lane's order; each lane has loaded its own pixel's.
fn gradients_at(lane_pixel: u32, channel: u32, last_channel: u32) -> vec4f {
  let own = gradient_element(lane_pixel, channel, last_channel);
  return vec4f(own, quadSwapX(own), quadSwapY(own), quadSwapDiagonal(own));
}

/// Addresses of the first channel of four k.
fn store_bases(split: u32, k: u32) -> vec4u {
  let rows = vec4u(row_at(k, 0), row_at(k, 1), row_at(k, 2), row_at(k, 3));
  let bases = select(WEIGHTS_OFFSET + rows * OUT_CHANNELS, vec4u(BIAS_OFFSET), rows >= vec4u(DEPTH));
  return bases + split * SPLIT_ELEMENTS;
}

fn store(bases: vec4u, channel: u32, last_channel: u32, sum: vec4f) {
  let at = bases + min(channel, last_channel);
  gradients[at.x] = sum.x;
  gradients[at.y] = sum.y;
  gradients[at.z] = sum.z;
  gradients[at.w] = sum.w;
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) workgroup: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let k = id.x * 4 * COLUMNS;
  let group = workgroup.y / TILES;
  let channel = group * GROUP_OUT + (workgroup.y - group * TILES) * ROWS;
  let last_channel = (group + 1) * GROUP_OUT - 1;
  let first_input = group * GROUP_IN;
  let split = workgroup.z;
  let place = lane % 4;
  let t0 = tap_at(row_at(k, 0), first_input);
  let t1 = tap_at(row_at(k, 1), first_input);
  let t2 = tap_at(row_at(k, 2), first_input);
  let t3 = tap_at(row_at(k, 3), first_input);
  let t4 = tap_at(row_at(k + 4, 0), first_input);
  let t5 = tap_at(row_at(k + 4, 1), first_input);
  let t6 = tap_at(row_at(k + 4, 2), first_input);
  let t7 = tap_at(row_at(k + 4, 3), first_input);
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
  var p0 = pixel_at(min(split * CHUNK, PIXELS - 1));
  for (var at = 0u; at < CHUNK; at += 4) {
    let pixel = split * CHUNK + at;
    let p1 = next_pixel(p0);
    let p2 = next_pixel(p1);
    let p3 = next_pixel(p2);
    let n0 = window_of(p0);
    let n1 = window_of(p1);
    let n2 = window_of(p2);
    let n3 = window_of(p3);
    let bases = in_lane_order(vec4u(n0.base, n1.base, n2.base, n3.base), place);
    let ys = bitcast<vec4i>(in_lane_order(bitcast<vec4u>(vec4i(n0.y, n1.y, n2.y, n3.y)), place));
    let xs = bitcast<vec4i>(in_lane_order(bitcast<vec4u>(vec4i(n0.x, n1.x, n2.x, n3.x)), place));
    let w0 = Window(bases.x, ys.x, xs.x);
    let w1 = Window(bases.y, ys.y, xs.y);
    let w2 = Window(bases.z, ys.z, xs.z);
    let w3 = Window(bases.w, ys.w, xs.w);
    p0 = next_pixel(p3);
    let a = mat4x4f(taps_of(w0, t0, t1, t2, t3), taps_of(w1, t0, t1, t2, t3), taps_of(w2, t0, t1, t2, t3), taps_of(w3, t0, t1, t2, t3));
    var b: mat4x4f;
    if (COLUMNS > 1) {
      b = mat4x4f(taps_of(w0, t4, t5, t6, t7), taps_of(w1, t4, t5, t6, t7), taps_of(w2, t4, t5, t6, t7), taps_of(w3, t4, t5, t6, t7));
    }
    let lane_pixel = pixel + place;
    if (ROWS > 0) { let g = gradients_at(lane_pixel, channel + 0, last_channel); a0 += a * g; if (COLUMNS > 1) { b0 += b * g; } }
    if (ROWS > 1) { let g = gradients_at(lane_pixel, channel + 1, last_channel); a1 += a * g; if (COLUMNS > 1) { b1 += b * g; } }
    if (ROWS > 2) { let g = gradients_at(lane_pixel, channel + 2, last_channel); a2 += a * g; if (COLUMNS > 1) { b2 += b * g; } }
    if (ROWS > 3) { let g = gradients_at(lane_pixel, channel + 3, last_channel); a3 += a * g; if (COLUMNS > 1) { b3 += b * g; } }
    if (ROWS > 4) { let g = gradients_at(lane_pixel, channel + 4, last_channel); a4 += a * g; if (COLUMNS > 1) { b4 += b * g; } }
    if (ROWS > 5) { let g = gradients_at(lane_pixel, channel + 5, last_channel); a5 += a * g; if (COLUMNS > 1) { b5 += b * g; } }
    if (ROWS > 6) { let g = gradients_at(lane_pixel, channel + 6, last_channel); a6 += a * g; if (COLUMNS > 1) { b6 += b * g; } }
    if (ROWS > 7) { let g = gradients_at(lane_pixel, channel + 7, last_channel); a7 += a * g; if (COLUMNS > 1) { b7 += b * g; } }
    if (ROWS > 8) { let g = gradients_at(lane_pixel, channel + 8, last_channel); a8 += a * g; if (COLUMNS > 1) { b8 += b * g; } }
    if (ROWS > 9) { let g = gradients_at(lane_pixel, channel + 9, last_channel); a9 += a * g; if (COLUMNS > 1) { b9 += b * g; } }
    if (ROWS > 10) { let g = gradients_at(lane_pixel, channel + 10, last_channel); a10 += a * g; if (COLUMNS > 1) { b10 += b * g; } }
    if (ROWS > 11) { let g = gradients_at(lane_pixel, channel + 11, last_channel); a11 += a * g; if (COLUMNS > 1) { b11 += b * g; } }
    if (ROWS > 12) { let g = gradients_at(lane_pixel, channel + 12, last_channel); a12 += a * g; if (COLUMNS > 1) { b12 += b * g; } }
    if (ROWS > 13) { let g = gradients_at(lane_pixel, channel + 13, last_channel); a13 += a * g; if (COLUMNS > 1) { b13 += b * g; } }
    if (ROWS > 14) { let g = gradients_at(lane_pixel, channel + 14, last_channel); a14 += a * g; if (COLUMNS > 1) { b14 += b * g; } }
    if (ROWS > 15) { let g = gradients_at(lane_pixel, channel + 15, last_channel); a15 += a * g; if (COLUMNS > 1) { b15 += b * g; } }
    if (ROWS > 16) { let g = gradients_at(lane_pixel, channel + 16, last_channel); a16 += a * g; if (COLUMNS > 1) { b16 += b * g; } }
    if (ROWS > 17) { let g = gradients_at(lane_pixel, channel + 17, last_channel); a17 += a * g; if (COLUMNS > 1) { b17 += b * g; } }
    if (ROWS > 18) { let g = gradients_at(lane_pixel, channel + 18, last_channel); a18 += a * g; if (COLUMNS > 1) { b18 += b * g; } }
    if (ROWS > 19) { let g = gradients_at(lane_pixel, channel + 19, last_channel); a19 += a * g; if (COLUMNS > 1) { b19 += b * g; } }
    if (ROWS > 20) { let g = gradients_at(lane_pixel, channel + 20, last_channel); a20 += a * g; if (COLUMNS > 1) { b20 += b * g; } }
    if (ROWS > 21) { let g = gradients_at(lane_pixel, channel + 21, last_channel); a21 += a * g; if (COLUMNS > 1) { b21 += b * g; } }
    if (ROWS > 22) { let g = gradients_at(lane_pixel, channel + 22, last_channel); a22 += a * g; if (COLUMNS > 1) { b22 += b * g; } }
    if (ROWS > 23) { let g = gradients_at(lane_pixel, channel + 23, last_channel); a23 += a * g; if (COLUMNS > 1) { b23 += b * g; } }
    if (ROWS > 24) { let g = gradients_at(lane_pixel, channel + 24, last_channel); a24 += a * g; if (COLUMNS > 1) { b24 += b * g; } }
  }
  let bases_a = store_bases(split, k);
  let bases_b = store_bases(split, k + 4);
  var tile_a = array<vec4f, 25>(
    a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12,
    a13, a14, a15, a16, a17, a18, a19, a20, a21, a22, a23, a24,
  );
  var tile_b = array<vec4f, 25>(
    b0, b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12,
    b13, b14, b15, b16, b17, b18, b19, b20, b21, b22, b23, b24,
  );
  for (var row = 0u; row < ROWS; row++) {
    store(bases_a, channel + row, last_channel, tile_a[row]);
    if (COLUMNS > 1) {
      store(bases_b, channel + row, last_channel, tile_b[row]);
    }
  }
}
