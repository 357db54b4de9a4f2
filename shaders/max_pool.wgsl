// Max-pooling, with the choices that its gradient needs.
//
//   input  [batch, IN_HEIGHT, IN_WIDTH, CHANNELS]
//   output [batch, OUT_HEIGHT, OUT_WIDTH, CHANNELS]
//   choice as output: which input won, as an index within its image; the first of equals
//
// One invocation per output element.

override OUTPUTS: u32 = 1;
override OUT_HEIGHT: u32 = 1;
override OUT_WIDTH: u32 = 1;
override IN_HEIGHT: u32 = 1;
override IN_WIDTH: u32 = 1;
override CHANNELS: u32 = 1;
override SIZE: u32 = 1;
override STRIDE: u32 = 1;
override RELU: bool = false;
override INVOCATIONS: u32 = 64;

@group(0) @binding(0) var<storage, read> input: array<f32>;
@group(0) @binding(1) var<storage, read_write> output: array<f32>;
@group(0) @binding(2) var<storage, read_write> choice: array<u32>;

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (index >= OUTPUTS) {
    return;
  }
  let channel = index % CHANNELS;
  let pixel = index / CHANNELS;
  let row = pixel / OUT_WIDTH;
  let image = row / OUT_HEIGHT;
  let corner = (row % OUT_HEIGHT * STRIDE * IN_WIDTH + pixel % OUT_WIDTH * STRIDE) * CHANNELS + channel;
  let image_base = image * IN_HEIGHT * IN_WIDTH * CHANNELS;
  var best = input[image_base + corner];
  var best_at = corner;
  for (var y = 0u; y < SIZE; y++) {
    for (var x = 0u; x < SIZE; x++) {
      let at = corner + (y * IN_WIDTH + x) * CHANNELS;
      let value = input[image_base + at];
      if (value > best) {
        best = value;
        best_at = at;
      }
    }
  }
  output[index] = select(best, max(best, 0.0), RELU);
  choice[index] = best_at;
}
