/** What the checking passes find; `../kernels.ts` has the same numbers. */

export const SOUND: i32 = 0;
const NOT_FINITE: i32 = 1;
const OUT_OF_BOUNDS: i32 = 2;

/** Names the fault of a vector that failed; slow, and reached only by a refusal. */
export function faultOf(area: usize, count: usize): i32 {
  const end = area + (count << 2);
  for (let x = area; x < end; x += 4) {
    if (!isFinite<f32>(load<f32>(x))) return NOT_FINITE;
  }
  return OUT_OF_BOUNDS;
}
