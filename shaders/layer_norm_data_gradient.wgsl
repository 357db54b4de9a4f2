// The gradient at a layer norm's input, with g = dy * scale and means over the channels of each row:
//   dx = inverse deviation * (g - mean of g - xhat * mean of g * xhat)
//
//   input, output_gradient, undone, input_gradient [ROWS, CHANNELS]
//   scale                                          [CHANNELS]
//   mean, inverse_deviation                        [ROWS]
//
// One invocation per row. Beyond the last channel it repeats that one and stores equal bits.

override ROWS: u32 = 1;
override CHANNELS: u32 = 1;
/// Adds to what is there, and multiplies by the derivative of 1 relu, 2 leaky relu, 3 tanh, 4 sigmoid where it gave `undone`.
override ACCUMULATE: bool = false;
override UNDO: u32 = 0;
override SLOPE: f32 = 0;
override INVOCATIONS: u32 = 64;

override BLOCKS: u32 = (CHANNELS + 3) / 4;

@group(0) @binding(0) var<storage, read> input: array<f32>;
@group(0) @binding(1) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(2) var<storage, read> scale: array<f32>;
@group(0) @binding(3) var<storage, read> mean: array<f32>;
@group(0) @binding(4) var<storage, read> inverse_deviation: array<f32>;
@group(0) @binding(5) var<storage, read> undone: array<f32>;
@group(0) @binding(6) var<storage, read_write> input_gradient: array<f32>;

/// Four channels from the first of a block; those that do not exist repeat the last.
fn channels_of(block: u32) -> vec4u {
  return min(4 * block + vec4u(0, 1, 2, 3), vec4u(CHANNELS - 1));
}

/// dy * scale.
fn scaled_at(base: u32, channel: vec4u) -> vec4f {
  let at = base + channel;
  let slope = vec4f(output_gradient[at.x], output_gradient[at.y], output_gradient[at.z], output_gradient[at.w]);
  return slope * vec4f(scale[channel.x], scale[channel.y], scale[channel.z], scale[channel.w]);
}

fn values_at(at: vec4u) -> vec4f {
  return vec4f(input[at.x], input[at.y], input[at.z], input[at.w]);
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * INVOCATIONS + local;
  let row = index;
  if (row >= ROWS) {
    return;
  }
  let base = row * CHANNELS;
  let middle = mean[row];
  let inverse = inverse_deviation[row];
  var sum = 0.0;
  var products = 0.0;
  for (var block = 0u; block < BLOCKS; block++) {
    let existing = select(vec4f(), vec4f(1), 4 * block + vec4u(0, 1, 2, 3) < vec4u(CHANNELS));
    let channel = channels_of(block);
    let scaled = scaled_at(base, channel) * existing;
    sum += dot(scaled, vec4f(1));
    products += dot(scaled, (values_at(base + channel) - middle) * inverse);
  }
  let mean_of_scaled = sum / f32(CHANNELS);
  let mean_of_products = products / f32(CHANNELS);
  for (var block = 0u; block < BLOCKS; block++) {
    let channel = channels_of(block);
    let xhat = (values_at(base + channel) - middle) * inverse;
    give(base + channel, inverse * (scaled_at(base, channel) - mean_of_scaled - xhat * mean_of_products));
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
