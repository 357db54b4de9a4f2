// The first stage of the norms that an update needs: sums of squares over parts of tensors.
//
//   parameters, gradient: the whole vectors, in fours
//   workgroups [number of workgroups]: first vector of the range, its vectors, invocations on it, the first of them here
//   partials [workgroups, INVOCATIONS]: .x of the parameters (0 unless PARAMETERS), .y of the gradient
//
// An invocation sums the vectors of its range that lie `invocations` apart, so that neighbours read neighbouring vectors.

override PARAMETERS: bool = false;
override INVOCATIONS: u32 = 64;

@group(0) @binding(0) var<storage, read> parameters: array<vec4f>;
@group(0) @binding(1) var<storage, read> gradient: array<vec4f>;
@group(0) @binding(2) var<storage, read> workgroups: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> partials: array<vec2f>;

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let range = workgroups[group.x];
  var sum = vec2f();
  for (var at = range.w + local; at < range.y; at += range.z) {
    let slope = gradient[range.x + at];
    sum.y += dot(slope, slope);
    if (PARAMETERS) {
      let value = parameters[range.x + at];
      sum.x += dot(value, value);
    }
  }
  partials[group.x * INVOCATIONS + local] = sum;
}
