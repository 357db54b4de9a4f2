// Batch norm with the residual and the activation that follow it:
//   output = activation(scale * (input - mean) * inverse deviation + shift + addend)
//
//   input, addend, output    [rows, CHANNELS], VECTORS of 4
//   scale, shift, mean       [CHANNELS]
//   spread                   [CHANNELS]: inverse deviations, or, where RUNNING, variances
//
// Each invocation takes every STEP-th vector. Channels repeat every STEP vectors, so it loads what belongs to its channels
// once.

override VECTORS: u32 = 1;
override STEP: u32 = 1;
override CHANNELS: u32 = 1;
override RUNNING: bool = false;
override EPSILON: f32 = 0;
override ADDEND: bool = false;
/// 0 none, 1 relu, 2 leaky relu with SLOPE below zero, 3 tanh, 4 sigmoid.
override ACTIVATION: u32 = 0;
override SLOPE: f32 = 0;
override INVOCATIONS: u32 = 64;

@group(0) @binding(0) var<storage, read> input: array<vec4f>;
@group(0) @binding(1) var<storage, read> addend: array<vec4f>;
@group(0) @binding(2) var<storage, read> scale: array<f32>;
@group(0) @binding(3) var<storage, read> shift: array<f32>;
@group(0) @binding(4) var<storage, read> mean: array<f32>;
@group(0) @binding(5) var<storage, read> spread: array<f32>;
@group(0) @binding(6) var<storage, read_write> output: array<vec4f>;

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (index >= STEP) {
    return;
  }
  let channel = (4 * index + vec4u(0, 1, 2, 3)) % CHANNELS;
  var inverse = vec4f(spread[channel.x], spread[channel.y], spread[channel.z], spread[channel.w]);
  if (RUNNING) {
    inverse = 1 / sqrt(inverse + EPSILON);
  }
  let factor = inverse * vec4f(scale[channel.x], scale[channel.y], scale[channel.z], scale[channel.w]);
  let offset = vec4f(shift[channel.x], shift[channel.y], shift[channel.z], shift[channel.w]);
  let middle = vec4f(mean[channel.x], mean[channel.y], mean[channel.z], mean[channel.w]);
  for (var at = index; at < VECTORS; at += STEP) {
    var value = (input[at] - middle) * factor + offset;
    if (ADDEND) {
      value += addend[at];
    }
    output[at] = activated(value);
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
