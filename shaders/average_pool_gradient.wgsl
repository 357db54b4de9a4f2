// The gradient of average pooling at its input, as a gather: each input gets its share of every window that covers it.
//
//   output_gradient        [batch, OUT_HEIGHT, OUT_WIDTH, CHANNELS]
//   undone, input_gradient [batch, IN_HEIGHT, IN_WIDTH, CHANNELS]
//
// A window is shared by its taps inside the image. One invocation per four channels of an input pixel, no atomics; beyond
// the last channel it repeats that one and stores equal bits.

override PIXELS: u32 = 1;
override OUT_HEIGHT: u32 = 1;
override OUT_WIDTH: u32 = 1;
override IN_HEIGHT: u32 = 1;
override IN_WIDTH: u32 = 1;
override CHANNELS: u32 = 1;
override SIZE: u32 = 1;
override STRIDE: u32 = 1;
override PADDING: u32 = 0;
/// Adds to what is there, and multiplies by the derivative of 1 relu, 2 leaky relu, 3 tanh, 4 sigmoid where it gave `undone`.
override ACCUMULATE: bool = false;
override UNDO: u32 = 0;
override SLOPE: f32 = 0;
override INVOCATIONS: u32 = 64;

override BLOCKS: u32 = (CHANNELS + 3) / 4;
override VECTOR: bool = CHANNELS % 4 == 0;

@group(0) @binding(0) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(1) var<storage, read> output_gradient_vectors: array<vec4f>;
@group(0) @binding(2) var<storage, read> undone: array<f32>;
@group(0) @binding(3) var<storage, read_write> input_gradient: array<f32>;

/// The first window that covers position `at` of a padded axis.
fn first_window(at: u32) -> u32 {
  return (max(at, SIZE - 1) - (SIZE - 1) + STRIDE - 1) / STRIDE;
}

/// How many taps of a window lie inside an axis of `length`.
fn taps_inside(window: u32, length: u32) -> u32 {
  let begin = window * STRIDE;
  return min(begin + SIZE, length + PADDING) - max(begin, PADDING);
}

/// Four channels from `at` on, those that do not exist repeating the last.
fn gradients_at(at: u32, lanes: vec4u) -> vec4f {
  if (VECTOR) {
    return output_gradient_vectors[at / 4];
  }
  return vec4f(
    output_gradient[at],
    output_gradient[at + lanes.y],
    output_gradient[at + lanes.z],
    output_gradient[at + lanes.w],
  );
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (index >= PIXELS * BLOCKS) {
    return;
  }
  // Divisions are dear, so the remainders are not divided again.
  let pixel = index / BLOCKS;
  let first = (index - pixel * BLOCKS) * 4;
  let lanes = min(vec4u(0, 1, 2, 3), vec4u(CHANNELS - 1 - first));
  let row = pixel / IN_WIDTH;
  let image = row / IN_HEIGHT;
  // In the padded image.
  let x = pixel - row * IN_WIDTH + PADDING;
  let y = row - image * IN_HEIGHT + PADDING;
  let first_x = first_window(x);
  let end_x = min(x / STRIDE + 1, OUT_WIDTH);
  let end_y = min(y / STRIDE + 1, OUT_HEIGHT);
  var sum = vec4f();
  for (var window_y = first_window(y); window_y < end_y; window_y++) {
    let rows = taps_inside(window_y, IN_HEIGHT);
    for (var window_x = first_x; window_x < end_x; window_x++) {
      let taps = f32(rows * taps_inside(window_x, IN_WIDTH));
      let at = ((image * OUT_HEIGHT + window_y) * OUT_WIDTH + window_x) * CHANNELS + first;
      sum += gradients_at(at, lanes) / taps;
    }
  }
  give(pixel * CHANNELS + first + lanes, sum);
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
