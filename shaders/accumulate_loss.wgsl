// Adds a batch's share of the mean loss to the running total, so that no step reads anything back.
//
//   losses [BATCH], of EXAMPLES over which the mean is taken
//   total  [4]: the sum of the steps' mean losses, and three words that only align it
//
// One invocation: BATCH additions are nothing beside a step.

override BATCH: u32 = 1;
override EXAMPLES: u32 = 1;

@group(0) @binding(0) var<storage, read> losses: array<f32>;
@group(0) @binding(1) var<storage, read_write> total: array<f32>;

@compute @workgroup_size(1)
fn main() {
  var sum = 0.0;
  for (var row = 0u; row < BATCH; row++) {
    sum += losses[row];
  }
  total[0] += sum / f32(EXAMPLES);
}
