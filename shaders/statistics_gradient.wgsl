// In place of the gradient of running statistics, which have none: what the base has to lose to become them (SPEC E9).
//
//   base, parameters, gradient [VECTORS] of 4: the statistics' part of each
//
// Four vectors per invocation, a workgroup apart (measured in README.md).

override VECTORS: u32 = 1;
override INVOCATIONS: u32 = 64;

@group(0) @binding(0) var<storage, read> base: array<vec4f>;
@group(0) @binding(1) var<storage, read> parameters: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> gradient: array<vec4f>;

fn subtract(index: u32) {
  if (index >= VECTORS) {
    return;
  }
  gradient[index] = base[index] - parameters[index];
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let first = (group.y * groups.x + group.x) * 4 * INVOCATIONS + local;
  subtract(first);
  subtract(first + INVOCATIONS);
  subtract(first + 2 * INVOCATIONS);
  subtract(first + 3 * INVOCATIONS);
}
