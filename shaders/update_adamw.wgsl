// AdamW (Loshchilov and Hutter 2019): m <- momentum*m + (1 - momentum)*g ; s <- BETA2*s + NEW_SHARE*g^2 ;
// x <- x - rate*(first_correction*m / (sqrt(second_correction*s) + EPSILON) + decay*x), the corrections from the host.
//
//   parameters, gradient, first (m), second (s) [VECTORS] of 4; NEW_SHARE is 1 - BETA2
//   norms [1]: .y is |g|^2 as it came; read where CLIP_NORM > 0, to scale a longer g down to that norm
//
// Four vectors per invocation, a workgroup apart (measured in README.md).

override VECTORS: u32 = 1;
override BETA2: f32 = 0.999;
override NEW_SHARE: f32 = 0.001;
override EPSILON: f32 = 1e-8;
override CLIP_NORM: f32 = 0;
override INVOCATIONS: u32 = 64;

struct Settings {
  learning_rate: f32,
  momentum: f32,
  weight_decay: f32,
  first_correction: f32,
  second_correction: f32,
}

@group(0) @binding(0) var<uniform> settings: Settings;
@group(0) @binding(1) var<storage, read> norms: array<vec2f>;
@group(0) @binding(2) var<storage, read> gradient: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> first: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> second: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> parameters: array<vec4f>;

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
  let g = scale * gradient[index];
  let m = settings.momentum * first[index] + (1 - settings.momentum) * g;
  let s = BETA2 * second[index] + NEW_SHARE * g * g;
  first[index] = m;
  second[index] = s;
  let old = parameters[index];
  let slope = settings.first_correction * m / (sqrt(settings.second_correction * s) + EPSILON);
  parameters[index] = old - settings.learning_rate * (slope + settings.weight_decay * old);
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let begin = (group.y * groups.x + group.x) * 4 * INVOCATIONS + local;
  let scale = gradient_scale();
  update(begin, scale);
  update(begin + INVOCATIONS, scale);
  update(begin + 2 * INVOCATIONS, scale);
  update(begin + 3 * INVOCATIONS, scale);
}
