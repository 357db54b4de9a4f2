// The gradient of an embedding's weights, as a gather: every word looks for its tokens.
//
//   tokens          [TOKENS], whole numbers
//   output_gradient [TOKENS, WIDTH]
//   gradients       the whole gradient; written are [VOCABULARY, WIDTH] from WEIGHTS_OFFSET on
//
// One invocation per four elements of a word's vector, no atomics; beyond the last it repeats that one and stores equal
// bits.

override TOKENS: u32 = 1;
override VOCABULARY: u32 = 1;
override WIDTH: u32 = 1;
override WEIGHTS_OFFSET: u32 = 0;
override INVOCATIONS: u32 = 64;

override BLOCKS: u32 = (WIDTH + 3) / 4;

@group(0) @binding(0) var<storage, read> tokens: array<f32>;
@group(0) @binding(1) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(2) var<storage, read_write> gradients: array<f32>;

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (index >= VOCABULARY * BLOCKS) {
    return;
  }
  let word = index / BLOCKS;
  let first = (index - word * BLOCKS) * 4;
  let elements = min(first + vec4u(0, 1, 2, 3), vec4u(WIDTH - 1));
  var sum = vec4f();
  for (var token = 0u; token < TOKENS; token++) {
    if (min(u32(tokens[token]), VOCABULARY - 1) == word) {
      let at = token * WIDTH + elements;
      sum += vec4f(output_gradient[at.x], output_gradient[at.y], output_gradient[at.z], output_gradient[at.w]);
    }
  }
  let out = WEIGHTS_OFFSET + word * WIDTH + elements;
  gradients[out.x] = sum.x;
  gradients[out.y] = sum.y;
  gradients[out.z] = sum.z;
  gradients[out.w] = sum.w;
}
