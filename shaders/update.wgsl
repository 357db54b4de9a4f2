// SGD with momentum over the trained part of the parameters: v <- momentum*v - rate*(g + decay*x), then
// x <- x + v, or with NESTEROV x <- x + momentum*v - rate*(g + decay*x).
//
//   parameters, velocity, gradient [VECTORS] of 4
//   norms [1]: .y is |g|^2 as it came; read where CLIP_NORM > 0, to scale a longer g down to that norm
//
// Four vectors per invocation, a workgroup apart (measured in README.md).

override VECTORS: u32 = 1;
override NESTEROV: bool = false;
override CLIP_NORM: f32 = 0;
override INVOCATIONS: u32 = 64;

struct Settings {
  learning_rate: f32,
  momentum: f32,
  weight_decay: f32,
}

@group(0) @binding(0) var<uniform> settings: Settings;
@group(0) @binding(1) var<storage, read> norms: array<vec2f>;
@group(0) @binding(2) var<storage, read> gradient: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> velocity: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> parameters: array<vec4f>;

fn gradient_scale() -> f32 {
  if (CLIP_NORM <= 0) {
    return 1;
  }
  let norm = sqrt(norms[0].y);
  return select(1, CLIP_NORM / norm, norm > CLIP_NORM);
}

fn update(index: u32, scale: f32) {
  if (index >= VECTORS) {
    return;
  }
  let old = parameters[index];
  let slope = scale * gradient[index] + settings.weight_decay * old;
  let moved = settings.momentum * velocity[index] - settings.learning_rate * slope;
  velocity[index] = moved;
  if (NESTEROV) {
    parameters[index] = old + settings.momentum * moved - settings.learning_rate * slope;
  } else {
    parameters[index] = old + moved;
  }
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let first = (group.y * groups.x + group.x) * 4 * INVOCATIONS + local;
  let scale = gradient_scale();
  update(first, scale);
  update(first + INVOCATIONS, scale);
  update(first + 2 * INVOCATIONS, scale);
  update(first + 3 * INVOCATIONS, scale);
}
