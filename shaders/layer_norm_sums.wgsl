// First half of the gradients of a layer norm's scale and shift: sums over a chunk of rows.
//
//   input, output_gradient    [ROWS, CHANNELS]
//   mean, inverse_deviation   [ROWS]
//   partials                  [CHUNKS, 2, PERIOD] of 4: sums of dy * xhat, then of dy
//
// Lines, copies and chunks as in batch_norm_moments.wgsl. scale_gradient.wgsl adds the chunks.

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
@group(0) @binding(1) var<storage, read> output_gradient: array<vec4f>;
@group(0) @binding(2) var<storage, read> mean: array<f32>;
@group(0) @binding(3) var<storage, read> inverse_deviation: array<f32>;
@group(0) @binding(4) var<storage, read_write> partials: array<vec4f>;

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (index >= CHUNKS * PERIOD) {
    return;
  }
  let chunk = index / PERIOD;
  let position = index - chunk * PERIOD;
  // Of the line's rows.
  let copy = (4 * position + vec4u(0, 1, 2, 3)) / CHANNELS;
  var row = chunk * CHUNK_LINES * COPIES + copy;
  let end = min((chunk + 1) * CHUNK_LINES, LINES) * PERIOD;
  var products = vec4f();
  var sum = vec4f();
  for (var at = chunk * CHUNK_LINES * PERIOD + position; at < end; at += PERIOD) {
    let clamped = min(at, VECTORS - 1);
    let existing = min(row, vec4u(ROWS - 1));
    let middle = vec4f(mean[existing.x], mean[existing.y], mean[existing.z], mean[existing.w]);
    let inverse = vec4f(
      inverse_deviation[existing.x],
      inverse_deviation[existing.y],
      inverse_deviation[existing.z],
      inverse_deviation[existing.w],
    );
    var product = output_gradient[clamped] * (input[clamped] - middle) * inverse;
    var slope = output_gradient[clamped];
    if (COPIES > 1) {
      let inside = 4 * at + vec4u(0, 1, 2, 3) < vec4u(ROWS * CHANNELS);
      product = select(vec4f(), product, inside);
      slope = select(vec4f(), slope, inside);
    }
    products += product;
    sum += slope;
    row += COPIES;
  }
  let out = chunk * 2 * PERIOD + position;
  partials[out] = products;
  partials[out + PERIOD] = sum;
}
