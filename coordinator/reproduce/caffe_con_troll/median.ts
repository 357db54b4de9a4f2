/** The middle of some values; of an even number the upper of both in the middle. */
export function medianOf(values: readonly number[]): number {
  const median = values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)];
  if (median === undefined) throw new Error("invariant violation: the median of nothing");
  return median;
}
