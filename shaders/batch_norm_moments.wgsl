// First half of a batch norm's statistics: mean and sum of squared deviations of each channel over a chunk of rows.
//
//   input    [ROWS, CHANNELS]
//   partials [CHUNKS, 2, PERIOD] of 4: means, then sums of (x - mean)^2
//
// Memory is read as vectors of 4. Channels repeat every PERIOD vectors, one line: that is one row, or, where CHANNELS is
// not a multiple of 4, four rows (COPIES). One invocation sums one position of the line over CHUNK_LINES lines, around the
// first value that it sees, so that a large mean does not cancel the deviations. batch_norm_statistics.wgsl joins them.

override ROWS: u32 = 1;
override CHANNELS: u32 = 1;
override CHUNKS: u32 = 1;
override CHUNK_LINES: u32 = 1;
override INVOCATIONS: u32 = 64;

override COPIES: u32 = select(4u, 1u, CHANNELS % 4 == 0);
override PERIOD: u32 = CHANNELS * COPIES / 4;
override LINES: u32 = (ROWS + COPIES - 1) / COPIES;
override VECTORS: u32 = (ROWS * CHANNELS + 3) / 4;

@group(0) @binding(0) var<storage, read> input: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> partials: array<vec4f>;

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (index >= CHUNKS * PERIOD) {
    return;
  }
  let chunk = index / PERIOD;
  let position = index - chunk * PERIOD;
  let first = chunk * CHUNK_LINES * PERIOD + position;
  let end = min((chunk + 1) * CHUNK_LINES, LINES) * PERIOD;
  let base = input[min(first, VECTORS - 1)];
  var sum = vec4f();
  var squares = vec4f();
  var count = vec4f();
  for (var at = first; at < end; at += PERIOD) {
    var deviation = input[min(at, VECTORS - 1)] - base;
    if (COPIES > 1) {
      // The last line may end before its fourth row.
      let inside = 4 * at + vec4u(0, 1, 2, 3) < vec4u(ROWS * CHANNELS);
      deviation = select(vec4f(), deviation, inside);
      count += select(vec4f(), vec4f(1), inside);
    } else {
      count += vec4f(1);
    }
    sum += deviation;
    squares += deviation * deviation;
  }
  let offset = sum / max(count, vec4f(1));
  let out = chunk * 2 * PERIOD + position;
  partials[out] = base + offset;
  partials[out + PERIOD] = max(squares - sum * offset, vec4f());
}
