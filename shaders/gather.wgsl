// Gathers a batch from the data set on the device: bytes become normalised f32, labels come along.
//
//   images   bytes, four to a word, IMAGE_WORDS words an example (the last word of an image may be partly unused)
//   labels   [examples]
//   examples [BATCH]: which ones
//   channels [CHANNELS]: mean and deviation of each
//   output   [BATCH, IMAGE_ELEMENTS] = (byte / 255 - mean) / deviation, or, where TOKENS, the byte itself
//   chosen   [BATCH]: their labels
//
// One invocation per word. gather_augmented.wgsl also crops and flips.

override IMAGE_ELEMENTS: u32 = 1;
override CHANNELS: u32 = 1;
override BATCH: u32 = 1;
override EXAMPLES: u32 = 1;
override TOKENS: bool = false;
override INVOCATIONS: u32 = 64;

override IMAGE_WORDS: u32 = (IMAGE_ELEMENTS + 3) / 4;

@group(0) @binding(0) var<storage, read> images: array<u32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> examples: array<u32>;
@group(0) @binding(3) var<storage, read> channels: array<vec2f>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;
@group(0) @binding(5) var<storage, read_write> chosen: array<u32>;

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (index >= BATCH * IMAGE_WORDS) {
    return;
  }
  let row = index / IMAGE_WORDS;
  let word = index - row * IMAGE_WORDS;
  // An index beyond the data set is the caller's mistake, which must not become a read beyond the buffer.
  let example = min(examples[row], EXAMPLES - 1);
  let bytes = unpack4xU8(images[example * IMAGE_WORDS + word]);
  var channel = 4 * word % CHANNELS;
  for (var lane = 0u; lane < 4; lane++) {
    let element = word * 4 + lane;
    if (element < IMAGE_ELEMENTS) {
      let normal = channels[channel];
      let value = (f32(bytes[lane]) / 255.0 - normal.x) / normal.y;
      output[row * IMAGE_ELEMENTS + element] = select(value, f32(bytes[lane]), TOKENS);
    }
    channel = select(channel + 1, 0, channel + 1 == CHANNELS);
  }
  if (word == 0) {
    chosen[row] = labels[example];
  }
}
