// The least that can be launched: what is left of a dispatch without its work.

@group(0) @binding(0) var<storage, read_write> result: array<f32>;

@compute @workgroup_size(1)
fn main() {
  result[0] = 1;
}
