// The second half of a lowered data gradient (Caffe's col2im, as a gather): each input element sums its copies.
//
//   columns        [batch, OUT_HEIGHT, OUT_WIDTH, SIZE, SIZE, IN_CHANNELS]: the gradient at every window's elements
//   mask, output   [batch, IN_HEIGHT, IN_WIDTH, IN_CHANNELS]; where mask is not positive the gradient becomes 0
//
// One invocation per input element, no atomics.

override INPUTS: u32 = 1;
override OUT_HEIGHT: u32 = 1;
override OUT_WIDTH: u32 = 1;
override IN_HEIGHT: u32 = 1;
override IN_WIDTH: u32 = 1;
override IN_CHANNELS: u32 = 1;
override SIZE: u32 = 1;
override STRIDE: u32 = 1;
override PADDING: u32 = 0;
override MASK: bool = false;
override INVOCATIONS: u32 = 64;

@group(0) @binding(0) var<storage, read> columns: array<f32>;
@group(0) @binding(1) var<storage, read> mask: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

/// The first window that covers position `at` of a padded axis.
fn first_window(at: u32) -> u32 {
  return (max(at, SIZE - 1) - (SIZE - 1) + STRIDE - 1) / STRIDE;
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (index >= INPUTS) {
    return;
  }
  let channel = index % IN_CHANNELS;
  let pixel = index / IN_CHANNELS;
  let x = pixel % IN_WIDTH + PADDING;
  let row = pixel / IN_WIDTH;
  let y = row % IN_HEIGHT + PADDING;
  let image = row / IN_HEIGHT;
  var sum = 0.0;
  for (var window_y = first_window(y); window_y <= min(y / STRIDE, OUT_HEIGHT - 1); window_y++) {
    for (var window_x = first_window(x); window_x <= min(x / STRIDE, OUT_WIDTH - 1); window_x++) {
      let tap = (y - window_y * STRIDE) * SIZE + x - window_x * STRIDE;
      let window = (image * OUT_HEIGHT + window_y) * OUT_WIDTH + window_x;
      sum += columns[(window * SIZE * SIZE + tap) * IN_CHANNELS + channel];
    }
  }
  if (MASK) {
    sum = select(0.0, sum, mask[index] > 0.0);
  }
  output[index] = sum;
}
