// Gathers a batch as gather.wgsl does, each image shifted and flipped at random as shared/engine/dice.ts says.
//
//   images   bytes, four to a word, IMAGE_WORDS words an example
//   labels   [examples]
//   examples [BATCH]: which ones
//   channels [CHANNELS]: mean and deviation of each
//   clock    which draw this is
//   output   [BATCH, HEIGHT, WIDTH, CHANNELS] = (byte / 255 - mean) / deviation, 0 from outside the image
//   chosen   [BATCH]: their labels
//
// One invocation per pixel.

override HEIGHT: u32 = 1;
override WIDTH: u32 = 1;
override CHANNELS: u32 = 1;
override BATCH: u32 = 1;
override EXAMPLES: u32 = 1;
override CROP_PADDING: u32 = 0;
override FLIP: bool = false;
override SEED: u32 = 0;
override INVOCATIONS: u32 = 64;

override IMAGE_WORDS: u32 = (HEIGHT * WIDTH * CHANNELS + 3) / 4;

struct Clock {
  draw: u32,
}

@group(0) @binding(0) var<storage, read> images: array<u32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> examples: array<u32>;
@group(0) @binding(3) var<storage, read> channels: array<vec2f>;
@group(0) @binding(4) var<uniform> clock: Clock;
@group(0) @binding(5) var<storage, read_write> output: array<f32>;
@group(0) @binding(6) var<storage, read_write> chosen: array<u32>;

/// A well-mixed word from a word (shared/engine/dice.ts).
fn mixed(word: u32) -> u32 {
  let state = word * 747796405u + 2891336453u;
  let product = ((state >> ((state >> 28) + 4)) ^ state) * 277803737u;
  return (product >> 22) ^ product;
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (index >= BATCH * HEIGHT * WIDTH) {
    return;
  }
  let line = index / WIDTH;
  let x = index - line * WIDTH;
  let row = line / HEIGHT;
  let y = line - row * HEIGHT;
  // The salt of augmentation is 0.
  let word = mixed(row ^ mixed(clock.draw ^ mixed(SEED ^ mixed(0))));
  let places = 2 * CROP_PADDING + 1;
  let flipped = FLIP & (word >> 31 == 1);
  // Wraps below zero, beyond every length.
  let from_x = select(x, WIDTH - 1 - x, flipped) + (word & 0xfff) % places - CROP_PADDING;
  let from_y = y + ((word >> 12) & 0xfff) % places - CROP_PADDING;
  let inside = (from_x < WIDTH) & (from_y < HEIGHT);
  // An index beyond the data set is the caller's mistake, which must not become a read beyond the buffer.
  let example = min(examples[row], EXAMPLES - 1);
  let first = select(0, (from_y * WIDTH + from_x) * CHANNELS, inside);
  for (var channel = 0u; channel < CHANNELS; channel++) {
    let at = first + channel;
    let byte = (images[example * IMAGE_WORDS + at / 4] >> (at % 4 * 8)) & 0xff;
    let normal = channels[channel];
    output[index * CHANNELS + channel] = select(0.0, (f32(byte) / 255.0 - normal.x) / normal.y, inside);
  }
  if (y + x == 0) {
    chosen[row] = labels[example];
  }
}
