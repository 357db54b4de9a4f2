// What an exchange sends: difference = parameters - base, with the parameters remembered as sent.
//
//   parameters, base, sent, difference [VECTORS] of 4
//
// Four vectors per invocation, a workgroup apart.

override VECTORS: u32 = 1;
override INVOCATIONS: u32 = 64;

@group(0) @binding(0) var<storage, read> parameters: array<vec4f>;
@group(0) @binding(1) var<storage, read> base: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> sent: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> difference: array<vec4f>;

fn take(index: u32) {
  if (index >= VECTORS) {
    return;
  }
  let value = parameters[index];
  sent[index] = value;
  difference[index] = value - base[index];
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let first = (group.y * groups.x + group.x) * 4 * INVOCATIONS + local;
  take(first);
  take(first + INVOCATIONS);
  take(first + 2 * INVOCATIONS);
  take(first + 3 * INVOCATIONS);
}
