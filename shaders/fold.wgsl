// The second half of a lowered data gradient (Caffe's col2im, as a gather): each input element sums its copies.
//
//   columns        [batch, OUT_HEIGHT, OUT_WIDTH, SIZE, SIZE, IN_CHANNELS]: the gradient at every window's elements
//   mask, output   [batch, IN_HEIGHT, IN_WIDTH, IN_CHANNELS]; where mask is not positive the gradient becomes 0
//
// One invocation per four channels of an input pixel, no atomics; beyond the last channel it repeats that one and stores
// equal bits.

override PIXELS: u32 = 1;
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

override BLOCKS: u32 = (IN_CHANNELS + 3) / 4;
override VECTOR: bool = IN_CHANNELS % 4 == 0;

@group(0) @binding(0) var<storage, read> columns: array<f32>;
@group(0) @binding(1) var<storage, read> column_vectors: array<vec4f>;
@group(0) @binding(2) var<storage, read> mask: array<f32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

/// The first window that covers position `at` of a padded axis.
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
  let channels = min(vec4u(first, first + 1, first + 2, first + 3), vec4u(IN_CHANNELS - 1));
  let row = pixel / IN_WIDTH;
  let image = row / IN_HEIGHT;
  let x = pixel - row * IN_WIDTH + PADDING;
  let y = row - image * IN_HEIGHT + PADDING;
  let first_x = first_window(x);
  let end_x = min(x / STRIDE + 1, OUT_WIDTH);
  let end_y = min(y / STRIDE + 1, OUT_HEIGHT);
  var sum = vec4f();
  for (var window_y = first_window(y); window_y < end_y; window_y++) {
    for (var window_x = first_x; window_x < end_x; window_x++) {
      let tap = (y - window_y * STRIDE) * SIZE + x - window_x * STRIDE;
      let window = (image * OUT_HEIGHT + window_y) * OUT_WIDTH + window_x;
      let at = (window * SIZE * SIZE + tap) * IN_CHANNELS + channels;
      if (VECTOR) {
        sum += column_vectors[at.x / 4];
      } else {
        sum += vec4f(columns[at.x], columns[at.y], columns[at.z], columns[at.w]);
      }
    }
  }
  let at = pixel * IN_CHANNELS + channels;
  if (MASK) {
    sum = select(vec4f(), sum, vec4f(mask[at.x], mask[at.y], mask[at.z], mask[at.w]) > vec4f());
  }
  output[at.x] = sum.x;
  output[at.y] = sum.y;
  output[at.z] = sum.z;
  output[at.w] = sum.w;
}
