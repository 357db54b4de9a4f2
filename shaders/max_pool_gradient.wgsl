// The gradient of max-pooling at its input, as a gather: each input asks the windows that cover it whether it won.
//
//   output_gradient, choice [batch, OUT_HEIGHT, OUT_WIDTH, CHANNELS]
//   mask, input_gradient    [batch, IN_HEIGHT, IN_WIDTH, CHANNELS]; where mask is not positive the gradient becomes 0
//
// One invocation per input element, no atomics.

override INPUTS: u32 = 1;
override OUT_HEIGHT: u32 = 1;
override OUT_WIDTH: u32 = 1;
override IN_HEIGHT: u32 = 1;
override IN_WIDTH: u32 = 1;
override CHANNELS: u32 = 1;
override SIZE: u32 = 1;
override STRIDE: u32 = 1;
override MASK: bool = false;
override INVOCATIONS: u32 = 64;

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
  if (index >= INPUTS) {
    return;
  }
  let channel = index % CHANNELS;
  let pixel = index / CHANNELS;
  let x = pixel % IN_WIDTH;
  let row = pixel / IN_WIDTH;
  let y = row % IN_HEIGHT;
  let image = row / IN_HEIGHT;
  let own = (y * IN_WIDTH + x) * CHANNELS + channel;
  var sum = 0.0;
  for (var window_y = first_window(y); window_y <= min(y / STRIDE, OUT_HEIGHT - 1); window_y++) {
    for (var window_x = first_window(x); window_x <= min(x / STRIDE, OUT_WIDTH - 1); window_x++) {
      let at = ((image * OUT_HEIGHT + window_y) * OUT_WIDTH + window_x) * CHANNELS + channel;
      if (choice[at] == own) {
        sum += output_gradient[at];
      }
    }
  }
  if (MASK) {
    sum = select(0.0, sum, mask[index] > 0.0);
  }
  input_gradient[index] = sum;
}
