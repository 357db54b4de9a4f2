// The gradient of max-pooling where windows tile the input exactly (SIZE = STRIDE, nothing left over): one invocation
// writes the whole window of four channels, so that each choice is read once. Elsewhere max_pool_gradient.wgsl serves.
//
//   output_gradient, choice [batch, OUT_HEIGHT, OUT_WIDTH, CHANNELS]
//   undone, input_gradient  [batch, OUT_HEIGHT * SIZE, OUT_WIDTH * SIZE, CHANNELS]
//
// Beyond the last channel an invocation repeats that one and stores equal bits.

override PIXELS: u32 = 1;
override OUT_HEIGHT: u32 = 1;
override OUT_WIDTH: u32 = 1;
override CHANNELS: u32 = 1;
override SIZE: u32 = 1;
/// Adds to what is there, and multiplies by the derivative of 1 relu, 2 leaky relu, 3 tanh, 4 sigmoid where it gave `undone`.
override ACCUMULATE: bool = false;
override UNDO: u32 = 0;
override SLOPE: f32 = 0;
override INVOCATIONS: u32 = 64;

override BLOCKS: u32 = (CHANNELS + 3) / 4;

@group(0) @binding(0) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(1) var<storage, read> choice: array<u32>;
@group(0) @binding(2) var<storage, read> undone: array<f32>;
@group(0) @binding(3) var<storage, read_write> input_gradient: array<f32>;

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (index >= PIXELS * BLOCKS) {
    return;
  }
  // Divisions are dear, so the remainders are not divided again.
  let pixel = index / BLOCKS;
  let first = (index - pixel * BLOCKS) * 4;
  let channels = min(first + vec4u(0, 1, 2, 3), vec4u(CHANNELS - 1));
  let row = pixel / OUT_WIDTH;
  let image = row / OUT_HEIGHT;
  let x = (pixel - row * OUT_WIDTH) * SIZE;
  let y = (row - image * OUT_HEIGHT) * SIZE;
  let image_base = image * OUT_HEIGHT * OUT_WIDTH * SIZE * SIZE * CHANNELS;
  let out = pixel * CHANNELS + channels;
  let chosen = vec4u(choice[out.x], choice[out.y], choice[out.z], choice[out.w]);
  let gradient = vec4f(output_gradient[out.x], output_gradient[out.y], output_gradient[out.z], output_gradient[out.w]);
  for (var dy = 0u; dy < SIZE; dy++) {
    for (var dx = 0u; dx < SIZE; dx++) {
      let own = ((y + dy) * OUT_WIDTH * SIZE + x + dx) * CHANNELS + channels;
      give(image_base + own, select(vec4f(), gradient, chosen == own));
    }
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
