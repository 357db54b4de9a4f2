// Second half of the gradients of a normalisation's scale and shift: adds the chunks, in a fixed order.
//
//   partials  [CHUNKS, 2, COPIES, CHANNELS]: of scale, then of shift
//   gradients the whole gradient; written are CHANNELS elements from SCALE_OFFSET and from SHIFT_OFFSET
//
// One invocation per channel.

override CHANNELS: u32 = 1;
override CHUNKS: u32 = 1;
override SCALE_OFFSET: u32 = 0;
override SHIFT_OFFSET: u32 = 0;
override INVOCATIONS: u32 = 64;

override COPIES: u32 = select(4u, 1u, CHANNELS % 4 == 0);

@group(0) @binding(0) var<storage, read> partials: array<f32>;
@group(0) @binding(1) var<storage, read_write> gradients: array<f32>;

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let channel = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (channel >= CHANNELS) {
    return;
  }
  let line = COPIES * CHANNELS;
  var scale = 0.0;
  var shift = 0.0;
  for (var chunk = 0u; chunk < CHUNKS; chunk++) {
    for (var copy = 0u; copy < COPIES; copy++) {
      let at = chunk * 2 * line + copy * CHANNELS + channel;
      scale += partials[at];
      shift += partials[at + line];
    }
  }
  gradients[SCALE_OFFSET + channel] = scale;
  gradients[SHIFT_OFFSET + channel] = shift;
}
