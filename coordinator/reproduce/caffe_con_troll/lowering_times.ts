/** What `client/node/lowerings.ts` answers for one seed, and what follows from it about one ratio of channels. */

import * as v from "valibot";

const timedSchema = v.object({
  algorithm: v.string(),
  candidate: v.string(),
  /** Of one batch. */
  ms: v.number(),
  /** What the engine's cost model expects. */
  modelledMs: v.number(),
});

export const loweringTimesSchema = v.array(
  v.object({
    input: v.number(),
    output: v.number(),
    lowerings: v.array(timedSchema),
    /** What the engine takes by its rule. */
    rule: timedSchema,
  }),
);

/** By convolution, in any order. */
export type LoweringTimes = v.InferOutput<typeof loweringTimesSchema>;
type ConvolutionTimes = LoweringTimes[number];
type Timed = v.InferOutput<typeof timedSchema>;

/** The convolution of a ratio of input to output channels, in each seed's times. */
export function atRatio(seeds: readonly LoweringTimes[], ratio: number): ConvolutionTimes[] {
  return seeds.map((times) => {
    const found = times.find(({ input, output }) => input / output === ratio);
    if (!found) throw new Error(`invariant violation: nothing was measured at the ratio ${ratio}`);
    return found;
  });
}

export function ratiosOf([first = []]: readonly LoweringTimes[]): number[] {
  return first.map(({ input, output }) => input / output).toSorted((one, other) => one - other);
}

export function msOf({ lowerings }: ConvolutionTimes, type: 1 | 2 | 3): number {
  return lowerings.find(({ algorithm }) => algorithm === `lowering-${type}`)?.ms ?? Number.NaN;
}

/** Speed of type 1 in units of type 3's, as in the paper's figure. */
export function speedOfType1(times: ConvolutionTimes): number {
  return msOf(times, 3) / msOf(times, 1);
}

/** The one that the engine's cost model takes. */
export function modelledBest({ lowerings }: ConvolutionTimes): Timed {
  return least(lowerings, ({ modelledMs }) => modelledMs);
}

export function best({ lowerings }: ConvolutionTimes): Timed {
  return least(lowerings, ({ ms }) => ms);
}

function least(lowerings: readonly Timed[], of: (timed: Timed) => number): Timed {
  const first = lowerings.toSorted((one, other) => of(one) - of(other))[0];
  if (!first) throw new Error("invariant violation: no lowering was measured");
  return first;
}

/** Points (ratio, speed of type 1 over type 3), by ratio. */
function curveOf(times: LoweringTimes): { logRatio: number; logSpeed: number }[] {
  return times
    .map((one) => ({ logRatio: Math.log(one.input / one.output), logSpeed: Math.log(speedOfType1(one)) }))
    .toSorted((one, other) => one.logRatio - other.logRatio);
}

/**
 * The ratio at which both are as fast as each other, interpolated between neighbours on logarithmic axes; the middle of the first
 * and the last where the curve crosses several times. Undefined where one type wins everywhere.
 */
export function crossoverOf(times: LoweringTimes): number | undefined {
  const curve = curveOf(times);
  const crossings = curve.slice(1).flatMap((right, index) => {
    const left = curve[index];
    if (!left || left.logSpeed > 0 === right.logSpeed > 0) return [];
    const way = left.logSpeed / (left.logSpeed - right.logSpeed);
    return [left.logRatio + way * (right.logRatio - left.logRatio)];
  });
  const [first, last] = [crossings[0], crossings.at(-1)];
  return first === undefined || last === undefined ? undefined : Math.exp((first + last) / 2);
}

/** The exponent e of speed ~ ratio^e, by least squares on logarithmic axes. */
export function exponentOf(times: LoweringTimes): number {
  const curve = curveOf(times);
  const mean = (of: (point: (typeof curve)[number]) => number): number =>
    curve.reduce((sum, point) => sum + of(point), 0) / curve.length;
  const [meanRatio, meanSpeed] = [mean(({ logRatio }) => logRatio), mean(({ logSpeed }) => logSpeed)];
  const covariance = mean(({ logRatio, logSpeed }) => (logRatio - meanRatio) * (logSpeed - meanSpeed));
  return covariance / mean(({ logRatio }) => (logRatio - meanRatio) ** 2);
}
