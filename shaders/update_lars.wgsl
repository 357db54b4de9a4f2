// LARS (You et al. 2017): each tensor's rate is multiplied by TRUST * |x| / (|g| + decay*|x|), by 1 where |x| or |g| is 0;
// then v <- momentum*v - rate*(g + decay*x) ; x <- x + v. Tensors with one dimension keep the plain rate and do not decay.
//
//   parameters, velocity, gradient [VECTORS] of 4
//   norms [1]: .y is |g|^2 of the whole gradient as it came; read where CLIP_NORM > 0, to scale a longer g down to that norm
//   tensor_norms [tensors]: |x|^2 and |g|^2 of each tensor
//   tensor_of [VECTORS / 16]: the tensor that 64 elements belong to; PLAIN where it is not adapted
//
// Four vectors per invocation, a workgroup apart. Each takes the roots of its tensor's norms again: cheaper than one more launch.

override VECTORS: u32 = 1;
override TRUST: f32 = 0.001;
override CLIP_NORM: f32 = 0;
override INVOCATIONS: u32 = 64;

const PLAIN = 0xffffffffu;

struct Settings {
  learning_rate: f32,
  momentum: f32,
  weight_decay: f32,
}

@group(0) @binding(0) var<uniform> settings: Settings;
@group(0) @binding(1) var<storage, read> norms: array<vec2f>;
@group(0) @binding(2) var<storage, read> tensor_norms: array<vec2f>;
@group(0) @binding(3) var<storage, read> tensor_of: array<u32>;
@group(0) @binding(4) var<storage, read> gradient: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> velocity: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> parameters: array<vec4f>;

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
  let tensor = tensor_of[index / 16];
  var rate = settings.learning_rate;
  var decay = 0f;
  if (tensor != PLAIN) {
    decay = settings.weight_decay;
    let size = sqrt(tensor_norms[tensor].x);
    let slope = scale * sqrt(tensor_norms[tensor].y);
    if (size > 0 && slope > 0) {
      rate *= TRUST * size / (slope + decay * size);
    }
  }
  let old = parameters[index];
  let moved = settings.momentum * velocity[index] - rate * (scale * gradient[index] + decay * old);
  velocity[index] = moved;
  parameters[index] = old + moved;
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
