// Second half of a batch norm's statistics: joins the chunks' moments (Chan, Golub and LeVeque 1979) and moves the running
// statistics, r <- MOMENTUM * r + (1 - MOMENTUM) * batch statistic.
//
//   partials                          [CHUNKS, 2, COPIES, CHANNELS], of batch_norm_moments.wgsl
//   mean, inverse_deviation           [CHANNELS]; 1 / sqrt(variance + EPSILON), the variance divided by ROWS
//   running_mean, running_variance    [CHANNELS]
//
// One invocation per channel.

override ROWS: u32 = 1;
override CHANNELS: u32 = 1;
override CHUNKS: u32 = 1;
override CHUNK_LINES: u32 = 1;
override MOMENTUM: f32 = 0;
override EPSILON: f32 = 0;
override INVOCATIONS: u32 = 64;

override COPIES: u32 = select(4u, 1u, CHANNELS % 4 == 0);
override LINES: u32 = (ROWS + COPIES - 1) / COPIES;

@group(0) @binding(0) var<storage, read> partials: array<f32>;
@group(0) @binding(1) var<storage, read_write> mean: array<f32>;
@group(0) @binding(2) var<storage, read_write> inverse_deviation: array<f32>;
@group(0) @binding(3) var<storage, read_write> running_mean: array<f32>;
@group(0) @binding(4) var<storage, read_write> running_variance: array<f32>;

/// How many rows a chunk holds of one copy: those of its lines whose row exists.
fn rows_of(chunk: u32, copy: u32) -> f32 {
  let first = chunk * CHUNK_LINES;
  let end = min(first + CHUNK_LINES, LINES);
  let lines = (max(ROWS, copy) - copy + COPIES - 1) / COPIES;
  return f32(clamp(lines, first, end) - first);
}

fn weighted(rows: f32, value: f32) -> f32 {
  return select(0.0, rows * value, rows > 0.0);
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let channel = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (channel >= CHANNELS) {
    return;
  }
  let line = COPIES * CHANNELS;
  let base = partials[channel];
  var sum = 0.0;
  for (var chunk = 0u; chunk < CHUNKS; chunk++) {
    for (var copy = 0u; copy < COPIES; copy++) {
      sum += weighted(rows_of(chunk, copy), partials[chunk * 2 * line + copy * CHANNELS + channel] - base);
    }
  }
  let whole = base + sum / f32(ROWS);
  var squares = 0.0;
  for (var chunk = 0u; chunk < CHUNKS; chunk++) {
    for (var copy = 0u; copy < COPIES; copy++) {
      let at = chunk * 2 * line + copy * CHANNELS + channel;
      let off = partials[at] - whole;
      let rows = rows_of(chunk, copy);
      squares += select(0.0, partials[at + line] + rows * off * off, rows > 0.0);
    }
  }
  let variance = squares / f32(ROWS);
  mean[channel] = whole;
  inverse_deviation[channel] = 1 / sqrt(variance + EPSILON);
  running_mean[channel] = MOMENTUM * running_mean[channel] + (1 - MOMENTUM) * whole;
  running_variance[channel] = MOMENTUM * running_variance[channel] + (1 - MOMENTUM) * variance;
}
