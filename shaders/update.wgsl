// The heavy-ball update of SGD over the whole parameter buffer: v <- momentum*v - rate*(g + decay*x) ; x <- x + v.
//
//   parameters, velocity, gradient [VECTORS] of 4
//
// Four vectors per invocation, a workgroup apart (measured in README.md).

override VECTORS: u32 = 1;
override INVOCATIONS: u32 = 64;

struct Settings {
  learning_rate: f32,
  momentum: f32,
  weight_decay: f32,
}

@group(0) @binding(0) var<uniform> settings: Settings;
@group(0) @binding(1) var<storage, read> gradient: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> velocity: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> parameters: array<vec4f>;

fn update(index: u32) {
  if (index >= VECTORS) {
    return;
  }
  let old = parameters[index];
  let slope = gradient[index] + settings.weight_decay * old;
  let moved = settings.momentum * velocity[index] - settings.learning_rate * slope;
  velocity[index] = moved;
  parameters[index] = old + moved;
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let first = (group.y * groups.x + group.x) * 4 * INVOCATIONS + local;
  update(first);
  update(first + INVOCATIONS);
  update(first + 2 * INVOCATIONS);
  update(first + 3 * INVOCATIONS);
}
