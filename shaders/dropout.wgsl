// Dropout: output = input * SCALE where the element's random number is at least the rate, else 0.
//
//   input, output  VECTORS of 4
//   clock          which draw this is
//
// Each invocation takes every STEP-th vector. dropout_gradient.wgsl finds the same numbers again.

override VECTORS: u32 = 1;
override STEP: u32 = 1;
/// Words whose upper 24 bits are below DROPPED drop their element; SCALE is 1 / (1 - rate).
override DROPPED: u32 = 0;
override SCALE: f32 = 1;
override SALT: u32 = 1;
override SEED: u32 = 0;
override INVOCATIONS: u32 = 64;

struct Clock {
  draw: u32,
}

@group(0) @binding(0) var<storage, read> input: array<vec4f>;
@group(0) @binding(1) var<uniform> clock: Clock;
@group(0) @binding(2) var<storage, read_write> output: array<vec4f>;

/// Well-mixed words from words (shared/engine/dice.ts).
fn mixed(word: vec4u) -> vec4u {
  let state = word * 747796405u + 2891336453u;
  let product = ((state >> ((state >> vec4u(28)) + 4)) ^ state) * 277803737u;
  return (product >> vec4u(22)) ^ product;
}

/// 0 or SCALE for each element of a vector.
fn kept(at: u32, key: vec4u) -> vec4f {
  let word = mixed((4 * at + vec4u(0, 1, 2, 3)) ^ key);
  return select(vec4f(), vec4f(SCALE), (word >> vec4u(8)) >= vec4u(DROPPED));
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (index >= STEP) {
    return;
  }
  let key = mixed(vec4u(clock.draw) ^ mixed(vec4u(SEED) ^ mixed(vec4u(SALT))));
  for (var at = index; at < VECTORS; at += STEP) {
    output[at] = input[at] * kept(at, key);
  }
}
