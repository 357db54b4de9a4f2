// The gradient of max-pooling at its input, as a gather: each input asks the windows that cover it whether it won.
//
//   output_gradient, choice [batch, OUT_HEIGHT, OUT_WIDTH, CHANNELS]
//   mask, input_gradient    [batch, IN_HEIGHT, IN_WIDTH, CHANNELS]; where mask is not positive the gradient becomes 0
//
// One invocation per four channels of an input pixel, no atomics; beyond the last channel it repeats that one and stores
// equal bits.

override PIXELS: u32 = 1;
override OUT_HEIGHT: u32 = 1;
override OUT_WIDTH: u32 = 1;
override IN_HEIGHT: u32 = 1;
override IN_WIDTH: u32 = 1;
override CHANNELS: u32 = 1;
override SIZE: u32 = 1;
override STRIDE: u32 = 1;
override MASK: bool = false;
override INVOCATIONS: u32 = 64;

override BLOCKS: u32 = (CHANNELS + 3) / 4;

@group(0) @binding(0) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(1) var<storage, read> choice: array<u32>;
@group(0) @binding(2) var<storage, read> mask: array<f32>;
@group(0) @binding(3) var<storage, read_write> input_gradient: array<f32>;

/// The first window that covers position `at` of an axis.
fn first_window(at: u32) -> u32 {
  return (max(at, SIZE - 1) - (SIZE - 1) + STRIDE - 1) / STRIDE;
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
  let channels = min(vec4u(first, first + 1, first + 2, first + 3), vec4u(CHANNELS - 1));
  let row = pixel / IN_WIDTH;
  let x = pixel - row * IN_WIDTH;
  let image = row / IN_HEIGHT;
  let y = row - image * IN_HEIGHT;
  let own = (y * IN_WIDTH + x) * CHANNELS + channels;
  let first_x = first_window(x);
  let end_x = min(x / STRIDE + 1, OUT_WIDTH);
  let end_y = min(y / STRIDE + 1, OUT_HEIGHT);
  var sum = vec4f();
  for (var window_y = first_window(y); window_y < end_y; window_y++) {
    for (var window_x = first_x; window_x < end_x; window_x++) {
      let at = ((image * OUT_HEIGHT + window_y) * OUT_WIDTH + window_x) * CHANNELS + channels;
      let chosen = vec4u(choice[at.x], choice[at.y], choice[at.z], choice[at.w]);
      let gradient = vec4f(output_gradient[at.x], output_gradient[at.y], output_gradient[at.z], output_gradient[at.w]);
      sum += select(vec4f(), gradient, chosen == own);
    }
  }
  let at = pixel * CHANNELS + channels;
  if (MASK) {
    sum = select(vec4f(), sum, vec4f(mask[at.x], mask[at.y], mask[at.z], mask[at.w]) > vec4f());
  }
  input_gradient[at.x] = sum.x;
  input_gradient[at.y] = sum.y;
  input_gradient[at.z] = sum.z;
  input_gradient[at.w] = sum.w;
}
