// The gradient of max-pooling with stride 2: one invocation writes a tile of 2 x 2 inputs, which one window begins in, so that
// each choice is read once for four inputs. max_pool_gradient.wgsl serves other strides.
//
//   output_gradient, choice [batch, OUT_HEIGHT, OUT_WIDTH, CHANNELS]
//   undone, input_gradient  [batch, IN_HEIGHT, IN_WIDTH, CHANNELS]
//
// Four channels at once, no atomics; beyond the last channel an invocation repeats that one and stores equal bits.

override TILES: u32 = 1;
override OUT_HEIGHT: u32 = 1;
override OUT_WIDTH: u32 = 1;
override IN_HEIGHT: u32 = 1;
override IN_WIDTH: u32 = 1;
override CHANNELS: u32 = 1;
override SIZE: u32 = 1;
override PADDING: u32 = 0;
/// Adds to what is there, and multiplies by the derivative of 1 relu, 2 leaky relu, 3 tanh, 4 sigmoid where it gave `undone`.
override ACCUMULATE: bool = false;
override UNDO: u32 = 0;
override SLOPE: f32 = 0;
override INVOCATIONS: u32 = 64;

override BLOCKS: u32 = (CHANNELS + 3) / 4;
override VECTOR: bool = CHANNELS % 4 == 0;
/// Tiles along the axes of an image, and how many windows reach a tile along an axis.
override DOWN: u32 = (IN_HEIGHT + PADDING - 1) / 2 - PADDING / 2 + 1;
override ACROSS: u32 = (IN_WIDTH + PADDING - 1) / 2 - PADDING / 2 + 1;
override REACH: u32 = (SIZE + 1) / 2;

@group(0) @binding(0) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(1) var<storage, read> output_gradient_vectors: array<vec4f>;
@group(0) @binding(2) var<storage, read> choice: array<u32>;
@group(0) @binding(3) var<storage, read> choice_vectors: array<vec4u>;
@group(0) @binding(4) var<storage, read> undone: array<f32>;
@group(0) @binding(5) var<storage, read_write> input_gradient: array<f32>;

/// Four channels from `at` on, those that do not exist repeating the last.
fn gradients_at(at: u32, lanes: vec4u) -> vec4f {
  if (VECTOR) {
    return output_gradient_vectors[at / 4];
  }
  return vec4f(
    output_gradient[at],
    output_gradient[at + lanes.y],
    output_gradient[at + lanes.z],
    output_gradient[at + lanes.w],
  );
}

fn choices_at(at: u32, lanes: vec4u) -> vec4u {
  if (VECTOR) {
    return choice_vectors[at / 4];
  }
  return vec4u(choice[at], choice[at + lanes.y], choice[at + lanes.z], choice[at + lanes.w]);
}

/// The gradients of a tile's inputs.
struct Tile {
  at00: vec4f,
  at01: vec4f,
  at10: vec4f,
  at11: vec4f,
}

/// The same with what a window hands to those inputs that it chose, if it exists.
fn gained(sums: Tile, window: u32, exists: bool, own: vec4u, first: u32, lanes: vec4u) -> Tile {
  let at = window * CHANNELS + first;
  let chosen = choices_at(at, lanes);
  let gradient = select(vec4f(), gradients_at(at, lanes), exists);
  return Tile(
    sums.at00 + select(vec4f(), gradient, chosen == own),
    sums.at01 + select(vec4f(), gradient, chosen == own + CHANNELS),
    sums.at10 + select(vec4f(), gradient, chosen == own + IN_WIDTH * CHANNELS),
    sums.at11 + select(vec4f(), gradient, chosen == own + (IN_WIDTH + 1) * CHANNELS),
  );
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (index >= TILES * BLOCKS) {
    return;
  }
  // Divisions are dear, so the remainders are not divided again.
  let tile = index / BLOCKS;
  let first = (index - tile * BLOCKS) * 4;
  let lanes = min(vec4u(0, 1, 2, 3), vec4u(CHANNELS - 1 - first));
  let row = tile / ACROSS;
  let image = row / DOWN;
  // The window that begins in this tile is the last that covers it.
  let last_x = tile - row * ACROSS + PADDING / 2;
  let last_y = row - image * DOWN + PADDING / 2;
  let first_x = max(last_x + 1, REACH) - REACH;
  let first_y = max(last_y + 1, REACH) - REACH;
  let end_x = min(last_x + 1, OUT_WIDTH);
  let end_y = min(last_y + 1, OUT_HEIGHT);
  // In the image; wraps below zero in the padding, beyond every length.
  let y = 2 * last_y - PADDING;
  let x = 2 * last_x - PADDING;
  let own = (y * IN_WIDTH + x) * CHANNELS + first + lanes;
  let windows = image * OUT_HEIGHT;
  var sums = Tile();
  if (REACH == 1) {
    let y0 = min(first_y, OUT_HEIGHT - 1);
    let x0 = min(first_x, OUT_WIDTH - 1);
    let exists = (first_y < end_y) & (first_x < end_x);
    sums = gained(sums, (windows + y0) * OUT_WIDTH + x0, exists, own, first, lanes);
  } else if (REACH == 2) {
    // Without loops, which are dear in software; a window that does not exist repeats another with weight 0.
    let x1 = min(first_x + 1, OUT_WIDTH - 1);
    let y1 = min(first_y + 1, OUT_HEIGHT - 1);
    let x0 = min(first_x, OUT_WIDTH - 1);
    let y0 = min(first_y, OUT_HEIGHT - 1);
    let has_x0 = first_x < end_x;
    let has_x1 = first_x + 1 < end_x;
    let has_y0 = first_y < end_y;
    let has_y1 = first_y + 1 < end_y;
    sums = gained(sums, (windows + y0) * OUT_WIDTH + x0, has_y0 & has_x0, own, first, lanes);
    sums = gained(sums, (windows + y0) * OUT_WIDTH + x1, has_y0 & has_x1, own, first, lanes);
    sums = gained(sums, (windows + y1) * OUT_WIDTH + x0, has_y1 & has_x0, own, first, lanes);
    sums = gained(sums, (windows + y1) * OUT_WIDTH + x1, has_y1 & has_x1, own, first, lanes);
  } else {
    for (var window_y = first_y; window_y < end_y; window_y++) {
      for (var window_x = first_x; window_x < end_x; window_x++) {
        sums = gained(sums, (windows + window_y) * OUT_WIDTH + window_x, true, own, first, lanes);
      }
    }
  }
  let at = ((image * IN_HEIGHT + y) * IN_WIDTH + x) * CHANNELS + first + lanes;
  if ((y < IN_HEIGHT) & (x < IN_WIDTH)) {
    give(at, sums.at00);
  }
  if ((y < IN_HEIGHT) & (x + 1 < IN_WIDTH)) {
    give(at + CHANNELS, sums.at01);
  }
  if ((y + 1 < IN_HEIGHT) & (x < IN_WIDTH)) {
    give(at + IN_WIDTH * CHANNELS, sums.at10);
  }
  if ((y + 1 < IN_HEIGHT) & (x + 1 < IN_WIDTH)) {
    give(at + (IN_WIDTH + 1) * CHANNELS, sums.at11);
  }
}

/// Stores four channels of the gradient at addresses `at`.
fn give(at: vec4u, value: vec4f) {
  var gradient = value;
  if (ACCUMULATE) {
    gradient += vec4f(input_gradient[at.x], input_gradient[at.y], input_gradient[at.z], input_gradient[at.w]);
  }
  if (UNDO > 0) {
    gradient *= derivative(vec4f(undone[at.x], undone[at.y], undone[at.z], undone[at.w]));
  }
  input_gradient[at.x] = gradient.x;
  input_gradient[at.y] = gradient.y;
  input_gradient[at.z] = gradient.z;
  input_gradient[at.w] = gradient.w;
}

/// The derivative of an activation where it put out y.
fn derivative(y: vec4f) -> vec4f {
  switch (UNDO) {
    case 1: { return select(vec4f(), vec4f(1), y > vec4f()); }
    case 2: { return select(vec4f(SLOPE), vec4f(1), y > vec4f()); }
    case 3: { return 1 - y * y; }
    default: { return y * (1 - y); }
  }
}
