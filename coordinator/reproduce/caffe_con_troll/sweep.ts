/** Step time against the split of a batch between two devices, from wherever it was measured. */

/** The faster device's share of the batch, and what a step takes with it. */
export interface SplitTime {
  readonly share: number;
  readonly seconds: number;
}

/** In order of their shares. */
export type Sweep = readonly SplitTime[];

export function fastestSplit(sweep: Sweep): SplitTime {
  const first = sweep.toSorted((one, other) => one.seconds - other.seconds)[0];
  if (!first) throw new Error("invariant violation: no split was measured");
  return first;
}

/** The share at which the parabola through the fastest split and its neighbours is least: finer than the sweep's own steps. */
export function bestShare(sweep: Sweep): number {
  const fastest = fastestSplit(sweep);
  const at = sweep.indexOf(fastest);
  const [left, right] = [sweep[at - 1], sweep[at + 1]];
  if (!left || !right) return fastest.share;
  const [rise, fall] = [right.seconds - fastest.seconds, left.seconds - fastest.seconds];
  // Three equal times leave the middle one.
  return rise + fall === 0
    ? fastest.share
    : fastest.share + ((right.share - left.share) / 4) * ((fall - rise) / (rise + fall));
}

/** The split whose share is nearest to `share`. */
export function nearestSplit(sweep: Sweep, share: number): SplitTime {
  const nearest = sweep.toSorted((one, other) => Math.abs(one.share - share) - Math.abs(other.share - share))[0];
  if (!nearest) throw new Error("invariant violation: no split was measured");
  return nearest;
}

/** The share of the faster of two devices of these speeds that both are done at the same time with. */
export function shareBySpeed(faster: number, slower: number): number {
  return faster / (faster + slower);
}

/** Seconds of each split, averaged over seeds whose sweeps have the same shares. */
export function meanSweep(sweeps: readonly Sweep[]): SplitTime[] {
  const [first = []] = sweeps;
  return first.map(({ share }, index) => ({
    share,
    seconds: sweeps.reduce((sum, sweep) => sum + (sweep[index]?.seconds ?? Number.NaN), 0) / sweeps.length,
  }));
}
