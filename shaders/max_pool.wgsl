// Max-pooling, with the choices that its gradient needs.
//
//   input  [batch, IN_HEIGHT, IN_WIDTH, CHANNELS]
//   output [batch, OUT_HEIGHT, OUT_WIDTH, CHANNELS]
//   choice as output: which input won, as an index within its image; the first of equals
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
override RELU: bool = false;
override INVOCATIONS: u32 = 64;

override BLOCKS: u32 = (CHANNELS + 3) / 4;

@group(0) @binding(0) var<storage, read> input: array<f32>;
@group(0) @binding(1) var<storage, read_write> output: array<f32>;
@group(0) @binding(2) var<storage, read_write> choice: array<u32>;

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
  let row = pixel / OUT_WIDTH;
  let image = row / OUT_HEIGHT;
  let y = (row - image * OUT_HEIGHT) * STRIDE;
  let x = (pixel - row * OUT_WIDTH) * STRIDE;
  let image_base = image * IN_HEIGHT * IN_WIDTH * CHANNELS;
  var best_at = (y * IN_WIDTH + x) * CHANNELS + channels;
  // Below every finite value, so that the first input of the window wins unless a later one is larger.
  var best = vec4f(-3.4028234e38);
  for (var dy = 0u; dy < SIZE; dy++) {
    for (var dx = 0u; dx < SIZE; dx++) {
      let at = ((y + dy) * IN_WIDTH + x + dx) * CHANNELS + channels;
      let value = values_at(image_base + at);
      best_at = select(best_at, at, value > best);
      best = select(best, value, value > best);
    }
  }
  let value = select(best, max(best, vec4f()), RELU);
  let out = pixel * CHANNELS + channels;
  output[out.x] = value.x;
  output[out.y] = value.y;
  output[out.z] = value.z;
  output[out.w] = value.w;
  choice[out.x] = best_at.x;
  choice[out.y] = best_at.y;
  choice[out.z] = best_at.z;
  choice[out.w] = best_at.w;
}

fn values_at(at: vec4u) -> vec4f {
  return vec4f(input[at.x], input[at.y], input[at.z], input[at.w]);
}
