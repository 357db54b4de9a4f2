// First half of the gradient of local response norm: what every window hands to the channels in it.
//
//   terms = dy * x * d^(-BETA - 1), d = K + ALPHA / SIZE * sum of x^2 over the SIZE nearest channels
//   powers = d^-BETA
//
//   input, output_gradient [ROWS, CHANNELS]
//   terms, powers          as these, one after the other in one buffer
//
// One invocation per four channels of a row; beyond the last channel it repeats that one and stores equal bits.
// local_response_norm_gradient.wgsl adds the terms.

override ROWS: u32 = 1;
override CHANNELS: u32 = 1;
override SIZE: u32 = 1;
override ALPHA: f32 = 0;
override BETA: f32 = 0;
override K: f32 = 1;
override INVOCATIONS: u32 = 64;

override BLOCKS: u32 = (CHANNELS + 3) / 4;
override VECTOR: bool = CHANNELS % 4 == 0 && SIZE <= 9;
override HALF: i32 = (i32(SIZE) - 1) / 2;

@group(0) @binding(0) var<storage, read> input: array<f32>;
@group(0) @binding(1) var<storage, read> input_vectors: array<vec4f>;
@group(0) @binding(2) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> terms: array<f32>;

/// The squares `by` channels further on, 0 where there are none.
fn shifted(base: u32, channels: vec4u, by: i32) -> vec4f {
  let channel = vec4i(channels) + by;
  let at = base + vec4u(clamp(channel, vec4i(), vec4i(i32(CHANNELS) - 1)));
  let value = vec4f(input[at.x], input[at.y], input[at.z], input[at.w]);
  return select(vec4f(), value * value, (channel >= vec4i()) & (channel < vec4i(i32(CHANNELS))));
}

/// The squares of a whole block, 0 where there is none.
fn squares_of(row: u32, block: u32) -> vec4f {
  let value = input_vectors[row * BLOCKS + min(block, BLOCKS - 1)];
  return select(vec4f(), value * value, block < BLOCKS);
}

/// The sum of the squares around each of four channels.
fn squares_around(row: u32, block: u32, channels: vec4u) -> vec4f {
  if (VECTOR) {
    // Block - 1 of the first block wraps to one that does not exist.
    let a = squares_of(row, block - 1);
    let b = squares_of(row, block);
    let c = squares_of(row, block + 1);
    return window_sum(a, b, c);
  }
  var sum = vec4f();
  for (var by = -HALF; by <= HALF; by++) {
    sum += shifted(row * CHANNELS, channels, by);
  }
  return sum;
}

/// For each lane of b the sum over its HALF neighbours on both sides, at most 4.
fn window_sum(a: vec4f, b: vec4f, c: vec4f) -> vec4f {
  var sum = b;
  if (HALF >= 1) {
    sum += vec4f(a.w, b.xyz) + vec4f(b.yzw, c.x);
  }
  if (HALF >= 2) {
    sum += vec4f(a.zw, b.xy) + vec4f(b.zw, c.xy);
  }
  if (HALF >= 3) {
    sum += vec4f(a.yzw, b.x) + vec4f(b.w, c.xyz);
  }
  if (HALF >= 4) {
    sum += a + c;
  }
  return sum;
}

/// d^-BETA.
fn power_of(d: vec4f) -> vec4f {
  if (BETA == 0.75) {
    let root = sqrt(d);
    return 1 / (root * sqrt(root));
  }
  return pow(d, vec4f(-BETA));
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (index >= ROWS * BLOCKS) {
    return;
  }
  let row = index / BLOCKS;
  let block = index - row * BLOCKS;
  let channels = min(4 * block + vec4u(0, 1, 2, 3), vec4u(CHANNELS - 1));
  let d = K + ALPHA / f32(SIZE) * squares_around(row, block, channels);
  let power = power_of(d);
  let at = row * CHANNELS + channels;
  let value = vec4f(input[at.x], input[at.y], input[at.z], input[at.w]);
  let slope = vec4f(output_gradient[at.x], output_gradient[at.y], output_gradient[at.z], output_gradient[at.w]);
  let term = slope * value * power / d;
  terms[at.x] = term.x;
  terms[at.y] = term.y;
  terms[at.z] = term.z;
  terms[at.w] = term.w;
  let out = ROWS * CHANNELS + at;
  terms[out.x] = power.x;
  terms[out.y] = power.y;
  terms[out.z] = power.z;
  terms[out.w] = power.w;
}
