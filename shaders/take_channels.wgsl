// The gradient of one part of a concatenation: input_gradient [ROWS, CHANNELS] = output_gradient [ROWS, OUT_CHANNELS] at
// channel OFFSET. undone is shaped as input_gradient.
//
// One invocation per four channels of every LANES-th row; beyond the last channel it repeats that one and stores equal
// bits.

override ROWS: u32 = 1;
override CHANNELS: u32 = 1;
override OUT_CHANNELS: u32 = 1;
override OFFSET: u32 = 0;
override LANES: u32 = 1;
/// Adds to what is there, and multiplies by the derivative of 1 relu, 2 leaky relu, 3 tanh, 4 sigmoid where it gave `undone`.
override ACCUMULATE: bool = false;
override UNDO: u32 = 0;
override SLOPE: f32 = 0;
override INVOCATIONS: u32 = 64;

override BLOCKS: u32 = (CHANNELS + 3) / 4;
override VECTOR: bool = (CHANNELS | OUT_CHANNELS | OFFSET) % 4 == 0;

@group(0) @binding(0) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(1) var<storage, read> output_gradient_vectors: array<vec4f>;
@group(0) @binding(2) var<storage, read> undone: array<f32>;
@group(0) @binding(3) var<storage, read_write> input_gradient: array<f32>;

fn gradients_at(at: vec4u) -> vec4f {
  if (VECTOR) {
    return output_gradient_vectors[at.x / 4];
  }
  return vec4f(output_gradient[at.x], output_gradient[at.y], output_gradient[at.z], output_gradient[at.w]);
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (index >= LANES * BLOCKS) {
    return;
  }
  let lane = index / BLOCKS;
  let first = (index - lane * BLOCKS) * 4;
  let channels = min(first + vec4u(0, 1, 2, 3), vec4u(CHANNELS - 1));
  for (var row = lane; row < ROWS; row += LANES) {
    give(row * CHANNELS + channels, gradients_at(row * OUT_CHANNELS + OFFSET + channels));
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
