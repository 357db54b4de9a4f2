/**
 * One search over groups, momentum and learning rate, by short trials from a common snapshot (Omnivore's grid, algorithm 1).
 * Otherwise than there, a trial is no fixed time: all candidates get a short one, the better third goes on from where it stood for
 * three times as long (successive halving, Jamieson and Talwalkar 2016), and the winner's state is kept, so that its trials were
 * training. Losses are compared after equal time, so that they weigh hardware and statistical efficiency at once.
 */

import type { Stretch, Trials, Tuning } from "./trials.ts";

/** Of the candidates of a round one in so many goes on, and is then trained so many times as long. */
const HALVING = 3;
/** A trial whose loss is so many times that of the start is given up as if it had diverged. */
const HOPELESS = 2;
/** And one whose loss is so many times that of its own round before. */
const WORSENING = 1.1;
/** Share of the replicas that may come or go before trials are no longer alike. */
const MOST_CHURN = 0.25;
/** Long-run steps no further apart are equally bold. */
const NEARLY = 0.3;
/** At so many moments the center is taken for the mean. */
const MOMENTS = 8;
/** A trial without any sample is as long again, at most so many times. */
const MOST_WAITS = 8;

export interface SearchPlan {
  readonly candidates: readonly Tuning[];
  /** Of the first round's trials. */
  readonly firstSeconds: number;
  /** What the run had until now: it goes through all rounds. */
  readonly incumbent?: Tuning;
  /**
   * By round: losses up to so many times the lowest count as equal, and the boldest settings win. Wider after short trials, which
   * show less of what a large rate is good for than of its noise.
   */
  readonly ties: readonly number[];
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

type SearchEnd = "found" | "nothing-works" | "replicas-changed" | "run-over";

export interface SearchResult<Snapshot = unknown> {
  readonly end: SearchEnd;
  /** Whose state the run is in now; undefined where the run stands at the start again. */
  readonly best: Trial | undefined;
  /** Every candidate, best first. */
  readonly trials: readonly Trial[];
  /** Of trials whose training was thrown away. */
  readonly lostSeconds: number;
  /** Of the best, or the start's: where a run that ended within a trial would better have been. */
  readonly state: Snapshot;
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
  seconds: number;
  rounds: number;
  outcome: Trial["outcome"];
  state: Snapshot | undefined;
}

export async function search<Snapshot>(
  trials: Trials<Snapshot>,
  start: Snapshot,
  plan: SearchPlan,
): Promise<SearchResult<Snapshot>> {
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
  #round = 0;

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

  result({ end, best }: { end: SearchEnd; best: Running<Snapshot> | undefined }): SearchResult<Snapshot> {
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
      state: best?.state ?? this.#start,
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
      for (const trial of going) await this.#goOn(trial, (length * (HALVING - 1)) / HALVING);
      this.#round++;
      going = this.#ranked().filter((trial) => going.includes(trial));
    }
    return this.#ranked().length > 0;
  }

  async #begin(tuning: Tuning): Promise<void> {
    const trial: Running<Snapshot> = {
      tuning,
      loss: NaN,
      seconds: 0,
      rounds: 0,
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

  /**
   * The second half is what counts: the first one still shows the state from before. Not the centers' losses but the loss of
   * their mean is what is compared (averaging after Polyak and Juditsky 1992): a large learning rate makes the center's noise larger, which
   * hides for a while how far it has come, and short trials would always choose the smaller one.
   */
  async #train(trial: Running<Snapshot>, seconds: number): Promise<void> {
    const before = this.#trials.now();
    await this.#trials.retune(trial.tuning);
    const first = await this.#advance(seconds / 2);
    const loss = first.diverged ? undefined : await this.#measured(seconds / 2);
    trial.seconds += this.#trials.now() - before;
    trial.rounds++;
    const bearable = Number.isNaN(trial.loss) ? HOPELESS * this.#plan.startLoss : WORSENING * trial.loss;
    if (loss === undefined || !(loss <= bearable)) {
      trial.outcome = "diverged";
      trial.loss = NaN;
      trial.state = undefined;
      return;
    }
    trial.loss = loss;
    trial.state = await this.#trials.snapshot();
  }

  /** The loss of the mean center of some moments; undefined where training diverges. */
  async #measured(seconds: number): Promise<number | undefined> {
    const centers: Snapshot[] = [];
    let samples = 0;
    for (let wait = 0; samples === 0 && wait < MOST_WAITS; wait++) {
      centers.length = 0;
      for (let moment = 0; moment < MOMENTS; moment++) {
        const stretch = await this.#advance(seconds / MOMENTS);
        if (stretch.diverged) return undefined;
        samples += stretch.samples;
        centers.push(await this.#trials.snapshot());
      }
    }
    return samples === 0 ? undefined : this.#trials.loss(centers);
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

  /** Those that went furthest first; of those whose losses are in a tie the boldest, of the others the lowest loss. */
  #ranked(): Running<Snapshot>[] {
    const ran = this.#tried.filter(({ outcome, state }) => outcome === "ran" && state !== undefined);
    ran.sort((a, b) => b.rounds - a.rounds || a.loss - b.loss);
    const furthest = ran.filter(({ rounds }) => rounds === ran[0]?.rounds);
    const limit = Math.min(...furthest.map(({ loss }) => loss)) * (this.#plan.ties[this.#round] ?? 1);
    const tied = furthest.filter(({ loss }) => loss <= limit).toSorted(bolder);
    return [...tied, ...ran.filter((trial) => !tied.includes(trial))];
  }

  #isIncumbent({ tuning }: Running<Snapshot>): boolean {
    return this.#plan.incumbent !== undefined && includes([this.#plan.incumbent], tuning);
  }
}

/** The larger step in the long run, rate / (1 - momentum), first; of nearly equal ones the larger rate. */
function bolder({ tuning: a }: Running<unknown>, { tuning: b }: Running<unknown>): number {
  const ratio = longRunStep(b) / longRunStep(a);
  return Math.abs(ratio - 1) > NEARLY ? ratio - 1 : b.learningRate - a.learningRate || a.groups - b.groups;
}

function longRunStep({ learningRate, momentum }: Tuning): number {
  return learningRate / (1 - momentum);
}

/** Rising, so that the first one that diverges prunes as many as possible before they cost time. */
function inOrder(candidates: readonly Tuning[]): Tuning[] {
  return candidates.toSorted(
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
