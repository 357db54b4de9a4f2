// Lifting: the sum over taps that a lowered product left undone (Caffe con Troll's types 2 and 3; where the pass is a data
// gradient, type 3 is Caffe's col2im as a gather).
//
//   output[image, y, x, c] = sum over taps of columns[image, (y * STRIDE_Y - PADDING_Y + tap_y * DILATION_Y) / UPSAMPLING_Y, ..., tap, c]
//
//   columns [IMAGES, IN_HEIGHT, IN_WIDTH, TAPS_Y, TAPS_X, CHANNELS]; taps outside, or with a remainder, are left out
//   bias    [CHANNELS]
//   undone  as output: what the layer before put out, whose activation's derivative the sum is multiplied by
//   output  [IMAGES, OUT_HEIGHT, OUT_WIDTH, CHANNELS]
//
// Type 3 sums over both axes, type 2 over y alone (TAPS_X = 1). Where REVERSED, the columns have their taps in reverse.
// One invocation per four channels of an output pixel, no atomics; those beyond the last channel are not stored.

override IMAGES: u32 = 1;
override CHANNELS: u32 = 1;
override IN_HEIGHT: u32 = 1;
override IN_WIDTH: u32 = 1;
override OUT_HEIGHT: u32 = 1;
override OUT_WIDTH: u32 = 1;
override TAPS_Y: u32 = 1;
override TAPS_X: u32 = 1;
override STRIDE_Y: u32 = 1;
override STRIDE_X: u32 = 1;
override PADDING_Y: i32 = 0;
override PADDING_X: i32 = 0;
override DILATION_Y: u32 = 1;
override DILATION_X: u32 = 1;
override UPSAMPLING_Y: u32 = 1;
override UPSAMPLING_X: u32 = 1;
override REVERSED: bool = false;
override BIAS: bool = false;
/// 0 none, 1 relu, 2 leaky relu with SLOPE below zero, 3 tanh, 4 sigmoid; UNDO likewise.
override ACTIVATION: u32 = 0;
override UNDO: u32 = 0;
override SLOPE: f32 = 0;
override ACCUMULATE: bool = false;
override INVOCATIONS: u32 = 64;

override BLOCKS: u32 = (CHANNELS + 3) / 4;
override VECTOR: bool = CHANNELS % 4 == 0;

@group(0) @binding(0) var<storage, read> columns: array<f32>;
@group(0) @binding(1) var<storage, read> column_vectors: array<vec4f>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> undone: array<f32>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

/// The taps that fall inside an axis: from `first` on, every `step`, before `end`; `at` is where the first one falls.
struct Taps {
  first: u32,
  end: u32,
  step: u32,
  start: i32,
}

fn taps_on(start: i32, length: u32, taps: u32, dilation: u32, upsampling: u32) -> Taps {
  let end_at = i32(length * upsampling);
  var first = 0u;
  var step = 1u;
  if (dilation == 1) {
    first = u32(max(-start, 0));
    if (upsampling > 1) {
      let at = u32(start + i32(first));
      first += (upsampling - at % upsampling) % upsampling;
      step = upsampling;
    }
    return Taps(first, u32(clamp(end_at - start, 0, i32(taps))), step, start);
  }
  return Taps(first, taps, step, start);
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
  if (index >= IMAGES * OUT_HEIGHT * OUT_WIDTH * BLOCKS) {
    return;
  }
  // Divisions are dear, so the remainders are not divided again.
  let pixel = index / BLOCKS;
  let first = (index - pixel * BLOCKS) * 4;
  let channels = min(vec4u(first, first + 1, first + 2, first + 3), vec4u(CHANNELS - 1));
  let row = pixel / OUT_WIDTH;
  let image = row / OUT_HEIGHT;
  let x = pixel - row * OUT_WIDTH;
  let y = row - image * OUT_HEIGHT;
  let taps_y = taps_on(i32(y * STRIDE_Y) - PADDING_Y, IN_HEIGHT, TAPS_Y, DILATION_Y, UPSAMPLING_Y);
  let taps_x = taps_on(i32(x * STRIDE_X) - PADDING_X, IN_WIDTH, TAPS_X, DILATION_X, UPSAMPLING_X);
  var sum = vec4f();
  for (var tap_y = taps_y.first; tap_y < taps_y.end; tap_y += taps_y.step) {
    let at_y = u32(taps_y.start + i32(tap_y * DILATION_Y));
    let from_y = at_y / UPSAMPLING_Y;
    for (var tap_x = taps_x.first; tap_x < taps_x.end; tap_x += taps_x.step) {
      let at_x = u32(taps_x.start + i32(tap_x * DILATION_X));
      let from_x = at_x / UPSAMPLING_X;
      let inside_y = (from_y < IN_HEIGHT) & (from_y * UPSAMPLING_Y == at_y);
      let inside_x = (from_x < IN_WIDTH) & (from_x * UPSAMPLING_X == at_x);
      if ((DILATION_Y * DILATION_X == 1) || (inside_y & inside_x)) {
        let tap = tap_y * TAPS_X + tap_x;
        let column = select(tap, TAPS_Y * TAPS_X - 1 - tap, REVERSED);
        let base = ((image * IN_HEIGHT + from_y) * IN_WIDTH + from_x) * TAPS_Y * TAPS_X + column;
        let at = base * CHANNELS + channels;
        if (VECTOR) {
          sum += column_vectors[at.x / 4];
        } else {
          sum += vec4f(columns[at.x], columns[at.y], columns[at.z], columns[at.w]);
        }
      }
    }
  }
  if (BIAS) {
    sum += vec4f(bias[channels.x], bias[channels.y], bias[channels.z], bias[channels.w]);
  }
  let at = pixel * CHANNELS + first;
  store(at, sum.x);
  if (VECTOR || first + 1 < CHANNELS) {
    store(at + 1, sum.y);
  }
  if (VECTOR || first + 2 < CHANNELS) {
    store(at + 2, sum.z);
  }
  if (VECTOR || first + 3 < CHANNELS) {
    store(at + 3, sum.w);
  }
}
