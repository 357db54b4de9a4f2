// Weights in the order in which a lowered product of type 2 or 3 wants them: taps that are lifted go with the outputs.
//
//   turned[inner, in, outer, out] = weights[tap, in, out], or, where TRANSPOSED, weights[TAPS - 1 - tap, out, in],
//   tap = outer * INNER + inner
//
//   weights [OUTER * INNER, IN_CHANNELS, OUT_CHANNELS], or, where TRANSPOSED, [OUTER * INNER, OUT_CHANNELS, IN_CHANNELS]
//   turned  [INNER * IN_CHANNELS, OUTER * OUT_CHANNELS]
//
// Type 2 lifts rows (INNER = OUTER = taps of a side), type 3 all taps (INNER = 1). One invocation per element.

override INNER: u32 = 1;
override OUTER: u32 = 1;
override IN_CHANNELS: u32 = 1;
override OUT_CHANNELS: u32 = 1;
override TRANSPOSED: bool = false;
override INVOCATIONS: u32 = 64;

override TAPS: u32 = INNER * OUTER;

@group(0) @binding(0) var<storage, read> weights: array<f32>;
@group(0) @binding(1) var<storage, read_write> turned: array<f32>;

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (index >= TAPS * IN_CHANNELS * OUT_CHANNELS) {
    return;
  }
  let row = index / OUT_CHANNELS;
  let out = index - row * OUT_CHANNELS;
  let matrix_row = row / OUTER;
  let outer = row - matrix_row * OUTER;
  let inner = matrix_row / IN_CHANNELS;
  let in = matrix_row - inner * IN_CHANNELS;
  let tap = outer * INNER + inner;
  if (TRANSPOSED) {
    turned[index] = weights[((TAPS - 1 - tap) * OUT_CHANNELS + out) * IN_CHANNELS + in];
  } else {
    turned[index] = weights[(tap * IN_CHANNELS + in) * OUT_CHANNELS + out];
  }
}
