/**
 * Tunes a plan: recalls what is remembered of its products, searches for the others' fastest kernels within the budget, and
 * remembers what it learnt. The dearest product comes first; each may spend its share of what is left, and what it leaves
 * goes to the others.
 */

import type { TunedProduct, TuningOptions, TuningResult } from "../../tuning.ts";
import type { Candidate, DeviceTraits } from "../choice/candidate.ts";
import { modelledMs } from "../choice/cost_model.ts";
import type { Bench } from "./bench.ts";
import { MemoryOfWinners } from "./memory_of_winners.ts";
import { Search } from "./search.ts";
import type { Work } from "./works.ts";

export interface Tuned {
  readonly result: TuningResult;
  /** For each product's key the candidate to use. */
  readonly winners: ReadonlyMap<string, Candidate>;
}

export interface TunerOptions extends TuningOptions {
  readonly traits: DeviceTraits;
  /** What all keys of this device begin with. */
  readonly deviceKey: string;
}

/** Rejects where the device is lost or closed, and with what `between` throws; what was learnt until then is remembered. */
export async function tuneWorks(works: readonly Work[], bench: Bench, options: TunerOptions): Promise<Tuned> {
  const { traits, deviceKey, onProgress, between = () => Promise.resolve() } = options;
  const memory = new MemoryOfWinners(options.winners, deviceKey);
  const searches: Search[] = [];
  for (const work of works) {
    const surroundings = { bench, between, isFallback: traits.isFallback };
    searches.push(new Search(work, await memory.recall(work.key), surroundings));
  }
  const speed = new ModelSpeed(traits);
  let told = -1;
  const tell = (): void => {
    const settled = searches.filter(({ isComplete }) => isComplete).length;
    if (settled !== told) onProgress?.({ settled, products: works.length });
    told = settled;
  };
  tell();
  // Once with a share for each, and once more with what they have left over.
  for (const keepsShares of [true, false]) {
    let shares = searches.reduce((sum, search) => sum + (search.isComplete ? 0 : search.work.share), 0);
    for (const search of searches) {
      if (search.isComplete) continue;
      const leftMs = options.budgetMs - bench.spentMs;
      const untilMs = bench.spentMs + (keepsShares && shares > 0 ? (leftMs * search.work.share) / shares : leftMs);
      shares -= search.work.share;
      try {
        await search.run(speed.wholeMs(search.work), () => bench.spentMs >= untilMs);
      } finally {
        const learnt = search.toRemember;
        if (learnt && search.result.from === "measured") await memory.remember(search.work.key, learnt);
      }
      speed.learn(search.work, search.result);
      tell();
    }
  }
  const products = searches.map(({ result }) => result);
  return {
    result: {
      products,
      spentMs: bench.spentMs,
      speedup: speedupOf(products),
      isComplete: searches.every(({ isComplete }) => isComplete),
    },
    winners: new Map(searches.map(({ work, winner }) => [work.key, winner])),
  };
}

function speedupOf(products: readonly TunedProduct[]): number {
  let before = 0;
  let after = 0;
  for (const { ms, ruleMs, count } of products) {
    if (ms === undefined || ruleMs === undefined) continue;
    before += count * ruleMs;
    after += count * ms;
  }
  return after === 0 ? 1 : before / after;
}

/** How this device's time is to the model's: from the products that have been measured, for those to come. */
class ModelSpeed {
  readonly #traits: DeviceTraits;
  #modelledMs = 0;
  #measuredMs = 0;

  constructor(traits: DeviceTraits) {
    this.#traits = traits;
  }

  /** Of the rule's choice over the whole batch. */
  wholeMs({ product, candidates }: Work): number {
    const scale = this.#modelledMs === 0 ? 1 : this.#measuredMs / this.#modelledMs;
    return scale * modelledMs(this.#traits, product, candidates[0]!);
  }

  learn({ product, candidates }: Work, { ruleMs, from }: TunedProduct): void {
    if (from !== "measured" || ruleMs === undefined) return;
    this.#measuredMs += ruleMs;
    this.#modelledMs += modelledMs(this.#traits, product, candidates[0]!);
  }
}
