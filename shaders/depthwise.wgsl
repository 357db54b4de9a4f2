// Depthwise convolution: each channel of the input meets only its own filters.
//
//   output[pixel, channel] = sum over taps of input[pixel + tap, channel / MULTIPLIER] * weights[tap, channel]
//
// or, where TRANSPOSED, its data gradient, which sums the MULTIPLIER output channels of each input channel:
//
//   output[pixel, channel] = sum over taps and m of input[pixel + tap, channel * MULTIPLIER + m] * weights[tap, channel * MULTIPLIER + m]
//
//   input   [BATCH, IN_HEIGHT, IN_WIDTH, IN_CHANNELS]; what it is read from is upsampled by UPSAMPLING with zeros
//   weights [SIZE, SIZE, 1, filters], read with their taps in reverse where TRANSPOSED
//   bias    [OUT_CHANNELS]
//   undone  as output: what the layer before put out, whose activation's derivative the sum is multiplied by
//   output  [BATCH, OUT_HEIGHT, OUT_WIDTH, OUT_CHANNELS]
//
// One invocation per four channels of an output pixel; those beyond the last channel are not stored.

override BATCH: u32 = 1;
override OUT_HEIGHT: u32 = 1;
override OUT_WIDTH: u32 = 1;
override IN_HEIGHT: u32 = 1;
override IN_WIDTH: u32 = 1;
override IN_CHANNELS: u32 = 1;
override OUT_CHANNELS: u32 = 1;
override SIZE: u32 = 1;
override STRIDE: u32 = 1;
override PADDING: i32 = 0;
override DILATION: u32 = 1;
override UPSAMPLING: u32 = 1;
override TRANSPOSED: bool = false;
override BIAS: bool = false;
/// 0 none, 1 relu, 2 leaky relu with SLOPE below zero, 3 tanh, 4 sigmoid; UNDO likewise.
override ACTIVATION: u32 = 0;
override UNDO: u32 = 0;
override SLOPE: f32 = 0;
override ACCUMULATE: bool = false;
override INVOCATIONS: u32 = 64;

override BLOCKS: u32 = (OUT_CHANNELS + 3) / 4;
override FILTERS: u32 = max(IN_CHANNELS, OUT_CHANNELS);
override MULTIPLIER: u32 = FILTERS / min(IN_CHANNELS, OUT_CHANNELS);

@group(0) @binding(0) var<storage, read> input: array<f32>;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> undone: array<f32>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

/// What one tap adds to four channels.
fn products_at(input_base: u32, weights_base: u32, channels: vec4u) -> vec4f {
  if (!TRANSPOSED) {
    let from_channels = channels / MULTIPLIER;
    return four_inputs(input_base + from_channels) * four_weights(weights_base + channels);
  }
  var sum = vec4f();
  for (var m = 0u; m < MULTIPLIER; m++) {
    let filters = channels * MULTIPLIER + m;
    sum += four_inputs(input_base + filters) * four_weights(weights_base + filters);
  }
  return sum;
}

fn four_inputs(at: vec4u) -> vec4f {
  return vec4f(input[at.x], input[at.y], input[at.z], input[at.w]);
}

fn four_weights(at: vec4u) -> vec4f {
  return vec4f(weights[at.x], weights[at.y], weights[at.z], weights[at.w]);
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

fn store(at: u32, sum: f32) {
  var value = sum;
  if (ACCUMULATE) {
    value += output[at];
  }
  if (UNDO > 0) {
    value *= derivative(undone[at]);
  }
  output[at] = activated(value);
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (index >= BATCH * OUT_HEIGHT * OUT_WIDTH * BLOCKS) {
    return;
  }
  // Divisions are dear, so the remainders are not divided again.
  let pixel = index / BLOCKS;
  let first = (index - pixel * BLOCKS) * 4;
  let channels = min(first + vec4u(0, 1, 2, 3), vec4u(OUT_CHANNELS - 1));
  let row = pixel / OUT_WIDTH;
  let image = row / OUT_HEIGHT;
  let from_x = i32((pixel - row * OUT_WIDTH) * STRIDE) - PADDING;
  let from_y = i32((row - image * OUT_HEIGHT) * STRIDE) - PADDING;
  var sum = vec4f();
  if (BIAS) {
    sum = vec4f(bias[channels.x], bias[channels.y], bias[channels.z], bias[channels.w]);
  }
  for (var tap_y = 0u; tap_y < SIZE; tap_y++) {
    let up_y = u32(from_y + i32(tap_y * DILATION));
    let y = up_y / UPSAMPLING;
    if (y >= IN_HEIGHT || y * UPSAMPLING != up_y) {
      continue;
    }
    for (var tap_x = 0u; tap_x < SIZE; tap_x++) {
      let up_x = u32(from_x + i32(tap_x * DILATION));
      let x = up_x / UPSAMPLING;
      if (x >= IN_WIDTH || x * UPSAMPLING != up_x) {
        continue;
      }
      let tap = tap_y * SIZE + tap_x;
      let filter_tap = select(tap, SIZE * SIZE - 1 - tap, TRANSPOSED);
      sum += products_at(((image * IN_HEIGHT + y) * IN_WIDTH + x) * IN_CHANNELS, filter_tap * FILTERS, channels);
    }
  }
  let at = pixel * OUT_CHANNELS + first;
  store(at, sum.x);
  if (first + 1 < OUT_CHANNELS) {
    store(at + 1, sum.y);
  }
  if (first + 2 < OUT_CHANNELS) {
    store(at + 2, sum.z);
  }
  if (first + 3 < OUT_CHANNELS) {
    store(at + 3, sum.w);
  }
}
