// Layer norm: output = activation(scale * (input - mean) * inverse deviation + shift), over the channels of each row.
//
//   input, output           [ROWS, CHANNELS]
//   scale, shift            [CHANNELS]
//   mean, inverse_deviation [ROWS], kept for the gradients; 1 / sqrt(variance + EPSILON)
//
// One invocation per row, which reads it three times, so that a large mean does not cancel the deviations. Beyond the last
// channel it repeats that one and stores equal bits.

override ROWS: u32 = 1;
override CHANNELS: u32 = 1;
override EPSILON: f32 = 0;
/// 0 none, 1 relu, 2 leaky relu with SLOPE below zero, 3 tanh, 4 sigmoid.
override ACTIVATION: u32 = 0;
override SLOPE: f32 = 0;
override INVOCATIONS: u32 = 64;

override BLOCKS: u32 = (CHANNELS + 3) / 4;
override VECTOR: bool = CHANNELS % 4 == 0;

@group(0) @binding(0) var<storage, read> input: array<f32>;
@group(0) @binding(1) var<storage, read> input_vectors: array<vec4f>;
@group(0) @binding(2) var<storage, read> scale: array<f32>;
@group(0) @binding(3) var<storage, read> shift: array<f32>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;
@group(0) @binding(5) var<storage, read_write> mean: array<f32>;
@group(0) @binding(6) var<storage, read_write> inverse_deviation: array<f32>;

/// Four channels from the first of a block; those that do not exist repeat the last.
fn channels_of(block: u32) -> vec4u {
  return min(4 * block + vec4u(0, 1, 2, 3), vec4u(CHANNELS - 1));
}

fn values_at(at: vec4u) -> vec4f {
  if (VECTOR) {
    return input_vectors[at.x / 4];
  }
  return vec4f(input[at.x], input[at.y], input[at.z], input[at.w]);
}

/// 1 for each channel of a block that exists, else 0.
fn existing(block: u32) -> vec4f {
  return select(vec4f(), vec4f(1), 4 * block + vec4u(0, 1, 2, 3) < vec4u(CHANNELS));
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * INVOCATIONS + local;
  let row = index;
  if (row >= ROWS) {
    return;
  }
  let base = row * CHANNELS;
  var sum = 0.0;
  for (var block = 0u; block < BLOCKS; block++) {
    sum += dot(values_at(base + channels_of(block)), existing(block));
  }
  let middle = sum / f32(CHANNELS);
  var squares = 0.0;
  for (var block = 0u; block < BLOCKS; block++) {
    let deviation = (values_at(base + channels_of(block)) - middle) * existing(block);
    squares += dot(deviation, deviation);
  }
  let inverse = 1 / sqrt(squares / f32(CHANNELS) + EPSILON);
  mean[row] = middle;
  inverse_deviation[row] = inverse;
  for (var block = 0u; block < BLOCKS; block++) {
    let channel = channels_of(block);
    let factor = vec4f(scale[channel.x], scale[channel.y], scale[channel.z], scale[channel.w]);
    let offset = vec4f(shift[channel.x], shift[channel.y], shift[channel.z], shift[channel.w]);
    let value = activated((values_at(base + channel) - middle) * inverse * factor + offset);
    let out = base + channel;
    output[out.x] = value.x;
    output[out.y] = value.y;
    output[out.z] = value.z;
    output[out.w] = value.w;
  }
}

fn activated(x: vec4f) -> vec4f {
  switch (ACTIVATION) {
    case 1: { return max(x, vec4f()); }
    case 2: { return select(SLOPE * x, x, x > vec4f()); }
    case 3: { return tanh_of(x); }
    case 4: { return 1 / (1 + exp(min(-x, vec4f(80)))); }
    default: { return x; }
  }
}

/// WGSL allows tanh an error of 1e-5, and none where it overflows.
fn tanh_of(x: vec4f) -> vec4f {
  let e = exp(-2 * abs(x));
  return sign(x) * (1 - e) / (1 + e);
}
