// The gradient of average pooling with stride 2: one invocation writes a tile of 2 x 2 inputs, which one window begins in, so
// that each output's gradient is read once for four inputs. average_pool_gradient.wgsl serves other strides.
//
//   output_gradient        [batch, OUT_HEIGHT, OUT_WIDTH, CHANNELS]
//   undone, input_gradient [batch, IN_HEIGHT, IN_WIDTH, CHANNELS]
//
// A window is shared by its taps inside the image. Four channels at once, no atomics; beyond the last channel an invocation
// repeats that one and stores equal bits.

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
@group(0) @binding(2) var<storage, read> undone: array<f32>;
@group(0) @binding(3) var<storage, read_write> input_gradient: array<f32>;

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

/// How many taps of a window lie inside an axis of `length`.
fn taps_inside(window: u32, length: u32) -> u32 {
  return min(2 * window + SIZE, length + PADDING) - max(2 * window, PADDING);
}

/// The gradients of a tile's inputs.
struct Tile {
  at00: vec4f,
  at01: vec4f,
  at10: vec4f,
  at11: vec4f,
}

/// The same with the share of the inputs that a window covers, if it exists; the tile's first row and column it covers.
fn gained(
  sums: Tile,
  windows: u32,
  y: u32,
  x: u32,
  exists: bool,
  tile_y: u32,
  tile_x: u32,
  first: u32,
  lanes: vec4u,
) -> Tile {
  let taps = f32(taps_inside(y, IN_HEIGHT) * taps_inside(x, IN_WIDTH));
  let weight = select(0.0, 1 / taps, exists);
  let covers_y = select(0.0, weight, 2 * tile_y + 1 < 2 * y + SIZE);
  let covers_x = 2 * tile_x + 1 < 2 * x + SIZE;
  let slope = gradients_at(((windows + y) * OUT_WIDTH + x) * CHANNELS + first, lanes);
  return Tile(
    sums.at00 + slope * weight,
    sums.at01 + slope * select(0.0, weight, covers_x),
    sums.at10 + slope * covers_y,
    sums.at11 + slope * select(0.0, covers_y, covers_x),
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
  let windows = image * OUT_HEIGHT;
  var sums = Tile();
  if (REACH == 1) {
    let y0 = min(first_y, OUT_HEIGHT - 1);
    let x0 = min(first_x, OUT_WIDTH - 1);
    let exists = (first_y < end_y) & (first_x < end_x);
    sums = gained(sums, windows, y0, x0, exists, last_y, last_x, first, lanes);
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
    sums = gained(sums, windows, y0, x0, has_y0 & has_x0, last_y, last_x, first, lanes);
    sums = gained(sums, windows, y0, x1, has_y0 & has_x1, last_y, last_x, first, lanes);
    sums = gained(sums, windows, y1, x0, has_y1 & has_x0, last_y, last_x, first, lanes);
    sums = gained(sums, windows, y1, x1, has_y1 & has_x1, last_y, last_x, first, lanes);
  } else {
    for (var window_y = first_y; window_y < end_y; window_y++) {
      for (var window_x = first_x; window_x < end_x; window_x++) {
        sums = gained(sums, windows, window_y, window_x, true, last_y, last_x, first, lanes);
      }
    }
  }
  // In the image; wraps below zero in the padding, beyond every length.
  let y = 2 * last_y - PADDING;
  let x = 2 * last_x - PADDING;
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
