// Average pooling: the mean of the taps inside the image, then the activation.
//
//   input  [batch, IN_HEIGHT, IN_WIDTH, CHANNELS]
//   output [batch, OUT_HEIGHT, OUT_WIDTH, CHANNELS]
//
// One invocation per four channels of an output pixel; beyond the last channel it repeats that one and stores equal bits.

override PIXELS: u32 = 1;
override OUT_HEIGHT: u32 = 1;
override OUT_WIDTH: u32 = 1;
override IN_HEIGHT: u32 = 1;
override IN_WIDTH: u32 = 1;
override CHANNELS: u32 = 1;
override SIZE: u32 = 1;
override STRIDE: u32 = 1;
override PADDING: u32 = 0;
/// 0 none, 1 relu, 2 leaky relu with SLOPE below zero, 3 tanh, 4 sigmoid.
override ACTIVATION: u32 = 0;
override SLOPE: f32 = 0;
override INVOCATIONS: u32 = 64;

override BLOCKS: u32 = (CHANNELS + 3) / 4;
override VECTOR: bool = CHANNELS % 4 == 0;

@group(0) @binding(0) var<storage, read> input: array<f32>;
@group(0) @binding(1) var<storage, read> input_vectors: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

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
  let row = pixel / OUT_WIDTH;
  let image = row / OUT_HEIGHT;
  let top = (row - image * OUT_HEIGHT) * STRIDE;
  let left = (pixel - row * OUT_WIDTH) * STRIDE;
  // The taps inside the image.
  let first_y = max(top, PADDING) - PADDING;
  let first_x = max(left, PADDING) - PADDING;
  let end_y = min(top + SIZE, IN_HEIGHT + PADDING) - PADDING;
  let end_x = min(left + SIZE, IN_WIDTH + PADDING) - PADDING;
  var sum = vec4f();
  if (SIZE <= 3) {
    // Without loops, which are dear in software. Taps beyond the image repeat the last inside, with weight 0.
    let next_y = min(first_y + 1, end_y - 1);
    sum = sum_of_row(image * IN_HEIGHT + first_y, first_x, end_x, first, lanes);
    sum += f32(next_y > first_y) * sum_of_row(image * IN_HEIGHT + next_y, first_x, end_x, first, lanes);
    if (SIZE == 3) {
      sum += f32(end_y - 1 > next_y) * sum_of_row(image * IN_HEIGHT + end_y - 1, first_x, end_x, first, lanes);
    }
  } else {
    for (var y = first_y; y < end_y; y++) {
      for (var x = first_x; x < end_x; x++) {
        sum += values_at(((image * IN_HEIGHT + y) * IN_WIDTH + x) * CHANNELS + first, lanes);
      }
    }
  }
  let value = activated(sum / f32((end_y - first_y) * (end_x - first_x)));
  let out = pixel * CHANNELS + first + lanes;
  output[out.x] = value.x;
  output[out.y] = value.y;
  output[out.z] = value.z;
  output[out.w] = value.w;
}

/// A window's row; `line` counts the rows of all images.
fn sum_of_row(line: u32, first_x: u32, end_x: u32, first: u32, lanes: vec4u) -> vec4f {
  let row = line * IN_WIDTH;
  let next_x = min(first_x + 1, end_x - 1);
  var sum = values_at((row + first_x) * CHANNELS + first, lanes);
  sum += f32(next_x > first_x) * values_at((row + next_x) * CHANNELS + first, lanes);
  if (SIZE == 3) {
    sum += f32(end_x - 1 > next_x) * values_at((row + end_x - 1) * CHANNELS + first, lanes);
  }
  return sum;
}

/// Four channels from `at` on, those that do not exist repeating the last.
fn values_at(at: u32, lanes: vec4u) -> vec4f {
  if (VECTOR) {
    return input_vectors[at / 4];
  }
  return vec4f(input[at], input[at + lanes.y], input[at + lanes.z], input[at + lanes.w]);
}

fn activated(x: vec4f) -> vec4f {
  switch (ACTIVATION) {
    case 1: { return max(x, vec4f()); }
    case 2: { return select(SLOPE * x, x, x > vec4f()); }
    case 3: { return tanh_of(x); }
    case 4: { return 1 / (1 + exp(min(-x, vec4f(80)))); }
    default: { return x; }
  }
}

/// WGSL allows tanh an error of 1e-5, and none where it overflows.
fn tanh_of(x: vec4f) -> vec4f {
  let e = exp(-2 * abs(x));
  return sign(x) * (1 - e) / (1 + e);
}
