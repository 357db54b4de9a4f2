// Lowering (im2col) of some images: what one axis or both of a convolution's windows see, written side by side.
//
//   columns[image, y, x, tap_y, tap_x, channel] = source[image, (y * STRIDE_Y - PADDING_Y + tap_y * DILATION_Y) / UPSAMPLING_Y, ...]
//
//   source  [IMAGES, IN_HEIGHT, IN_WIDTH, CHANNELS]; zero outside, and where the division leaves a remainder
//   columns [IMAGES, OUT_HEIGHT, OUT_WIDTH, TAPS_Y, TAPS_X, CHANNELS]
//
// Caffe con Troll's type 1 lowers both axes; type 2 lowers x alone (TAPS_Y = 1). One invocation per four channels of a
// tap; beyond the last channel it repeats that one and stores equal bits.

override IMAGES: u32 = 1;
override CHANNELS: u32 = 1;
override IN_HEIGHT: u32 = 1;
override IN_WIDTH: u32 = 1;
override OUT_HEIGHT: u32 = 1;
override OUT_WIDTH: u32 = 1;
override TAPS_Y: u32 = 1;
override TAPS_X: u32 = 1;
override STRIDE_Y: u32 = 1;
override STRIDE_X: u32 = 1;
override PADDING_Y: i32 = 0;
override PADDING_X: i32 = 0;
override DILATION_Y: u32 = 1;
override DILATION_X: u32 = 1;
override UPSAMPLING_Y: u32 = 1;
override UPSAMPLING_X: u32 = 1;
override INVOCATIONS: u32 = 64;

override BLOCKS: u32 = (CHANNELS + 3) / 4;
override ITEMS: u32 = IMAGES * OUT_HEIGHT * OUT_WIDTH * TAPS_Y * TAPS_X * BLOCKS;
override VECTOR: bool = CHANNELS % 4 == 0;

@group(0) @binding(0) var<storage, read> source: array<f32>;
@group(0) @binding(1) var<storage, read> source_vectors: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> columns: array<f32>;

/// Where a tap falls on an axis, and whether an element stands there.
struct Place {
  at: u32,
  is_inside: bool,
}

fn place(at: i32, length: u32, upsampling: u32) -> Place {
  let whole = u32(at) / upsampling;
  return Place(whole, (u32(at) < length * upsampling) & (u32(at) - whole * upsampling == 0));
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (index >= ITEMS) {
    return;
  }
  // Divisions are dear, so the remainders are not divided again.
  let tap = index / BLOCKS;
  let first = (index - tap * BLOCKS) * 4;
  let tap_row = tap / TAPS_X;
  let tap_x = tap - tap_row * TAPS_X;
  let pixel = tap_row / TAPS_Y;
  let tap_y = tap_row - pixel * TAPS_Y;
  let row = pixel / OUT_WIDTH;
  let x = pixel - row * OUT_WIDTH;
  let image = row / OUT_HEIGHT;
  let y = row - image * OUT_HEIGHT;
  let from_y = place(i32(y * STRIDE_Y + tap_y * DILATION_Y) - PADDING_Y, IN_HEIGHT, UPSAMPLING_Y);
  let from_x = place(i32(x * STRIDE_X + tap_x * DILATION_X) - PADDING_X, IN_WIDTH, UPSAMPLING_X);
  let is_inside = from_y.is_inside & from_x.is_inside;
  let base = select(0u, ((image * IN_HEIGHT + from_y.at) * IN_WIDTH + from_x.at) * CHANNELS, is_inside);
  let channels = min(vec4u(first, first + 1, first + 2, first + 3), vec4u(CHANNELS - 1));
  var values: vec4f;
  if (VECTOR) {
    values = source_vectors[(base + first) / 4];
  } else {
    values = vec4f(source[base + channels.x], source[base + channels.y], source[base + channels.z], source[base + channels.w]);
  }
  values = select(vec4f(), values, is_inside);
  let to = tap * CHANNELS + channels;
  columns[to.x] = values.x;
  columns[to.y] = values.y;
  columns[to.z] = values.z;
  columns[to.w] = values.w;
}
