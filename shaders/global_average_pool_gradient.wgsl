// input_gradient [BATCH, PIXELS, CHANNELS] = output_gradient [BATCH, CHANNELS] / PIXELS.
//
// undone is shaped as input_gradient. One invocation per four channels of every LANES-th pixel of an image; beyond the last
// channel it repeats that one and stores equal bits.

override BATCH: u32 = 1;
override PIXELS: u32 = 1;
override CHANNELS: u32 = 1;
override LANES: u32 = 1;
/// Adds to what is there, and multiplies by the derivative of 1 relu, 2 leaky relu, 3 tanh, 4 sigmoid where it gave `undone`.
override ACCUMULATE: bool = false;
override UNDO: u32 = 0;
override SLOPE: f32 = 0;
override INVOCATIONS: u32 = 64;

override BLOCKS: u32 = (CHANNELS + 3) / 4;

@group(0) @binding(0) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(1) var<storage, read> undone: array<f32>;
@group(0) @binding(2) var<storage, read_write> input_gradient: array<f32>;

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (index >= BATCH * LANES * BLOCKS) {
    return;
  }
  let row = index / BLOCKS;
  let first = (index - row * BLOCKS) * 4;
  let image = row / LANES;
  let channels = min(first + vec4u(0, 1, 2, 3), vec4u(CHANNELS - 1));
  let whole = image * CHANNELS + channels;
  let sum = vec4f(output_gradient[whole.x], output_gradient[whole.y], output_gradient[whole.z], output_gradient[whole.w]);
  for (var pixel = row - image * LANES; pixel < PIXELS; pixel += LANES) {
    give((image * PIXELS + pixel) * CHANNELS + channels, sum / f32(PIXELS));
  }
}

/// Stores four channels of the gradient at addresses `at`.
fn give(at: vec4u, value: vec4f) {
  var gradient = value;
  if (ACCUMULATE) {
    gradient += vec4f(input_gradient[at.x], input_gradient[at.y], input_gradient[at.z], input_gradient[at.w]);
  }
  if (UNDO > 0) {
    gradient *= derivative(vec4f(undone[at.x], undone[at.y], undone[at.z], undone[at.w]));
  }
  input_gradient[at.x] = gradient.x;
  input_gradient[at.y] = gradient.y;
  input_gradient[at.z] = gradient.z;
  input_gradient[at.w] = gradient.w;
}

/// The derivative of an activation where it put out y.
fn derivative(y: vec4f) -> vec4f {
  switch (UNDO) {
    case 1: { return select(vec4f(), vec4f(1), y > vec4f()); }
    case 2: { return select(vec4f(SLOPE), vec4f(1), y > vec4f()); }
    case 3: { return 1 - y * y; }
    default: { return y * (1 - y); }
  }
}
