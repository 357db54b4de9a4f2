// The elastic pull: parameters <- parameters - moving_rate * (sent - center), in a range. The caller has put the center into base.
//
//   parameters, sent, center [elements of the layout / 4] of 4; the range is in vectors
//
// Four vectors per invocation, a workgroup apart.

override INVOCATIONS: u32 = 64;

struct Pull {
  moving_rate: f32,
  first: u32,
  end: u32,
}

@group(0) @binding(0) var<uniform> pull: Pull;
@group(0) @binding(1) var<storage, read> sent: array<vec4f>;
@group(0) @binding(2) var<storage, read> center: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> parameters: array<vec4f>;

fn settle(index: u32) {
  if (index >= pull.end) {
    return;
  }
  parameters[index] -= pull.moving_rate * (sent[index] - center[index]);
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let first = pull.first + (group.y * groups.x + group.x) * 4 * INVOCATIONS + local;
  settle(first);
  settle(first + INVOCATIONS);
  settle(first + 2 * INVOCATIONS);
  settle(first + 3 * INVOCATIONS);
}
