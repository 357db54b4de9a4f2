// sum <- sum + part: the gradient of a batch that is done in parts.
//
//   part, sum [VECTORS] of 4
//
// Four vectors per invocation, a workgroup apart (measured in README.md).

override VECTORS: u32 = 1;
override INVOCATIONS: u32 = 64;

@group(0) @binding(0) var<storage, read> part: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> sum: array<vec4f>;

fn add(index: u32) {
  if (index >= VECTORS) {
    return;
  }
  sum[index] += part[index];
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let first = (group.y * groups.x + group.x) * 4 * INVOCATIONS + local;
  add(first);
  add(first + INVOCATIONS);
  add(first + 2 * INVOCATIONS);
  add(first + 3 * INVOCATIONS);
}
