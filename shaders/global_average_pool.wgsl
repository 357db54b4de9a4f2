// output [BATCH, CHANNELS] = the mean of input [BATCH, PIXELS, CHANNELS] over the pixels.
//
// One invocation per four channels of an image; beyond the last channel it repeats that one and stores equal bits.

override BATCH: u32 = 1;
override PIXELS: u32 = 1;
override CHANNELS: u32 = 1;
override INVOCATIONS: u32 = 64;

override BLOCKS: u32 = (CHANNELS + 3) / 4;
override VECTOR: bool = CHANNELS % 4 == 0;

@group(0) @binding(0) var<storage, read> input: array<f32>;
@group(0) @binding(1) var<storage, read> input_vectors: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (index >= BATCH * BLOCKS) {
    return;
  }
  let image = index / BLOCKS;
  let first = (index - image * BLOCKS) * 4;
  let channels = min(first + vec4u(0, 1, 2, 3), vec4u(CHANNELS - 1));
  var at = image * PIXELS * CHANNELS + channels;
  var sum = vec4f();
  for (var pixel = 0u; pixel < PIXELS; pixel++) {
    if (VECTOR) {
      sum += input_vectors[at.x / 4];
    } else {
      sum += vec4f(input[at.x], input[at.y], input[at.z], input[at.w]);
    }
    at += CHANNELS;
  }
  let mean = sum / f32(PIXELS);
  let out = image * CHANNELS + channels;
  output[out.x] = mean.x;
  output[out.y] = mean.y;
  output[out.z] = mean.z;
  output[out.w] = mean.w;
}
