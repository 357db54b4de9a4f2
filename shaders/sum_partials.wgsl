// Adds the copies that a split filter gradient wrote, in a fixed order, and turns the taps of a lowered one back.
//
//   gradients[WEIGHTS_OFFSET + ((outer * INNER + inner) * IN_CHANNELS + in) * OUT_CHANNELS + out] =
//     sum over splits of partials[split, inner, in, OUTER - 1 - outer, out]
//
//   partials [SPLITS, STRIDE]: INNER * IN_CHANNELS * OUTER * OUT_CHANNELS weights, then BIAS elements from
//            BIAS_PARTIALS on, which go to BIAS_OFFSET
//
// INNER is 1, and IN_CHANNELS all rows of the weights, where nothing was lowered, or type 1. One invocation per element.

override SPLITS: u32 = 1;
override STRIDE: u32 = 1;
override INNER: u32 = 1;
override OUTER: u32 = 1;
override IN_CHANNELS: u32 = 1;
override OUT_CHANNELS: u32 = 1;
override BIAS: u32 = 0;
override BIAS_PARTIALS: u32 = 0;
override WEIGHTS_OFFSET: u32 = 0;
override BIAS_OFFSET: u32 = 0;
override INVOCATIONS: u32 = 64;

override WEIGHTS: u32 = INNER * IN_CHANNELS * OUTER * OUT_CHANNELS;

@group(0) @binding(0) var<storage, read> partials: array<f32>;
@group(0) @binding(1) var<storage, read_write> gradients: array<f32>;

/// Where the partial sums of a weight lie.
fn partial_at(index: u32) -> u32 {
  if (OUTER == 1) {
    return index;
  }
  let row = index / OUT_CHANNELS;
  let out = index - row * OUT_CHANNELS;
  let tap = row / IN_CHANNELS;
  let in = row - tap * IN_CHANNELS;
  let outer = tap / INNER;
  let inner = tap - outer * INNER;
  return ((inner * IN_CHANNELS + in) * OUTER + OUTER - 1 - outer) * OUT_CHANNELS + out;
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (index >= WEIGHTS + BIAS) {
    return;
  }
  let is_bias = index >= WEIGHTS;
  var at = 0u;
  if (is_bias) {
    at = BIAS_PARTIALS + index - WEIGHTS;
  } else {
    at = partial_at(index);
  }
  var sum = 0.0;
  for (var split = 0u; split < SPLITS; split++) {
    sum += partials[split * STRIDE + at];
  }
  gradients[select(WEIGHTS_OFFSET + index, BIAS_OFFSET + index - WEIGHTS, is_bias)] = sum;
}
