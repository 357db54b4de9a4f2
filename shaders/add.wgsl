// output = activation(first + second), a residual that no batch norm could take in.
//
//   first, second, output  VECTORS of 4
//
// Each invocation takes every STEP-th vector.

override VECTORS: u32 = 1;
override STEP: u32 = 1;
/// 0 none, 1 relu, 2 leaky relu with SLOPE below zero, 3 tanh, 4 sigmoid.
override ACTIVATION: u32 = 0;
override SLOPE: f32 = 0;
override INVOCATIONS: u32 = 64;

@group(0) @binding(0) var<storage, read> first: array<vec4f>;
@group(0) @binding(1) var<storage, read> second: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> output: array<vec4f>;

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (index >= STEP) {
    return;
  }
  for (var at = index; at < VECTORS; at += STEP) {
    output[at] = activated(first[at] + second[at]);
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
