// One part of a concatenation: output [ROWS, OUT_CHANNELS] at channel OFFSET = input [ROWS, CHANNELS].
//
// One invocation per four channels of every LANES-th row; beyond the last channel it repeats that one and stores equal
// bits.

override ROWS: u32 = 1;
override CHANNELS: u32 = 1;
override OUT_CHANNELS: u32 = 1;
override OFFSET: u32 = 0;
override LANES: u32 = 1;
override INVOCATIONS: u32 = 64;

override BLOCKS: u32 = (CHANNELS + 3) / 4;
override VECTOR: bool = CHANNELS % 4 == 0;

@group(0) @binding(0) var<storage, read> input: array<f32>;
@group(0) @binding(1) var<storage, read> input_vectors: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

fn values_at(at: vec4u) -> vec4f {
  if (VECTOR) {
    return input_vectors[at.x / 4];
  }
  return vec4f(input[at.x], input[at.y], input[at.z], input[at.w]);
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (index >= LANES * BLOCKS) {
    return;
  }
  let lane = index / BLOCKS;
  let first = (index - lane * BLOCKS) * 4;
  let channels = min(first + vec4u(0, 1, 2, 3), vec4u(CHANNELS - 1));
  for (var row = lane; row < ROWS; row += LANES) {
    let value = values_at(row * CHANNELS + channels);
    let out = row * OUT_CHANNELS + OFFSET + channels;
    output[out.x] = value.x;
    output[out.y] = value.y;
    output[out.z] = value.z;
    output[out.w] = value.w;
  }
}
