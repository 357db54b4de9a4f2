// The codec f32 (SPEC C; shared/wire/codec/naive.ts is the definition): a range of a layout to words, and back.
//
//   encode: payload = encoded(source - base), kept = base + decoded(payload): parameters, the center, what was sent;
//           with GRADIENT payload = encoded(source + kept), kept = what is left of that: a gradient, the residual
//   decode: center = center + decoded(change)
//
//   source, base, kept, center [elements of the layout / 4] of 4; the range is in vectors, from a block's beginning on
//   payload, change [vectors of the range] of 4
//
// Two vectors per invocation. What is sent is exact, but base and difference added need not be: kept is the source itself.

override GRADIENT: bool = false;

const INVOCATIONS = 64u;

struct Range {
  first: u32,
  end: u32,
}

@group(0) @binding(0) var<uniform> range: Range;

// Of encode.
@group(0) @binding(1) var<storage, read> source: array<vec4f>;
@group(0) @binding(2) var<storage, read> base: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> kept: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> payload: array<vec4f>;

// Of decode.
@group(0) @binding(1) var<storage, read> change: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> center: array<vec4f>;

fn take(index: u32) {
  if (index >= range.end) {
    return;
  }
  let at = index - range.first;
  if (GRADIENT) {
    payload[at] = source[index] + kept[index];
    kept[index] = vec4f();
  } else {
    payload[at] = source[index] - base[index];
    kept[index] = source[index];
  }
}

fn add(index: u32) {
  if (index < range.end) {
    center[index] += change[index - range.first];
  }
}

@compute @workgroup_size(INVOCATIONS)
fn encode(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let first = range.first + 2 * ((group.y * groups.x + group.x) * INVOCATIONS + local);
  take(first);
  take(first + 1);
}

@compute @workgroup_size(INVOCATIONS)
fn decode(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let first = range.first + 2 * ((group.y * groups.x + group.x) * INVOCATIONS + local);
  add(first);
  add(first + 1);
}
