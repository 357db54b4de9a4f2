// Winograd F(2x2, 3x3), second half of the operands: the filters, transformed.
//
//   transformed[m, in, out] = (G g G^T)[m], G = [1 0 0; 1/2 1/2 1/2; 1/2 -1/2 1/2; 0 0 1]
//
//   weights     [3, 3, IN_CHANNELS, OUT_CHANNELS], or, where TRANSPOSED, the forward pass's weights
//               [3, 3, OUT_CHANNELS, IN_CHANNELS] read with their taps in reverse
//   transformed [16, IN_CHANNELS, OUT_CHANNELS]
//
// One invocation per filter.

override IN_CHANNELS: u32 = 1;
override OUT_CHANNELS: u32 = 1;
override TRANSPOSED: bool = false;
override INVOCATIONS: u32 = 64;

@group(0) @binding(0) var<storage, read> weights: array<f32>;
@group(0) @binding(1) var<storage, read_write> transformed: array<f32>;

fn row_of(a: f32, b: f32, c: f32) -> vec4f {
  return vec4f(a, 0.5 * (a + b + c), 0.5 * (a - b + c), c);
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (index >= IN_CHANNELS * OUT_CHANNELS) {
    return;
  }
  let in_channel = index / OUT_CHANNELS;
  let out_channel = index - in_channel * OUT_CHANNELS;
  let at = select(index, out_channel * IN_CHANNELS + in_channel, TRANSPOSED);
  var taps: array<f32, 9>;
  for (var tap = 0u; tap < 9; tap++) {
    taps[select(tap, 8 - tap, TRANSPOSED)] = weights[tap * IN_CHANNELS * OUT_CHANNELS + at];
  }
  let first = row_of(taps[0], taps[1], taps[2]);
  let second = row_of(taps[3], taps[4], taps[5]);
  let third = row_of(taps[6], taps[7], taps[8]);
  let step = IN_CHANNELS * OUT_CHANNELS;
  for (var i = 0u; i < 4; i++) {
    let column = row_of(first[i], second[i], third[i]);
    for (var j = 0u; j < 4; j++) {
      transformed[(4 * j + i) * step + index] = column[j];
    }
  }
}
