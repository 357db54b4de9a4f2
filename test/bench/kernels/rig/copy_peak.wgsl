// How fast a device streams through a kernel: result = source, TURNS vectors of 4 an invocation. Real GPUs want neighbours
// side by side; software wants each invocation to have its own stretch (CONTIGUOUS).

override VECTORS: u32 = 1;
override TURNS: u32 = 4;
override CONTIGUOUS: bool = false;
override INVOCATIONS: u32 = 64;

@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> result: array<vec4f>;

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let first = select(id.x, id.x * TURNS, CONTIGUOUS);
  let step = select(groups.x * INVOCATIONS, 1u, CONTIGUOUS);
  for (var turn = 0u; turn < TURNS; turn++) {
    let at = first + turn * step;
    if (at < VECTORS) {
      result[at] = source[at];
    }
  }
}
