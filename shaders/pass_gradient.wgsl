// input_gradient = output_gradient: the gradient of a sum, where the tensor could not simply be handed on.
//
//   output_gradient, undone, input_gradient  VECTORS of 4
//
// Each invocation takes every STEP-th vector.

override VECTORS: u32 = 1;
override STEP: u32 = 1;
/// Adds to what is there, and multiplies by the derivative of 1 relu, 2 leaky relu, 3 tanh, 4 sigmoid where it gave `undone`.
override ACCUMULATE: bool = false;
override UNDO: u32 = 0;
override SLOPE: f32 = 0;
override INVOCATIONS: u32 = 64;

@group(0) @binding(0) var<storage, read> output_gradient: array<vec4f>;
@group(0) @binding(1) var<storage, read> undone: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> input_gradient: array<vec4f>;

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (index >= STEP) {
    return;
  }
  for (var at = index; at < VECTORS; at += STEP) {
    var gradient = output_gradient[at];
    if (ACCUMULATE) {
      gradient += input_gradient[at];
    }
    if (UNDO > 0) {
      gradient *= derivative(undone[at]);
    }
    input_gradient[at] = gradient;
  }
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
