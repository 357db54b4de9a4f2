// Winograd F(2x2, 3x3), first half of the operands: the input's tiles of 4x4 pixels, transformed.
//
//   transformed[m, tile, channel] = (B^T d B)[m], B^T = [1 0 -1 0; 0 1 1 0; 0 -1 1 0; 0 1 0 -1]
//
//   input       [BATCH, IN_HEIGHT, IN_WIDTH, CHANNELS]; zero outside; tile (y, x) begins at pixel 2y - PADDING, 2x - PADDING
//   transformed [16, BATCH * TILES_Y * TILES_X, CHANNELS]
//
// One invocation per four channels of a tile; beyond the last channel it repeats that one and stores equal bits.

override BATCH: u32 = 1;
override IN_HEIGHT: u32 = 1;
override IN_WIDTH: u32 = 1;
override CHANNELS: u32 = 1;
override TILES_Y: u32 = 1;
override TILES_X: u32 = 1;
override PADDING: i32 = 0;
override INVOCATIONS: u32 = 64;

override BLOCKS: u32 = (CHANNELS + 3) / 4;
override TILES: u32 = BATCH * TILES_Y * TILES_X;
override VECTOR: bool = CHANNELS % 4 == 0;

@group(0) @binding(0) var<storage, read> input: array<f32>;
@group(0) @binding(1) var<storage, read> input_vectors: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> transformed: array<f32>;

fn pixel_at(image: u32, y: i32, x: i32, channels: vec4u) -> vec4f {
  let is_inside = (u32(y) < IN_HEIGHT) & (u32(x) < IN_WIDTH);
  let base = select(0u, ((image * IN_HEIGHT + u32(y)) * IN_WIDTH + u32(x)) * CHANNELS, is_inside);
  var value: vec4f;
  if (VECTOR) {
    value = input_vectors[(base + channels.x) / 4];
  } else {
    let at = base + channels;
    value = vec4f(input[at.x], input[at.y], input[at.z], input[at.w]);
  }
  return select(vec4f(), value, is_inside);
}

fn store(at: vec4u, value: vec4f) {
  transformed[at.x] = value.x;
  transformed[at.y] = value.y;
  transformed[at.z] = value.z;
  transformed[at.w] = value.w;
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (index >= TILES * BLOCKS) {
    return;
  }
  let tile = index / BLOCKS;
  let first = (index - tile * BLOCKS) * 4;
  let channels = min(first + vec4u(0, 1, 2, 3), vec4u(CHANNELS - 1));
  let row = tile / TILES_X;
  let image = row / TILES_Y;
  let x = i32((tile - row * TILES_X) * 2) - PADDING;
  let y = i32((row - image * TILES_Y) * 2) - PADDING;
  // Rows first: B^T d, kept column by column of d.
  var columns: array<array<vec4f, 4>, 4>;
  for (var i = 0; i < 4; i++) {
    let d0 = pixel_at(image, y, x + i, channels);
    let d1 = pixel_at(image, y + 1, x + i, channels);
    let d2 = pixel_at(image, y + 2, x + i, channels);
    let d3 = pixel_at(image, y + 3, x + i, channels);
    columns[i][0] = d0 - d2;
    columns[i][1] = d1 + d2;
    columns[i][2] = d2 - d1;
    columns[i][3] = d1 - d3;
  }
  let at = tile * CHANNELS + channels;
  let step = TILES * CHANNELS;
  for (var i = 0u; i < 4; i++) {
    let c0 = columns[0][i];
    let c1 = columns[1][i];
    let c2 = columns[2][i];
    let c3 = columns[3][i];
    store(at + (4 * i) * step, c0 - c2);
    store(at + (4 * i + 1) * step, c1 + c2);
    store(at + (4 * i + 2) * step, c2 - c1);
    store(at + (4 * i + 3) * step, c1 - c3);
  }
}
