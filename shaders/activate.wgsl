// output = activation(input), where it could not be fused into the layer before.
//
//   input, output  VECTORS of 4
//
// Each invocation takes every STEP-th vector.

override VECTORS: u32 = 1;
override STEP: u32 = 1;
/// 1 relu, 2 leaky relu with SLOPE below zero, 3 tanh, 4 sigmoid, 5 gelu (the form with tanh), 6 silu.
override ACTIVATION: u32 = 0;
override SLOPE: f32 = 0;
override INVOCATIONS: u32 = 64;

@group(0) @binding(0) var<storage, read> input: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> output: array<vec4f>;

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (index >= STEP) {
    return;
  }
  for (var at = index; at < VECTORS; at += STEP) {
    output[at] = activated(input[at]);
  }
}

fn activated(x: vec4f) -> vec4f {
  switch (ACTIVATION) {
    case 1: { return max(x, vec4f()); }
    case 2: { return select(SLOPE * x, x, x > vec4f()); }
    case 3: { return tanh_of(x); }
    case 4: { return sigmoid(x); }
    // (1 + tanh u) / 2 is the sigmoid of 2 u, which does not cancel below zero.
    case 5: { return x * sigmoid(1.5957691216 * (x + 0.044715 * x * x * x)); }
    default: { return x * sigmoid(x); }
  }
}

fn sigmoid(x: vec4f) -> vec4f {
  return 1 / (1 + exp(min(-x, vec4f(80))));
}

/// WGSL allows tanh an error of 1e-5, and none where it overflows.
fn tanh_of(x: vec4f) -> vec4f {
  let e = exp(-2 * abs(x));
  return sign(x) * (1 - e) / (1 + e);
}
