/**
 * Who sends what to whom, so that every member of a group ends with the sum of all vectors: an all-reduce as a list of steps, the same
 * number of them for everybody. Pure; `all_reduce.ts` carries it out. Each element is summed up by one member and copied by the
 * others, or summed in an order that does not matter: all end with the same bits.
 *
 * - ring: reduce-scatter, then all-gather, 1/k of the vector to the right-hand neighbour in each of 2(k - 1) steps. For any k.
 * - halving: recursive halving, then recursive doubling (Thakur, Rabenseifner, Gropp 2005, "Optimization of collective
 *   communication operations in MPICH"): the same bytes in 2 log2 k steps. A butterfly, for powers of two.
 * - doubling: the whole vector in each of log2 k steps, each with another half of the group. A butterfly, for powers of two.
 */

export type Algorithm = "ring" | "halving" | "doubling";

/** Elements of the vector, in `Fragment`'s sense but at any place. */
export interface Range {
  readonly fromElement: number;
  readonly toElement: number;
}

/** One step of one member: it sends and receives at the same time. */
export interface Step {
  /** Ranks within the group. */
  readonly to: number;
  readonly from: number;
  readonly sends: Range;
  readonly receives: Range;
  /** What comes is added to what is there; otherwise it takes its place. */
  readonly adds: boolean;
}

export interface PathCosts {
  /** Of a message between two members, however short. */
  readonly latencyMs: number;
  /** That a member can send, and receive, at the same time. */
  readonly bytesPerMs: number;
}

/**
 * Between volunteers nobody knows better before it is tried. Four members, a process each, on one busy 2-core Xeon (Node 24 with
 * @roamhq/wrtc, test/bench/peers.ts, 2026-11-21), medians of 15 rounds in turn, and what a member sent:
 *
 *     elements        ring            halving         doubling        up and down through one server (WebSocket)
 *       1,024    14 ms   6 KB     10 ms   6 KB      6 ms   8 KB      4 ms    4 KB
 *      16,384    32 ms  98 KB     26 ms  98 KB     24 ms 131 KB      6 ms   66 KB
 *     431,080   258 ms 2.6 MB    248 ms 2.6 MB    357 ms 3.4 MB     72 ms  1.7 MB
 *
 * These costs put all nine in their order. A server on the same machine is faster than any of them, by a data channel's 18 times as much
 * processor time for each byte: direct averages pay where the coordinator's line is what is short, which carries one push for each
 * group in place of one for each member.
 */
const USUAL_COSTS: PathCosts = { latencyMs: 2.5, bytesPerMs: 10_000 };

export function isPowerOfTwo(members: number): boolean {
  return members > 0 && (members & (members - 1)) === 0;
}

/** The one that is expected to take least time: steps * latency + bytes / bandwidth. All members come to the same one. */
export function cheapestAlgorithm(members: number, elements: number, costs: PathCosts = USUAL_COSTS): Algorithm {
  if (!isPowerOfTwo(members)) return "ring";
  // Halving moves as many bytes as the ring in fewer steps.
  const cost = (algorithm: Algorithm): number => expectedMs(stepsOf(algorithm, 0, members, elements), costs);
  return cost("doubling") <= cost("halving") ? "doubling" : "halving";
}

function expectedMs(steps: readonly Step[], { latencyMs, bytesPerMs }: PathCosts): number {
  return steps.reduce((sum, { sends }) => sum + latencyMs + (4 * lengthOf(sends)) / bytesPerMs, 0);
}

export function lengthOf({ fromElement, toElement }: Range): number {
  return toElement - fromElement;
}

/** Of the member of this rank; `members` of them, from 2 on. */
export function stepsOf(algorithm: Algorithm, rank: number, members: number, elements: number): readonly Step[] {
  const edge = (segment: number): number => Math.floor((elements * segment) / members);
  const range = (from: number, to: number): Range => ({ fromElement: edge(from), toElement: edge(to) });
  switch (algorithm) {
    case "ring":
      return ringSteps(rank, members, range);
    case "halving":
      return halvingSteps(rank, members, range);
    case "doubling":
      return doublingSteps(rank, members, range);
    default:
      return algorithm satisfies never;
  }
}

/** Segments `from` to `to` of as many as there are members. */
type RangeOf = (from: number, to: number) => Range;

function ringSteps(rank: number, members: number, range: RangeOf): Step[] {
  const segment = (index: number): Range => {
    const at = (index + 2 * members) % members;
    return range(at, at + 1);
  };
  const [to, from] = [(rank + 1) % members, (rank + members - 1) % members];
  const steps: Step[] = [];
  for (let step = 0; step < members - 1; step++) {
    steps.push({ to, from, sends: segment(rank - step), receives: segment(rank - step - 1), adds: true });
  }
  for (let step = 0; step < members - 1; step++) {
    steps.push({ to, from, sends: segment(rank + 1 - step), receives: segment(rank - step), adds: false });
  }
  return steps;
}

function halvingSteps(rank: number, members: number, range: RangeOf): Step[] {
  const steps: Step[] = [];
  let [low, high] = [0, members];
  for (let distance = members / 2; distance >= 1; distance /= 2) {
    const partner = rank ^ distance;
    const middle = (low + high) / 2;
    const isUpper = (rank & distance) !== 0;
    const [lower, upper] = [range(low, middle), range(middle, high)];
    const [sends, receives] = isUpper ? [lower, upper] : [upper, lower];
    steps.push({ to: partner, from: partner, sends, receives, adds: true });
    if (isUpper) low = middle;
    else high = middle;
  }
  // Back the same way, with twice as much in each step.
  for (const { to, from, sends, receives } of steps.toReversed()) {
    steps.push({ to, from, sends: receives, receives: sends, adds: false });
  }
  return steps;
}

function doublingSteps(rank: number, members: number, range: RangeOf): Step[] {
  const steps: Step[] = [];
  const all = range(0, members);
  for (let distance = 1; distance < members; distance *= 2) {
    const partner = rank ^ distance;
    steps.push({ to: partner, from: partner, sends: all, receives: all, adds: true });
  }
  return steps;
}
