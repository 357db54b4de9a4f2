/**
 * Asynchronous descent without a clock (Mitliagkas et al. 2016): per update one of M replicas pushes a gradient drawn at what
 * it read last, the center moves, and that replica reads the center as it is then. Who comes next is `turns.ts`' business.
 */

import type { Random } from "../../../shared/random.ts";
import type { Rates, ReusableCenter } from "./center.ts";
import type { Objective } from "./objective.ts";
import type { Turns } from "./turns.ts";

export interface Asynchrony {
  readonly objective: Objective;
  readonly center: ReusableCenter;
  /** M. */
  readonly replicas: number;
  readonly turns: Turns;
  readonly rates: Rates;
  readonly updates: number;
  readonly random: Random;
}

/** One replica's last read. */
interface Read {
  readonly parameters: Float32Array;
  version: number;
}

/**
 * Descends from the objective's start. `before` sees the center before each update, and may end the descent by answering
 * true; `pushed` is told the staleness of each push.
 */
export function descend(
  { objective, center, replicas, turns, rates, updates, random }: Asynchrony,
  before: (update: number) => boolean,
  pushed?: (staleness: number) => void,
): void {
  center.begin(objective.start);
  const reads = Array.from({ length: replicas }, (): Read => {
    return { parameters: objective.start.slice(), version: center.version };
  });
  for (let update = 0; update < updates; update++) {
    if (before(update)) return;
    const read = reads[turns()];
    if (!read) throw new Error(`invariant violation: a turn of none of the ${replicas} replicas`);
    const gradient = objective.draw(read.parameters, random);
    const staleness = center.push(gradient, read.version, rates);
    pushed?.(staleness);
    read.parameters.set(center.values);
    read.version = center.version;
  }
}
