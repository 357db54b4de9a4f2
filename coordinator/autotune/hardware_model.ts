/**
 * Hardware efficiency: the seconds between two updates of the center, as a function of the number of compute groups. Omnivore's
 * model (Hadjis et al. 2016, §4), with the roles read for a coordinator: what its merged server spends on one batch is here
 * what the coordinator spends on one update, and what a group's convolutions take is here a group's whole step, transfer included.
 * Pure arithmetic; the search chooses with it which numbers of groups are worth a trial.
 */

/** One update as measured: a group of `groupSize` replicas worked on it, then the coordinator applied it. */
export interface UpdateTiming {
  readonly groupSize: number;
  /** From the answer that began the step until its last push is at the coordinator. */
  readonly workSeconds: number;
  /** Service alone, without waiting for other updates. */
  readonly applySeconds: number;
}

/** A group's step time w(k) by group size k. */
export type WorkTimes =
  /** w(k) = max(compute / k, ship * k): the paper's, where a device computes while others are being sent to. */
  | { readonly form: "overlapped"; readonly computeSeconds: number; readonly shipSeconds: number }
  /** w(k) = compute / k + exchange + wait * k: every member sends over its own link, and the group waits for its last. */
  | {
      readonly form: "sequential";
      readonly computeSeconds: number;
      readonly exchangeSeconds: number;
      readonly waitSeconds: number;
    };

export interface HardwareModel {
  readonly work: WorkTimes;
  readonly applySeconds: number;
  /** Squared coefficient of variation of the work times: 0 deterministic, 1 as exponential ones. */
  readonly variation: number;
}

/** Below this gain in time per update one more doubling of groups is not worth its asynchrony (Omnivore's released code). */
export const LEAST_GAIN = 0.1;

export function workSeconds(work: WorkTimes, groupSize: number): number {
  switch (work.form) {
    case "overlapped":
      return Math.max(work.computeSeconds / groupSize, work.shipSeconds * groupSize);
    case "sequential":
      return work.computeSeconds / groupSize + work.exchangeSeconds + work.waitSeconds * groupSize;
    default:
      return work satisfies never;
  }
}

/** HE(g) = max(apply, (work + apply) / g): exact where all times are fixed. */
export function fixedUpdateSeconds(work: number, apply: number, groups: number): number {
  return Math.max(apply, (work + apply) / groups);
}

/**
 * Mean seconds per update of g machines with exponential work and one repairman with exponential service: mean value analysis
 * of the closed queue (Reiser and Lavenberg 1980).
 */
export function randomUpdateSeconds(work: number, apply: number, groups: number): number {
  let queued = 0;
  let perUpdate = work + apply;
  for (let machines = 1; machines <= groups; machines++) {
    const response = apply * (1 + queued);
    perUpdate = (work + response) / machines;
    queued = response / perUpdate;
  }
  return perUpdate;
}

/** HE(g) for `replicas` in g equal groups; between the two forms as the work times vary. */
export function updateSeconds(model: HardwareModel, replicas: number, groups: number): number {
  const work = workSeconds(model.work, replicas / groups);
  const fixed = fixedUpdateSeconds(work, model.applySeconds, groups);
  const random = randomUpdateSeconds(work, model.applySeconds, groups);
  return fixed + Math.min(1, model.variation) * (random - fixed);
}

/** The numbers of groups that are tried: all replicas apart, then half as many each time, down to one group of all. */
export function groupChoices(replicas: number): readonly number[] {
  const choices: number[] = [];
  for (let groups = Math.max(1, replicas); groups >= 1; groups = Math.floor(groups / 2)) choices.unshift(groups);
  return choices;
}

export interface GroupsChosen {
  readonly groups: number;
  /** Seconds per update, by number of groups, in rising order of groups. */
  readonly efficiency: readonly { readonly groups: number; readonly secondsPerUpdate: number }[];
}

/** The most asynchronous choice that still gained LEAST_GAIN over the one before: beyond it the coordinator is saturated. */
export function chooseGroups(secondsPerUpdate: (groups: number) => number, replicas: number): GroupsChosen {
  const efficiency = groupChoices(replicas).map((groups) => ({ groups, secondsPerUpdate: secondsPerUpdate(groups) }));
  let chosen = efficiency[0];
  for (const next of efficiency.slice(1)) {
    if (chosen && next.secondsPerUpdate > chosen.secondsPerUpdate * (1 - LEAST_GAIN)) break;
    chosen = next;
  }
  return { groups: chosen?.groups ?? 1, efficiency };
}

const STRAGGLERS = 0.05;

/** Updates of one group size together. */
interface Observed {
  readonly groupSize: number;
  readonly workSeconds: number;
  readonly count: number;
}

/**
 * The model that fits the run's own timings best, by least squares over relative errors, or undefined without any. With a single
 * group size nothing tells computing from sending: everything counts as computing then.
 */
export function fitHardware(timings: readonly UpdateTiming[]): HardwareModel | undefined {
  const observed = bySize(timings);
  if (observed.length === 0) return undefined;
  const forms = [overlappedFit(observed), sequentialFit(observed)];
  const [best] = forms.toSorted((a, b) => squaredError(a, observed) - squaredError(b, observed));
  if (!best) throw new Error("invariant violation: no form of the hardware model fits");
  const applySeconds = meanOf(timings.map((timing) => timing.applySeconds));
  return { work: best, applySeconds, variation: variationOf(timings, observed) };
}

function bySize(timings: readonly UpdateTiming[]): Observed[] {
  const sizes = Map.groupBy(timings, (timing) => timing.groupSize);
  return [...sizes]
    .map(([groupSize, of]) => ({
      groupSize,
      workSeconds: meanOf(withoutStragglers(of.map((timing) => timing.workSeconds))),
      count: of.length,
    }))
    .toSorted((a, b) => a.groupSize - b.groupSize);
}

/** A device that stalled, or a member that left, says nothing of the others: the slowest twentieth is left out where there are so many. */
function withoutStragglers(seconds: readonly number[]): readonly number[] {
  return seconds.toSorted((a, b) => a - b).slice(0, seconds.length - Math.floor(seconds.length * STRAGGLERS));
}

function variationOf(timings: readonly UpdateTiming[], observed: readonly Observed[]): number {
  const means = new Map(observed.map(({ groupSize, workSeconds: mean }) => [groupSize, mean]));
  const squares = timings.map(({ groupSize, workSeconds: seconds }) => {
    const mean = means.get(groupSize) ?? seconds;
    return mean === 0 ? 0 : (seconds / mean - 1) ** 2;
  });
  return meanOf(squares);
}

/** Small groups are bound by computing, large ones by sending: every place for the knee is tried. */
function overlappedFit(observed: readonly Observed[]): WorkTimes {
  let best: WorkTimes = { form: "overlapped", computeSeconds: 0, shipSeconds: 0 };
  for (let knee = 1; knee <= observed.length; knee++) {
    const fit: WorkTimes = {
      form: "overlapped",
      computeSeconds: solveNonNegative(observed.slice(0, knee), [(k) => 1 / k])[0] ?? 0,
      shipSeconds: solveNonNegative(observed.slice(knee), [(k) => k])[0] ?? 0,
    };
    if (squaredError(fit, observed) < squaredError(best, observed)) best = fit;
  }
  return best;
}

function sequentialFit(observed: readonly Observed[]): WorkTimes {
  // As many terms as there are group sizes: the rest is not determined.
  const terms = [(k: number) => 1 / k, () => 1, (k: number) => k].slice(0, observed.length);
  const [computeSeconds = 0, exchangeSeconds = 0, waitSeconds = 0] = solveNonNegative(observed, terms);
  return { form: "sequential", computeSeconds, exchangeSeconds, waitSeconds };
}

function squaredError(work: WorkTimes, observed: readonly Observed[]): number {
  return observed.reduce((sum, { groupSize, workSeconds: seconds, count }) => {
    const relative = seconds === 0 ? 0 : workSeconds(work, groupSize) / seconds - 1;
    return sum + count * relative * relative;
  }, 0);
}

type Term = (groupSize: number) => number;

/** Least squares with no negative coefficient: of at most three terms every subset is solved, and the best that is allowed kept. */
function solveNonNegative(observed: readonly Observed[], terms: readonly Term[]): number[] {
  let best = terms.map(() => 0);
  let leastError = Infinity;
  for (let subset = 1; subset < 2 ** terms.length; subset++) {
    const used = terms.map((_, index) => index).filter((index) => (subset >> index) & 1);
    const solution = solveNormal(
      observed,
      used.flatMap((index) => terms[index] ?? []),
    );
    if (!solution || solution.some((value) => value < 0 || !Number.isFinite(value))) continue;
    const whole = terms.map((_, index) => solution[used.indexOf(index)] ?? 0);
    const error = observed.reduce((sum, { groupSize, workSeconds: seconds, count }) => {
      const value = terms.reduce((total, term, index) => total + (whole[index] ?? 0) * term(groupSize), 0);
      return sum + count * (seconds === 0 ? 0 : value / seconds - 1) ** 2;
    }, 0);
    // Of equal fits the first stays: it has fewer terms.
    if (error >= leastError - 1e-12) continue;
    leastError = error;
    best = whole;
  }
  return best;
}

/** Normal equations of the relative errors, by Gaussian elimination; undefined where they are singular. */
function solveNormal(observed: readonly Observed[], terms: readonly Term[]): number[] | undefined {
  const rows = observed
    .filter(({ workSeconds: seconds }) => seconds > 0)
    .map(({ groupSize, workSeconds: seconds, count }) => ({
      count,
      values: terms.map((term) => term(groupSize) / seconds),
    }));
  const size = terms.length;
  const matrix = terms.map((_, row) => [
    ...terms.map((__, column) => rows.reduce((sum, r) => sum + r.count * at(r.values, row) * at(r.values, column), 0)),
    rows.reduce((sum, r) => sum + r.count * at(r.values, row), 0),
  ]);
  const scales = matrix.map((row, index) => at(row, index));
  for (let pivot = 0; pivot < size; pivot++) {
    const pivotRow = matrix[pivot] ?? [];
    const head = at(pivotRow, pivot);
    if (!(head > 1e-9 * at(scales, pivot))) return undefined;
    for (const [index, row] of matrix.entries()) {
      if (index === pivot) continue;
      const factor = at(row, pivot) / head;
      for (let column = pivot; column <= size; column++) row[column] = at(row, column) - factor * at(pivotRow, column);
    }
  }
  return matrix.map((row, index) => at(row, size) / at(row, index));
}

function at(values: readonly number[], index: number): number {
  return values[index] ?? 0;
}

function meanOf(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}
