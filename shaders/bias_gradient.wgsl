// Gradient of the bias alone, where the product does not bring it along.
//
//   gradients[BIAS_OFFSET + split * SPLIT_ELEMENTS + channel] = sum over the split's pixels of output_gradient[pixel, channel]
//
//   output_gradient [PIXELS, CHANNELS]
//
// One invocation per channel and split; split s sums the pixels s, s + SPLITS, ...

override PIXELS: u32 = 1;
override CHANNELS: u32 = 1;
override SPLITS: u32 = 1;
override BIAS_OFFSET: u32 = 0;
override SPLIT_ELEMENTS: u32 = 0;
override INVOCATIONS: u32 = 64;

@group(0) @binding(0) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(1) var<storage, read_write> gradients: array<f32>;

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (index >= CHANNELS * SPLITS) {
    return;
  }
  let split = index / CHANNELS;
  let channel = index - split * CHANNELS;
  var sum = 0.0;
  for (var pixel = split; pixel < PIXELS; pixel += SPLITS) {
    sum += output_gradient[pixel * CHANNELS + channel];
  }
  gradients[BIAS_OFFSET + split * SPLIT_ELEMENTS + channel] = sum;
}
