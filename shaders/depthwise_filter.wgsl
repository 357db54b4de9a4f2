// Filter gradient of a depthwise convolution.
//
//   gradient[tap, channel] = sum over pixels of input[pixel + tap, channel / MULTIPLIER] * output_gradient[pixel, channel]
//
//   input           [BATCH, IN_HEIGHT, IN_WIDTH, IN_CHANNELS]
//   output_gradient [BATCH, OUT_HEIGHT, OUT_WIDTH, OUT_CHANNELS]
//   gradients       weights [SIZE, SIZE, 1, OUT_CHANNELS] from WEIGHTS_OFFSET on, bias from BIAS_OFFSET on
//
// The bias is one more tap, whose input is always 1. The rows of all images are split into chunks of CHUNK, each writing
// its own copy SPLIT_ELEMENTS further on; sum_partials.wgsl adds the copies. One invocation per tap, channel and split.

override BATCH: u32 = 1;
override OUT_HEIGHT: u32 = 1;
override OUT_WIDTH: u32 = 1;
override IN_HEIGHT: u32 = 1;
override IN_WIDTH: u32 = 1;
override IN_CHANNELS: u32 = 1;
override OUT_CHANNELS: u32 = 1;
override SIZE: u32 = 1;
override STRIDE: u32 = 1;
override PADDING: u32 = 0;
override DILATION: u32 = 1;
override BIAS: bool = false;
override SPLITS: u32 = 1;
/// Rows of images per split.
override CHUNK: u32 = 1;
override SPLIT_ELEMENTS: u32 = 0;
override WEIGHTS_OFFSET: u32 = 0;
override BIAS_OFFSET: u32 = 0;
override INVOCATIONS: u32 = 64;

override MULTIPLIER: u32 = OUT_CHANNELS / IN_CHANNELS;
override TAPS: u32 = SIZE * SIZE + select(0u, 1u, BIAS);

@group(0) @binding(0) var<storage, read> input: array<f32>;
@group(0) @binding(1) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(2) var<storage, read_write> gradients: array<f32>;

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (index >= SPLITS * TAPS * OUT_CHANNELS) {
    return;
  }
  let row_of_taps = index / OUT_CHANNELS;
  let channel = index - row_of_taps * OUT_CHANNELS;
  let split = row_of_taps / TAPS;
  let tap = row_of_taps - split * TAPS;
  let is_bias = tap == SIZE * SIZE;
  let tap_y = tap / SIZE;
  let tap_x = tap - tap_y * SIZE;
  let from_channel = channel / MULTIPLIER;
  var sum = 0.0;
  let end = min((split + 1) * CHUNK, BATCH * OUT_HEIGHT);
  for (var row = split * CHUNK; row < end; row++) {
    let image = row / OUT_HEIGHT;
    let y = i32((row - image * OUT_HEIGHT) * STRIDE + tap_y * DILATION) - i32(PADDING);
    if (!is_bias && u32(y) >= IN_HEIGHT) {
      continue;
    }
    for (var x = 0u; x < OUT_WIDTH; x++) {
      let gradient = output_gradient[(row * OUT_WIDTH + x) * OUT_CHANNELS + channel];
      if (is_bias) {
        sum += gradient;
        continue;
      }
      let at_x = i32(x * STRIDE + tap_x * DILATION) - i32(PADDING);
      if (u32(at_x) < IN_WIDTH) {
        sum += gradient * input[((image * IN_HEIGHT + u32(y)) * IN_WIDTH + u32(at_x)) * IN_CHANNELS + from_channel];
      }
    }
  }
  let base = select(WEIGHTS_OFFSET + tap * OUT_CHANNELS, BIAS_OFFSET, is_bias);
  gradients[split * SPLIT_ELEMENTS + base + channel] = sum;
}
