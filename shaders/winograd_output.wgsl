// Winograd F(2x2, 3x3), the end: tiles of 2x2 output pixels out of 16 products.
//
//   output[tile] = A^T M A + bias, A^T = [1 1 1 0; 0 1 -1 -1]
//
//   products [16, BATCH * TILES_Y * TILES_X, CHANNELS]
//   bias     [CHANNELS]
//   undone   as output: what the layer before put out, whose activation's derivative the sum is multiplied by
//   output   [BATCH, OUT_HEIGHT, OUT_WIDTH, CHANNELS]
//
// One invocation per channel of a tile; pixels beyond the edge are not stored.

override BATCH: u32 = 1;
override OUT_HEIGHT: u32 = 1;
override OUT_WIDTH: u32 = 1;
override CHANNELS: u32 = 1;
override TILES_Y: u32 = 1;
override TILES_X: u32 = 1;
override BIAS: bool = false;
/// 0 none, 1 relu, 2 leaky relu with SLOPE below zero, 3 tanh, 4 sigmoid; UNDO likewise.
override ACTIVATION: u32 = 0;
override UNDO: u32 = 0;
override SLOPE: f32 = 0;
override ACCUMULATE: bool = false;
override INVOCATIONS: u32 = 64;

override TILES: u32 = BATCH * TILES_Y * TILES_X;

@group(0) @binding(0) var<storage, read> products: array<f32>;
@group(0) @binding(1) var<storage, read> bias: array<f32>;
@group(0) @binding(2) var<storage, read> undone: array<f32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

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

fn store(image: u32, y: u32, x: u32, channel: u32, sum: f32) {
  if (y < OUT_HEIGHT && x < OUT_WIDTH) {
    store_element(((image * OUT_HEIGHT + y) * OUT_WIDTH + x) * CHANNELS + channel, sum);
  }
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (index >= TILES * CHANNELS) {
    return;
  }
  let tile = index / CHANNELS;
  let channel = index - tile * CHANNELS;
  let step = TILES * CHANNELS;
  let m0 = vec4f(products[index], products[index + step], products[index + 2 * step], products[index + 3 * step]);
  let m1 = vec4f(products[index + 4 * step], products[index + 5 * step], products[index + 6 * step], products[index + 7 * step]);
  let m2 = vec4f(products[index + 8 * step], products[index + 9 * step], products[index + 10 * step], products[index + 11 * step]);
  let m3 = vec4f(products[index + 12 * step], products[index + 13 * step], products[index + 14 * step], products[index + 15 * step]);
  let upper = m0 + m1 + m2;
  let lower = m1 - m2 - m3;
  var start = 0.0;
  if (BIAS) {
    start = bias[channel];
  }
  let row = tile / TILES_X;
  let image = row / TILES_Y;
  let y = (row - image * TILES_Y) * 2;
  let x = (tile - row * TILES_X) * 2;
  store(image, y, x, channel, start + upper.x + upper.y + upper.z);
  store(image, y, x + 1, channel, start + upper.y - upper.z - upper.w);
  store(image, y + 1, x, channel, start + lower.x + lower.y + lower.z);
  store(image, y + 1, x + 1, channel, start + lower.y - lower.z - lower.w);
}
