// Operands in f16, for products that store them so: half[i] = f16(values[i]).
//
//   values [ELEMENTS]
//   half   [ELEMENTS], padded with zeros to whole vectors
//
// One invocation per four elements.

enable f16;

override ELEMENTS: u32 = 1;
override INVOCATIONS: u32 = 64;

@group(0) @binding(0) var<storage, read> values: array<f32>;
@group(0) @binding(1) var<storage, read_write> half: array<vec4h>;

fn value_at(index: u32) -> f32 {
  return select(0.0, values[min(index, ELEMENTS - 1)], index < ELEMENTS);
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (index * 4 >= ELEMENTS) {
    return;
  }
  let at = index * 4;
  half[index] = vec4h(vec4f(value_at(at), value_at(at + 1), value_at(at + 2), value_at(at + 3)));
}
