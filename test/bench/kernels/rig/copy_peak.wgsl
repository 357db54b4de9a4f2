// How fast a device streams through a kernel: result = source, four vectors of 4 an invocation, neighbours side by side.

override VECTORS: u32 = 1;
override INVOCATIONS: u32 = 64;

@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> result: array<vec4f>;

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let step = groups.x * INVOCATIONS;
  for (var turn = 0u; turn < 4; turn++) {
    let at = turn * step + id.x;
    if (at < VECTORS) {
      result[at] = source[at];
    }
  }
}
