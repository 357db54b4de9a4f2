// The second stage of the norms that an update needs: totals[row] = the sum of a run of partials.
//
//   rows [ROWS]: first partial, number of partials
//   partials, totals [ROWS]: sums of squares of parameters and gradient
//
// One invocation per row; no workgroup memory and no barrier.

override ROWS: u32 = 1;
override INVOCATIONS: u32 = 64;

@group(0) @binding(0) var<storage, read> rows: array<vec2u>;
@group(0) @binding(1) var<storage, read> partials: array<vec2f>;
@group(0) @binding(2) var<storage, read_write> totals: array<vec2f>;

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let row = (group.y * groups.x + group.x) * INVOCATIONS + local;
  if (row >= ROWS) {
    return;
  }
  let run = rows[row];
  var sum = vec2f();
  for (var at = run.x; at < run.x + run.y; at++) {
    sum += partials[at];
  }
  totals[row] = sum;
}
