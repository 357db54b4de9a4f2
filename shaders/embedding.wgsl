// output [TOKENS, WIDTH] = weights [VOCABULARY, WIDTH] at each token; a token beyond the vocabulary reads the last word.
//
//   tokens [TOKENS], whole numbers
//
// One invocation per four elements of a token's vector; beyond the last it repeats that one and stores equal bits.

override TOKENS: u32 = 1;
override VOCABULARY: u32 = 1;
override WIDTH: u32 = 1;
override INVOCATIONS: u32 = 64;

override BLOCKS: u32 = (WIDTH + 3) / 4;

@group(0) @binding(0) var<storage, read> tokens: array<f32>;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (index >= TOKENS * BLOCKS) {
    return;
  }
  let token = index / BLOCKS;
  let first = (index - token * BLOCKS) * 4;
  let elements = min(first + vec4u(0, 1, 2, 3), vec4u(WIDTH - 1));
  let at = min(u32(tokens[token]), VOCABULARY - 1) * WIDTH + elements;
  let out = token * WIDTH + elements;
  output[out.x] = weights[at.x];
  output[out.y] = weights[at.y];
  output[out.z] = weights[at.z];
  output[out.w] = weights[at.w];
}
