// Mean squared error to a one-hot answer, its gradient and whether the answer was right, in one kernel.
//
//   predictions, gradient   [BATCH, CLASSES]; gradient = 2 (prediction - y) / (CLASSES * examples), of the mean loss
//   labels, losses, correct [BATCH]; losses = mean over classes of (prediction - y)^2; a row is correct where the first of
//                           its largest predictions is the label's
//   clock                   how many examples the step has, in all its parts
//
// One invocation per row.

override BATCH: u32 = 1;
override CLASSES: u32 = 1;
override INVOCATIONS: u32 = 64;

struct Clock {
  draw: u32,
  examples: u32,
}

@group(0) @binding(0) var<storage, read> predictions: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> losses: array<f32>;
@group(0) @binding(4) var<storage, read_write> correct: array<f32>;
@group(0) @binding(5) var<uniform> clock: Clock;

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let row = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (row >= BATCH) {
    return;
  }
  let base = row * CLASSES;
  let label = min(labels[row], CLASSES - 1);
  var largest = predictions[base];
  var answer = 0u;
  var sum = 0.0;
  for (var candidate = 0u; candidate < CLASSES; candidate++) {
    let prediction = predictions[base + candidate];
    if (prediction > largest) {
      largest = prediction;
      answer = candidate;
    }
    let error = prediction - select(0.0, 1.0, candidate == label);
    sum += error * error;
    gradient[base + candidate] = 2 * error / f32(CLASSES * clock.examples);
  }
  losses[row] = sum / f32(CLASSES);
  correct[row] = select(0.0, 1.0, answer == label);
}
