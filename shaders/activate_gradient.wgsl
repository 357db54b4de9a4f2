// input_gradient = output_gradient * the activation's derivative at the input.
//
//   input, output_gradient, undone, input_gradient  VECTORS of 4
//
// Each invocation takes every STEP-th vector.

override VECTORS: u32 = 1;
override STEP: u32 = 1;
/// 1 relu, 2 leaky relu with BELOW as its slope below zero, 3 tanh, 4 sigmoid, 5 gelu (the form with tanh), 6 silu.
override ACTIVATION: u32 = 0;
override BELOW: f32 = 0;
/// Adds to what is there, and multiplies by the derivative of 1 relu, 2 leaky relu, 3 tanh, 4 sigmoid where it gave `undone`.
override ACCUMULATE: bool = false;
override UNDO: u32 = 0;
override SLOPE: f32 = 0;
override INVOCATIONS: u32 = 64;

@group(0) @binding(0) var<storage, read> input: array<vec4f>;
@group(0) @binding(1) var<storage, read> output_gradient: array<vec4f>;
@group(0) @binding(2) var<storage, read> undone: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> input_gradient: array<vec4f>;

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (index >= STEP) {
    return;
  }
  for (var at = index; at < VECTORS; at += STEP) {
    var gradient = output_gradient[at] * slope_at(input[at]);
    if (ACCUMULATE) {
      gradient += input_gradient[at];
    }
    if (UNDO > 0) {
      gradient *= derivative(undone[at]);
    }
    input_gradient[at] = gradient;
  }
}

/// The derivative where the activation's input is x.
fn slope_at(x: vec4f) -> vec4f {
  switch (ACTIVATION) {
    case 1: { return select(vec4f(), vec4f(1), x > vec4f()); }
    case 2: { return select(vec4f(BELOW), vec4f(1), x > vec4f()); }
    case 3: { return 4 * sigmoid_slope(2 * x); }
    case 4: { return sigmoid_slope(x); }
    case 5: {
      let inner = 1.5957691216 * (x + 0.044715 * x * x * x);
      return sigmoid(inner) + x * sigmoid_slope(inner) * 1.5957691216 * (1 + 0.134145 * x * x);
    }
    default: { return sigmoid(x) + x * sigmoid_slope(x); }
  }
}

fn sigmoid(x: vec4f) -> vec4f {
  return 1 / (1 + exp(min(-x, vec4f(80))));
}

/// sigmoid * (1 - sigmoid), without a difference of neighbours of 1.
fn sigmoid_slope(x: vec4f) -> vec4f {
  let e = exp(-abs(x));
  return e / ((1 + e) * (1 + e));
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
