// Second half of the gradient of local response norm:
//   dx = dy * d^-BETA - 2 * ALPHA * BETA / SIZE * x * sum of the terms of the SIZE nearest channels
//
//   input, output_gradient, undone, input_gradient [ROWS, CHANNELS]
//   terms                                          as these, then d^-BETA (local_response_norm_terms.wgsl)
//
// One invocation per four channels of a row; beyond the last channel it repeats that one and stores equal bits.

override ROWS: u32 = 1;
override CHANNELS: u32 = 1;
override SIZE: u32 = 1;
override ALPHA: f32 = 0;
override BETA: f32 = 0;
/// Adds to what is there, and multiplies by the derivative of 1 relu, 2 leaky relu, 3 tanh, 4 sigmoid where it gave `undone`.
override ACCUMULATE: bool = false;
override UNDO: u32 = 0;
override SLOPE: f32 = 0;
override INVOCATIONS: u32 = 64;

override BLOCKS: u32 = (CHANNELS + 3) / 4;
override VECTOR: bool = CHANNELS % 4 == 0 && SIZE <= 9;
override HALF: i32 = (i32(SIZE) - 1) / 2;

@group(0) @binding(0) var<storage, read> input: array<f32>;
@group(0) @binding(1) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(2) var<storage, read> terms: array<f32>;
@group(0) @binding(3) var<storage, read> term_vectors: array<vec4f>;
@group(0) @binding(4) var<storage, read> undone: array<f32>;
@group(0) @binding(5) var<storage, read_write> input_gradient: array<f32>;

/// The terms `by` channels further on, 0 where there are none.
fn shifted(base: u32, channels: vec4u, by: i32) -> vec4f {
  let channel = vec4i(channels) + by;
  let at = base + vec4u(clamp(channel, vec4i(), vec4i(i32(CHANNELS) - 1)));
  let value = vec4f(terms[at.x], terms[at.y], terms[at.z], terms[at.w]);
  return select(vec4f(), value, (channel >= vec4i()) & (channel < vec4i(i32(CHANNELS))));
}

/// The terms of a whole block, 0 where there is none.
fn terms_of(row: u32, block: u32) -> vec4f {
  let value = term_vectors[row * BLOCKS + min(block, BLOCKS - 1)];
  return select(vec4f(), value, block < BLOCKS);
}

/// The sum of the terms around each of four channels.
fn terms_around(row: u32, block: u32, channels: vec4u) -> vec4f {
  if (VECTOR) {
    // Block - 1 of the first block wraps to one that does not exist.
    let a = terms_of(row, block - 1);
    let b = terms_of(row, block);
    let c = terms_of(row, block + 1);
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

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (index >= ROWS * BLOCKS) {
    return;
  }
  let row = index / BLOCKS;
  let block = index - row * BLOCKS;
  let channels = min(4 * block + vec4u(0, 1, 2, 3), vec4u(CHANNELS - 1));
  let at = row * CHANNELS + channels;
  let power_at = ROWS * CHANNELS + at;
  let value = vec4f(input[at.x], input[at.y], input[at.z], input[at.w]);
  let slope = vec4f(output_gradient[at.x], output_gradient[at.y], output_gradient[at.z], output_gradient[at.w]);
  let power = vec4f(terms[power_at.x], terms[power_at.y], terms[power_at.z], terms[power_at.w]);
  let through = terms_around(row, block, channels);
  give(at, slope * power - 2 * ALPHA * BETA / f32(SIZE) * value * through);
}

/// Stores four channels of the gradient at addresses `at`.
fn give(at: vec4u, value: vec4f) {
  var gradient = value;
  if (ACCUMULATE) {
    gradient += vec4f(input_gradient[at.x], input_gradient[at.y], input_gradient[at.z], input_gradient[at.w]);
  }
  if (UNDO > 0) {
    gradient *= derivative(vec4f(undone[at.x], undone[at.y], undone[at.z], undone[at.w]));
  }
  input_gradient[at.x] = gradient.x;
  input_gradient[at.y] = gradient.y;
  input_gradient[at.z] = gradient.z;
  input_gradient[at.w] = gradient.w;
}

/// The derivative of an activation where it put out y.
fn derivative(y: vec4f) -> vec4f {
  switch (UNDO) {
    case 1: { return select(vec4f(), vec4f(1), y > vec4f()); }
    case 2: { return select(vec4f(SLOPE), vec4f(1), y > vec4f()); }
    case 3: { return 1 - y * y; }
    default: { return y * (1 - y); }
  }
}
