/**
 * One search over groups, momentum and learning rate, by short trials from a common snapshot (Omnivore's grid, algorithm 1).
 * Otherwise than there, a trial is no fixed time: all candidates get a short one, the better third goes on from where it stood for
 * three times as long (successive halving, Jamieson and Talwalkar 2016), and the winner's state is kept, so that its trials were
 * training. Losses are compared after equal time, so that they weigh hardware and statistical efficiency at once.
 */

import type { Stretch, Trials, Tuning } from "./trials.ts";

/** Of the candidates of a round one in so many goes on, and is then trained so many times as long. */
export const HALVING = 3;
/** A trial whose loss is so many times that of the start, or of its own round before, is given up as if it had diverged. */
const HOPELESS = 2;
/** Share of the replicas that may come or go before trials are no longer alike. */
const MOST_CHURN = 0.25;
/** Of what is measured of a trial, for its spread. */
const PARTS = 4;
/** Stretches that a trial may take to give a sample in so many. */
const MOST_WAITS = 50;
/** Of the standard error of a difference: closer than that, two losses are not told apart. */
const SURE = 2;

export interface SearchPlan {
  readonly candidates: readonly Tuning[];
  /** Of the first round's trials. */
  readonly firstSeconds: number;
  /** What the run had until now: it goes through all rounds and is replaced only by what is better beyond a tie. */
  readonly incumbent?: Tuning;
  /**
   * Losses up to so many times the lowest count as equal, or up to the measured noise where that is more; the largest learning
   * rate wins among them, then the largest momentum.
   */
  readonly tie: number;
  /** Where the search starts. */
  readonly startLoss: number;
  /** More candidates, after those so far: what lies beyond the edge where the best one is. Asked until it has none. */
  readonly beyond: (best: Tuning, tried: readonly Tuning[]) => readonly Tuning[];
}

export interface Trial {
  readonly tuning: Tuning;
  /** After its latest round; NaN where it diverged or was pruned. */
  readonly loss: number;
  readonly seconds: number;
  readonly outcome: "ran" | "diverged" | "pruned";
}

export type SearchEnd = "found" | "nothing-works" | "replicas-changed" | "run-over";

export interface SearchResult {
  readonly end: SearchEnd;
  /** Whose state the run is in now; undefined where the run stands at the start again. */
  readonly best: Trial | undefined;
  /** Every candidate, best first. */
  readonly trials: readonly Trial[];
  /** Of trials whose training was thrown away. */
  readonly lostSeconds: number;
}

/** Ends the trials early: not an error, and nobody outside sees it. */
class Interruption {
  readonly end: Exclude<SearchEnd, "found" | "nothing-works">;

  constructor(end: Interruption["end"]) {
    this.end = end;
  }
}

interface Running<Snapshot> {
  readonly tuning: Tuning;
  loss: number;
  /** Squared standard error of the loss, relative to it. */
  variance: number;
  seconds: number;
  outcome: Trial["outcome"];
  state: Snapshot | undefined;
}

export async function search<Snapshot>(
  trials: Trials<Snapshot>,
  start: Snapshot,
  plan: SearchPlan,
): Promise<SearchResult> {
  const searching = new Search(trials, start, plan);
  return searching.result(await searching.run());
}

class Search<Snapshot> {
  readonly #trials: Trials<Snapshot>;
  readonly #start: Snapshot;
  readonly #plan: SearchPlan;
  readonly #replicas: number;
  readonly #tried: Running<Snapshot>[] = [];
  #spentSeconds = 0;

  constructor(trials: Trials<Snapshot>, start: Snapshot, plan: SearchPlan) {
    this.#trials = trials;
    this.#start = start;
    this.#plan = plan;
    this.#replicas = trials.replicas();
  }

  /** Leaves the run in the state of the winner, or of the best so far where something interrupts, or at the start. */
  async run(): Promise<{ end: SearchEnd; best: Running<Snapshot> | undefined }> {
    let end: SearchEnd;
    try {
      await this.#firstRound();
      end = (await this.#laterRounds()) ? "found" : "nothing-works";
    } catch (interruption) {
      if (!(interruption instanceof Interruption)) throw interruption;
      end = interruption.end;
    }
    const best = this.#ranked()[0];
    if (end !== "run-over") {
      await this.#trials.restart(best?.state ?? this.#start);
      if (best) await this.#trials.retune(best.tuning);
    }
    return { end, best };
  }

  result({ end, best }: { end: SearchEnd; best: Running<Snapshot> | undefined }): SearchResult {
    const shown = ({ tuning, loss, seconds, outcome }: Running<Snapshot>): Trial => ({
      tuning,
      loss,
      seconds,
      outcome,
    });
    const lost = this.#tried.filter((trial) => trial.outcome !== "ran");
    return {
      end,
      best: best && shown(best),
      trials: [...this.#ranked(), ...lost].map(shown),
      lostSeconds: this.#spentSeconds - (best?.seconds ?? 0),
    };
  }

  async #firstRound(): Promise<void> {
    let next = inOrder(this.#plan.candidates);
    while (next.length > 0) {
      for (const tuning of next) await this.#begin(tuning);
      const [best] = this.#ranked();
      const tried = this.#tried.map((trial) => trial.tuning);
      next = best ? inOrder(this.#plan.beyond(best.tuning, tried)).filter((tuning) => !includes(tried, tuning)) : [];
    }
  }

  async #laterRounds(): Promise<boolean> {
    let length = this.#plan.firstSeconds;
    let going = this.#ranked();
    while (going.length > 1) {
      const kept = going.slice(0, Math.ceil(going.length / HALVING));
      const incumbent = going.find((trial) => this.#isIncumbent(trial));
      if (incumbent && !kept.includes(incumbent)) kept.push(incumbent);
      // A third of two is one: then nothing is left to compare.
      if (kept.length === 1 || kept.length === going.length) break;
      going = kept;
      length *= HALVING;
      for (const trial of going) await this.#goOn(trial, length - trial.seconds);
      going = this.#ranked().filter((trial) => going.includes(trial));
    }
    return this.#ranked().length > 0;
  }

  async #begin(tuning: Tuning): Promise<void> {
    const trial: Running<Snapshot> = {
      tuning,
      loss: NaN,
      variance: NaN,
      seconds: 0,
      outcome: "pruned",
      state: undefined,
    };
    this.#tried.push(trial);
    if (this.#isPruned(tuning)) return;
    await this.#trials.restart(this.#start);
    trial.outcome = "ran";
    await this.#train(trial, this.#plan.firstSeconds);
  }

  async #goOn(trial: Running<Snapshot>, seconds: number): Promise<void> {
    if (trial.state !== undefined) await this.#trials.restart(trial.state);
    await this.#train(trial, seconds);
  }

  /** The second half is what counts: the first one still shows the state from before. */
  async #train(trial: Running<Snapshot>, seconds: number): Promise<void> {
    const before = this.#trials.now();
    await this.#trials.retune(trial.tuning);
    const first = await this.#advance(seconds / 2);
    const second = first.diverged ? undefined : await this.#measured(seconds / 2);
    trial.seconds += this.#trials.now() - before;
    const bearable = HOPELESS * (Number.isNaN(trial.loss) ? this.#plan.startLoss : trial.loss);
    if (!second || !(second.loss <= bearable)) {
      trial.outcome = "diverged";
      trial.loss = NaN;
      trial.state = undefined;
      return;
    }
    trial.loss = second.loss;
    trial.variance = second.variance;
    trial.state = await this.#trials.snapshot();
  }

  /** The mean loss of some parts of the time, and from their spread how sure it is; undefined where training diverges. */
  async #measured(seconds: number): Promise<{ loss: number; variance: number } | undefined> {
    const losses: number[] = [];
    for (let part = 0; losses.length < PARTS && part < MOST_WAITS; part++) {
      const { samples, diverged } = await this.#advance(seconds / PARTS);
      if (diverged) return undefined;
      if (samples > 0) losses.push(await this.#trials.loss());
    }
    if (losses.length < PARTS) return undefined;
    const loss = losses.reduce((sum, each) => sum + each, 0) / PARTS;
    const squares = losses.reduce((sum, each) => sum + (each - loss) ** 2, 0);
    return { loss, variance: squares / (PARTS - 1) / PARTS / loss ** 2 };
  }

  async #advance(seconds: number): Promise<Stretch> {
    const before = this.#trials.now();
    const stretch = await this.#trials.advance(seconds);
    this.#spentSeconds += this.#trials.now() - before;
    if (stretch.isOver) throw new Interruption("run-over");
    if (Math.abs(this.#trials.replicas() - this.#replicas) > MOST_CHURN * this.#replicas) {
      throw new Interruption("replicas-changed");
    }
    return stretch;
  }

  /** What diverged at a learning rate and momentum diverges at larger ones too. */
  #isPruned({ groups, learningRate, momentum }: Tuning): boolean {
    return this.#tried.some(
      ({ outcome, tuning }) =>
        outcome === "diverged" &&
        tuning.groups === groups &&
        tuning.learningRate <= learningRate &&
        tuning.momentum <= momentum,
    );
  }

  /** Those that went furthest first, by loss; of those in a tie the incumbent, or else the boldest. */
  #ranked(): Running<Snapshot>[] {
    const ran = this.#tried.filter(({ outcome, state }) => outcome === "ran" && state !== undefined);
    ran.sort((a, b) => b.seconds - a.seconds || a.loss - b.loss);
    const furthest = ran.filter(({ seconds }) => seconds >= (ran[0]?.seconds ?? 0) * 0.999);
    const limit = Math.min(...furthest.map(({ loss }) => loss)) * Math.max(this.#plan.tie, 1 + this.#noiseOf(furthest));
    const tied = furthest.filter(({ loss }) => loss <= limit).sort(bolder);
    const incumbent = tied.find((trial) => this.#isIncumbent(trial));
    const first = incumbent ? [incumbent] : tied;
    return [...first, ...ran.filter((trial) => !first.includes(trial))];
  }

  /** Of the difference of two losses, relative to them; pooled, as four parts alone say little. */
  #noiseOf(trials: readonly Running<Snapshot>[]): number {
    const pooled = trials.reduce((sum, { variance }) => sum + variance, 0) / Math.max(1, trials.length);
    return this.#plan.incumbent ? SURE * Math.sqrt(2 * pooled) : 0;
  }

  #isIncumbent({ tuning }: Running<Snapshot>): boolean {
    return this.#plan.incumbent !== undefined && includes([this.#plan.incumbent], tuning);
  }
}

function bolder(a: Running<unknown>, b: Running<unknown>): number {
  return b.tuning.learningRate - a.tuning.learningRate || b.tuning.momentum - a.tuning.momentum || a.loss - b.loss;
}

/** Rising, so that the first one that diverges prunes as many as possible before they cost time. */
function inOrder(candidates: readonly Tuning[]): Tuning[] {
  return [...candidates].sort(
    (a, b) => a.groups - b.groups || a.learningRate - b.learningRate || a.momentum - b.momentum,
  );
}

export function includes(tried: readonly Tuning[], tuning: Tuning): boolean {
  return tried.some(
    ({ groups, momentum, learningRate }) =>
      groups === tuning.groups &&
      momentum === tuning.momentum &&
      Math.abs(learningRate / tuning.learningRate - 1) < 1e-9,
  );
}
