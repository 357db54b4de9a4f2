// The gradient at a batch norm's input, with the means from the gradients of shift and scale:
//   dx = scale * inverse deviation * (dy - mean of dy - xhat * mean of dy * xhat)
//
//   input, output_gradient, undone, input_gradient [ROWS, CHANNELS], VECTORS of 4
//   scale, mean, inverse_deviation                 [CHANNELS]
//   gradients                                      [CHANNELS] of scale, and from SHIFT_AT on of shift
//
// Each invocation takes every STEP-th vector; channels repeat every STEP vectors.

override VECTORS: u32 = 1;
override STEP: u32 = 1;
override ROWS: u32 = 1;
override CHANNELS: u32 = 1;
override SHIFT_AT: u32 = 0;
/// Adds to what is there, and multiplies by the derivative of 1 relu, 2 leaky relu, 3 tanh, 4 sigmoid where it gave `undone`.
override ACCUMULATE: bool = false;
override UNDO: u32 = 0;
override SLOPE: f32 = 0;
override INVOCATIONS: u32 = 64;

@group(0) @binding(0) var<storage, read> input: array<vec4f>;
@group(0) @binding(1) var<storage, read> output_gradient: array<vec4f>;
@group(0) @binding(2) var<storage, read> scale: array<f32>;
@group(0) @binding(3) var<storage, read> mean: array<f32>;
@group(0) @binding(4) var<storage, read> inverse_deviation: array<f32>;
@group(0) @binding(5) var<storage, read> gradients: array<f32>;
@group(0) @binding(6) var<storage, read> undone: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> input_gradient: array<vec4f>;

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (index >= STEP) {
    return;
  }
  let channel = (4 * index + vec4u(0, 1, 2, 3)) % CHANNELS;
  let shift_at = channel + SHIFT_AT;
  let middle = vec4f(mean[channel.x], mean[channel.y], mean[channel.z], mean[channel.w]);
  let inverse = vec4f(
    inverse_deviation[channel.x],
    inverse_deviation[channel.y],
    inverse_deviation[channel.z],
    inverse_deviation[channel.w],
  );
  let factor = inverse * vec4f(scale[channel.x], scale[channel.y], scale[channel.z], scale[channel.w]);
  let products = vec4f(gradients[channel.x], gradients[channel.y], gradients[channel.z], gradients[channel.w]);
  let sums = vec4f(gradients[shift_at.x], gradients[shift_at.y], gradients[shift_at.z], gradients[shift_at.w]);
  let mean_slope = sums / f32(ROWS);
  let mean_product = products * inverse / f32(ROWS);
  for (var at = index; at < VECTORS; at += STEP) {
    var gradient = factor * (output_gradient[at] - mean_slope - (input[at] - middle) * mean_product);
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
