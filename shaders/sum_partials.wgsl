// Adds the copies that a split filter gradient wrote, in a fixed order.
//
//   partials [SPLITS, WEIGHTS + CHANNELS]: weights, then bias
//   gradients: weights from WEIGHTS_OFFSET on, bias from BIAS_OFFSET on
//
// One invocation per element.

override SPLITS: u32 = 1;
override WEIGHTS: u32 = 1;
override CHANNELS: u32 = 1;
override WEIGHTS_OFFSET: u32 = 0;
override BIAS_OFFSET: u32 = 0;
override INVOCATIONS: u32 = 64;

@group(0) @binding(0) var<storage, read> partials: array<f32>;
@group(0) @binding(1) var<storage, read_write> gradients: array<f32>;

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (index >= WEIGHTS + CHANNELS) {
    return;
  }
  var sum = 0.0;
  for (var split = 0u; split < SPLITS; split++) {
    sum += partials[split * (WEIGHTS + CHANNELS) + index];
  }
  gradients[select(BIAS_OFFSET + index - WEIGHTS, WEIGHTS_OFFSET + index, index < WEIGHTS)] = sum;
}
