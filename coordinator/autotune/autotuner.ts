/**
 * Omnivore's optimizer (Hadjis et al. 2016, algorithm 1) over a run that goes on: a cold start that times the hardware and
 * searches widely, then epochs of training with a narrow search between two of them. It chooses compute groups, momentum and learning
 * rate, and says why; `trials.ts` is all it sees of the run. Deterministic given that. How a search goes is in `search.ts`.
 *
 * Otherwise than there: trials that win were training and are kept, a search may cost at most its share of the run's time,
 * momentum may be negative, and replicas may join and leave.
 */

import type { AutotuneDecision } from "../../shared/run_view.ts";
import { groupsWorthTrying, neighboursOf, RATE_STEP, startOf, type Room } from "./candidates.ts";
import {
  chooseGroups,
  fitHardware,
  groupChoices,
  updateSeconds,
  type GroupsChosen,
  type UpdateTiming,
} from "./hardware_model.ts";
import { BLOWN_UP, Progress } from "./progress.ts";
import { groupsReason, halvedReason, membershipReason, recoveryReason, searchReason } from "./reasons.ts";
import { search, type SearchResult } from "./search.ts";
import { explicitMomentum, MOMENTA, totalMomentum, USUAL_MOMENTUM } from "./statistical_model.ts";
import type { Trials, Tuning } from "./trials.ts";

export interface AutotunerOptions<Snapshot> {
  readonly trials: Trials<Snapshot>;
  /** Where the cold start looks first. */
  readonly learningRate: number;
  /** Of an earlier incarnation of the run: training goes on with it, without a cold start. */
  readonly resumed?: Tuning;
  /** Of the run's time that searches may lose: Omnivore's 10 %. */
  readonly searchShare?: number;
  /** A trial's first round, in updates. */
  readonly trialUpdates?: number;
  /** What the first look at the clock takes; doubled until updates have been seen. */
  readonly firstSeconds?: number;
  /** But not beyond this, where a first update may come late for other reasons. */
  readonly mostFirstSeconds?: number;
  readonly onDecision: (decision: AutotuneDecision) => void;
}

const SEARCH_SHARE = 0.1;
const TRIAL_UPDATES = 24;
/** And in updates of each group: after a restart all begin at once from one center, and what that stirs up must settle. */
const TRIAL_TURNS = 6;
const FIRST_SECONDS = 0.01;
/** Timed at each number of groups before the first choice. */
const TIMED_UPDATES = 8;
const MOST_TIMED = 96;
/** Kept of each group size; the oldest go first. */
const TIMINGS_KEPT = 400;
/** Of an epoch, in shortest trials: between two looks at replicas and loss. */
const SLICE_TRIALS = 2;
/** However still training stands, an epoch is so many times what the search before it lost. */
const LEAST_EPOCH = 9;
const MOST_ATTEMPTS = 6;
const DOUBLINGS = 40;
/** `SearchPlan.ties`. Omnivore's released code has 1.01 once training runs. */
const TIES = { cold: [1.25, 1.1, 1.05], steady: [1.25, 1.1] } as const;
/** What a search between two epochs loses at most, in shortest trials: 8 candidates, 4 of them three times as long, 3 nine times, one kept. */
const USUALLY_LOST = 25;

/** Where not even a start holds. */
const RATE_FALL = 10;
const UNTUNED = { groups: 1, momentum: 0 } as const;

type Width = "cold" | "steady";

export class Autotuner<Snapshot> {
  readonly #trials: Trials<Snapshot>;
  readonly #options: AutotunerOptions<Snapshot>;
  readonly #share: number;
  #timings = new Map<number, readonly UpdateTiming[]>();
  #tuning: Tuning;
  #replicas: number;
  #totalMomentum = USUAL_MOMENTUM;
  #lostSeconds = 0;
  #lastLostSeconds = 0;
  /** In the present epoch, or the last one. */
  #trainedSeconds = 0;
  #isOver = false;
  #betterEnd: { readonly state: Snapshot; readonly tuning: Tuning } | undefined = undefined;

  /** Where the run ended within a trial: the center that it would better have had. */
  get betterEnd(): { readonly state: Snapshot; readonly tuning: Tuning } | undefined {
    return this.#betterEnd;
  }

  /** Spent on trials that were thrown away. */
  get lostSeconds(): number {
    return this.#lostSeconds;
  }

  constructor(options: AutotunerOptions<Snapshot>) {
    this.#options = options;
    this.#trials = options.trials;
    this.#share = options.searchShare ?? SEARCH_SHARE;
    this.#replicas = this.#trials.replicas();
    const { groups, momentum, learningRate } = options.resumed ?? { ...UNTUNED, learningRate: options.learningRate };
    this.#tuning = { groups, momentum, learningRate };
    if (options.resumed) this.#totalMomentum = totalMomentum(options.resumed.momentum, options.resumed.groups);
  }

  /** Until the run is over. */
  async run(): Promise<void> {
    if (this.#options.resumed) {
      await this.#choose("resumed", this.#tuning, "the run goes on with what was chosen before it stopped");
      await this.#timeUpdates();
    } else {
      await this.#timeHardware();
      await this.#search("cold");
    }
    while (!this.#isOver) {
      await this.#train(this.#epochSeconds());
      if (!this.#isOver) await this.#search("steady");
    }
  }

  /** A little training at every number of groups, the most asynchronous first: what the model is fitted to. */
  async #timeHardware(): Promise<void> {
    const start = await this.#trials.snapshot();
    const startLoss = await this.#lossNow();
    let { learningRate } = this.#tuning;
    for (const groups of groupChoices(this.#trials.replicas()).toReversed()) {
      for (let attempt = 0; attempt < MOST_ATTEMPTS && !this.#isOver; attempt++) {
        this.#tuning = { groups, momentum: explicitMomentum(this.#totalMomentum, groups), learningRate };
        await this.#trials.retune(this.#tuning);
        if ((await this.#timeUpdates()) && (await this.#lossNow()) < BLOWN_UP * startLoss) break;
        learningRate /= RATE_FALL;
        await this.#trials.restart(start);
      }
    }
  }

  /** Trains until enough updates are timed; false where that diverges. */
  async #timeUpdates(): Promise<boolean> {
    // The first to arrive are the fast ones: every group is seen more than once.
    const wanted = Math.min(MOST_TIMED, Math.max(TIMED_UPDATES, 3 * this.#tuning.groups));
    let seconds = this.#options.firstSeconds ?? FIRST_SECONDS;
    for (let doubling = 0; doubling < DOUBLINGS; doubling++) {
      const stretch = await this.#trials.advance(seconds);
      this.#isOver ||= stretch.isOver;
      if (stretch.diverged) return false;
      if (this.#isOver || this.#trials.timings().length >= wanted) break;
      seconds = Math.min(2 * seconds, this.#options.mostFirstSeconds ?? Infinity);
    }
    this.#keepTimings();
    return true;
  }

  async #search(width: Width): Promise<void> {
    if (this.#isOver) return;
    this.#replicas = Math.max(1, this.#trials.replicas());
    if (width === "cold") {
      const { groups, efficiency } = this.#chosenGroups();
      await this.#choose("groups", this.#adjusted(groups), groupsReason(groups, efficiency));
    }
    let mostGroups = this.#mostGroups();
    for (let attempt = 0; attempt < MOST_ATTEMPTS && !this.#isOver; attempt++) {
      const result = await this.#searchOnce(width, mostGroups);
      if (result.end === "run-over") {
        this.#isOver = true;
        this.#betterEnd = { state: result.state, tuning: this.#tuning };
        return;
      }
      if (result.end === "nothing-works") {
        const learningRate = this.#tuning.learningRate / RATE_FALL ** 2;
        await this.#choose("search", { ...this.#tuning, learningRate }, searchReason(result));
        continue;
      }
      if (result.best) {
        const { tuning } = result.best;
        this.#totalMomentum = totalMomentum(tuning.momentum, tuning.groups);
        await this.#choose("search", tuning, searchReason(result));
      }
      if (result.end === "replicas-changed") {
        await this.#followReplicas();
        mostGroups = this.#mostGroups();
        continue;
      }
      const fewer = Math.floor(this.#tuning.groups / 2);
      if (fewer === 0 || !isTooAsynchronous(result, fewer)) return;
      mostGroups = fewer;
      await this.#choose("halved", this.#adjusted(fewer), halvedReason(this.#tuning.groups, fewer));
    }
  }

  /** How many may be tried: what the model says is worth it, or more where there are more already. */
  #mostGroups(): number {
    return Math.max(this.#chosenGroups().groups, Math.min(this.#tuning.groups, this.#replicas));
  }

  async #searchOnce(width: Width, mostGroups: number): Promise<SearchResult<Snapshot>> {
    const room = this.#room(width, mostGroups);
    const result = await search(this.#trials, await this.#trials.snapshot(), {
      candidates: startOf(this.#tuning, room),
      ...(width === "steady" ? { incumbent: this.#tuning } : {}),
      firstSeconds: this.#trialSeconds(),
      ties: TIES[width],
      startLoss: await this.#lossNow(),
      beyond: (best, tried) => neighboursOf(best, tried, room),
    });
    this.#lostSeconds += result.lostSeconds;
    this.#lastLostSeconds = result.lostSeconds;
    return result;
  }

  /** An epoch: until its time is over, or until training stands still and the last search has been made up for. */
  async #train(seconds: number): Promise<void> {
    const begin = this.#trials.now();
    this.#trainedSeconds = 0;
    const progress = new Progress();
    let good = await this.#trials.snapshot();
    await this.#followReplicas();
    while (this.#trainedSeconds < seconds) {
      const stretch = await this.#trials.advance(SLICE_TRIALS * this.#leastTrialSeconds());
      this.#isOver ||= stretch.isOver;
      if (this.#isOver) return;
      this.#trainedSeconds = this.#trials.now() - begin;
      const loss = stretch.samples > 0 ? await this.#lossNow() : NaN;
      if (stretch.diverged || progress.hasBlownUp(loss)) {
        await this.#trials.restart(good);
        const learningRate = this.#tuning.learningRate / RATE_STEP;
        const reason = recoveryReason(this.#tuning);
        await this.#choose("recovery", { ...this.#tuning, learningRate }, reason);
        continue;
      }
      if (stretch.samples > 0) {
        progress.add(loss);
        good = await this.#trials.snapshot();
      }
      await this.#followReplicas();
      if (progress.standsStill && this.#trainedSeconds > LEAST_EPOCH * this.#lastLostSeconds) break;
    }
    this.#keepTimings();
  }

  /** Other replicas, other group sizes: the model says how many groups are worth it now. */
  async #followReplicas(): Promise<void> {
    const replicas = this.#trials.replicas();
    if (replicas === this.#replicas || replicas === 0) return;
    const before = this.#replicas;
    this.#keepTimings();
    this.#replicas = replicas;
    const { groups, efficiency } = this.#chosenGroups();
    if (groups === this.#tuning.groups) return;
    await this.#choose("replicas", this.#adjusted(groups), membershipReason(before, replicas, groups, efficiency));
  }

  async #choose(phase: string, tuning: Tuning, reason: string): Promise<void> {
    this.#tuning = tuning;
    await this.#trials.retune(tuning);
    this.#options.onDecision({ seconds: this.#trials.now(), phase, ...tuning, reason });
  }

  #room(width: Width, mostGroups: number): Room {
    const secondsPerUpdate = (groups: number): number => this.#secondsPerUpdate(groups);
    return {
      groups: groupsWorthTrying(Math.max(1, this.#replicas), mostGroups, secondsPerUpdate),
      isCold: width === "cold",
    };
  }

  /** The same total momentum with other groups. */
  #adjusted(groups: number): Tuning {
    if (groups === this.#tuning.groups) return this.#tuning;
    return { ...this.#tuning, groups, momentum: explicitMomentum(this.#totalMomentum, groups) };
  }

  #chosenGroups(): GroupsChosen {
    return chooseGroups((groups) => this.#secondsPerUpdate(groups), Math.max(1, this.#trials.replicas()));
  }

  #secondsPerUpdate(groups: number): number {
    const model = fitHardware([...this.#timings.values()].flat());
    if (!model) return this.#options.firstSeconds ?? FIRST_SECONDS;
    return updateSeconds(model, Math.max(1, this.#trials.replicas()), groups);
  }

  async #lossNow(): Promise<number> {
    return this.#trials.loss([await this.#trials.snapshot()]);
  }

  #keepTimings(): void {
    for (const [size, timings] of Map.groupBy(this.#trials.timings(), (timing) => timing.groupSize)) {
      this.#timings.set(size, [...(this.#timings.get(size) ?? []), ...timings].slice(-TIMINGS_KEPT));
    }
  }

  /** What the epoch before allows for, but never so short that a trial shows nothing. */
  #trialSeconds(): number {
    return Math.max(this.#leastTrialSeconds(), (this.#share * this.#trainedSeconds) / USUALLY_LOST);
  }

  #leastTrialSeconds(): number {
    const { groups } = this.#tuning;
    const updates = Math.max(this.#options.trialUpdates ?? TRIAL_UPDATES, TRIAL_TURNS * groups);
    return updates * this.#secondsPerUpdate(groups);
  }

  /** So long that the next search loses no more than its share; as epochs grow with the run, so do their searches. */
  #epochSeconds(): number {
    return Math.max((USUALLY_LOST * this.#leastTrialSeconds()) / this.#share, this.#trials.now());
  }
}

/** The best momentum is the lowest that is tried, and nobody has seen whether fewer groups are better. */
function isTooAsynchronous({ best, trials }: SearchResult, fewer: number): boolean {
  return best?.tuning.momentum === MOMENTA[0] && !trials.some(({ tuning }) => tuning.groups === fewer);
}
