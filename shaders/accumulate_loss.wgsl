// Adds a batch's losses to the running total, so that no step reads anything back.
//
//   losses [BATCH]
//   total  [4]: the sum of the losses of all examples of the steps, and three words that only align it
//
// One invocation: BATCH additions are nothing beside a step.

override BATCH: u32 = 1;

@group(0) @binding(0) var<storage, read> losses: array<f32>;
@group(0) @binding(1) var<storage, read_write> total: array<f32>;

@compute @workgroup_size(1)
fn main() {
  var sum = 0.0;
  for (var row = 0u; row < BATCH; row++) {
    sum += losses[row];
  }
  total[0] += sum;
}
