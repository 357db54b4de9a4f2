// Softmax, cross-entropy, its gradient and whether the answer was right, in one kernel.
//
//   logits, gradient        [BATCH, CLASSES]; gradient = (p - y) / examples, of the mean loss over the whole step
//   labels, losses, correct [BATCH]; a row is correct where the first of its largest logits is the label's
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

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> losses: array<f32>;
@group(0) @binding(4) var<storage, read_write> correct: array<f32>;
@group(0) @binding(5) var<uniform> clock: Clock;

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.x;
  if (row >= BATCH) {
    return;
  }
  let base = row * CLASSES;
  let label = min(labels[row], CLASSES - 1);
  var largest = logits[base];
  var answer = 0u;
  for (var candidate = 1u; candidate < CLASSES; candidate++) {
    let logit = logits[base + candidate];
    if (logit > largest) {
      largest = logit;
      answer = candidate;
    }
  }
  // Subtracting the largest logit first keeps exp from overflowing.
  var sum = 0.0;
  for (var candidate = 0u; candidate < CLASSES; candidate++) {
    sum += exp(logits[base + candidate] - largest);
  }
  for (var candidate = 0u; candidate < CLASSES; candidate++) {
    let probability = exp(logits[base + candidate] - largest) / sum;
    gradient[base + candidate] = (probability - select(0.0, 1.0, candidate == label)) / f32(clock.examples);
  }
  losses[row] = log(sum) - (logits[base + label] - largest);
  correct[row] = select(0.0, 1.0, answer == label);
}
