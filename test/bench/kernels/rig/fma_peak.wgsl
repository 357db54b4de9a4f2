// How many multiply-adds a device does with registers alone: four chains of vec4, nothing loaded, one store at the end.

override ROUNDS: u32 = 1000;
override INVOCATIONS: u32 = 64;

@group(0) @binding(0) var<storage, read_write> result: array<vec4f>;

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let factor = vec4f(0.999);
  let term = vec4f(f32(id.x));
  var a = term;
  var b = term + 1;
  var c = term + 2;
  var d = term + 3;
  for (var round = 0u; round < ROUNDS; round++) {
    a = fma(a, factor, term);
    b = fma(b, factor, term);
    c = fma(c, factor, term);
    d = fma(d, factor, term);
  }
  result[id.x] = a + b + c + d;
}
