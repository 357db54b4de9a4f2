/**
 * Races in virtual time: several contestants under the same circumstances, each with the settings that its own grid found best,
 * until the center reaches an accuracy.
 */

import type { SimulationReport } from "../simulate/report.ts";
import type { Scenario } from "../simulate/scenario.ts";
import { findingOf } from "./findings.ts";
import type { ExperimentContext, Finding } from "./paper.ts";
import { meanOf, pairedRatio, type Estimate, type Expectation } from "./statistics.ts";
import { tune } from "./tuning.ts";

export interface Contestant {
  readonly name: string;
  /** What makes it this contestant. */
  readonly scenario: Scenario;
  /** Settings to choose from. */
  readonly grid: readonly Scenario[];
  /** In a reduced run. */
  readonly quickGrid: readonly Scenario[];
}

/** What "time to accuracy" means unless an experiment says otherwise. */
export const TARGETS: readonly number[] = [0.9, 0.91, 0.92, 0.93];

/** For reports. */
export function targetsText(targets: readonly number[]): string {
  return `${targets.map((target) => Math.round(100 * target)).join(", ")} %`;
}

export interface Race {
  /** Everything that the contestants have in common. */
  readonly circumstances: Scenario;
  /** In ascending order. The time of a run is the geometric mean of its times to each: one alone is crossed by chance. */
  readonly targets: readonly number[];
  /** A run that has not reached all targets after so many samples has missed them; while settings are chosen, after half of them. */
  readonly limitSamples: number;
}

const LEAST_LIMIT_SAMPLES = 120_000;
const LIMIT_SAMPLES_PER_REPLICA = 15_000;

/** Above every time in which a target is reached. */
const GIVEN_UP_SECONDS = 1e6;

/** How one contestant fared, seed by seed. */
export interface Raced {
  readonly name: string;
  readonly settings: Scenario;
  /** To the target; of runs that missed it, until they were given up. */
  readonly virtualSeconds: readonly number[];
  readonly missed: number;
  readonly centerSteps: readonly number[];
  readonly localSteps: readonly number[];
  readonly megabytes: readonly number[];
  readonly meanStaleness: readonly number[];
  readonly lockUtilisation: readonly number[];
  readonly gridScores: readonly { readonly point: Scenario; readonly score: number }[];
}

export async function raceAll(
  context: ExperimentContext,
  race: Race,
  contestants: readonly Contestant[],
): Promise<Raced[]> {
  return Promise.all(contestants.map((contestant) => raceOne(context, race, contestant)));
}

async function raceOne(context: ExperimentContext, race: Race, contestant: Contestant): Promise<Raced> {
  const { targets, limitSamples } = race;
  const targetAccuracy = targets.at(-1) ?? 1;
  const scenarioOf = (settings: Scenario, seed: number, samples = limitSamples / 2): Scenario => {
    const bounds = { targetAccuracy, targets, samples };
    return { ...race.circumstances, ...contestant.scenario, ...settings, ...bounds, seed };
  };
  const { best, scores } = await tune(context, {
    points: context.isQuick ? contestant.quickGrid : contestant.grid,
    scenarioOf,
    // Of those that miss the target the one that comes nearest.
    scoreOf: (report) => secondsOf(report) ?? GIVEN_UP_SECONDS * (2 - (report.accuracy ?? 0)),
  });
  const reports = await Promise.all(
    context.seeds.map((seed) => context.pool.simulate(scenarioOf(best, seed, limitSamples))),
  );
  return {
    name: contestant.name,
    settings: best,
    virtualSeconds: reports.map((report) => secondsOf(report) ?? report.virtualSeconds),
    missed: reports.filter((report) => secondsOf(report) === undefined).length,
    centerSteps: reports.map((report) => report.centerSteps),
    localSteps: reports.map((report) => report.localSteps),
    megabytes: reports.map(({ bytesUp, bytesDown }) => (bytesUp + bytesDown) / 1e6),
    meanStaleness: reports.map(({ staleness }) => staleness.mean),
    lockUtilisation: reports.map(({ lock }) => lock.utilisation),
    gridScores: scores,
  };
}

/** To accuracy; undefined where a target was missed. */
export function secondsOf({ targets }: SimulationReport): number | undefined {
  let logarithms = 0;
  for (const { virtualSeconds } of targets) {
    if (virtualSeconds === null) return undefined;
    logarithms += Math.log(virtualSeconds);
  }
  return Math.exp(logarithms / targets.length);
}

/** The time of `first` over that of `second`, on the same seeds. */
export function timeRatio(first: Raced, second: Raced): Estimate {
  return pairedRatio(first.virtualSeconds, second.virtualSeconds);
}

/**
 * A claim about `timeRatio(first, second)`. A run that missed the target counts with the time at which it was given up, which is less than
 * it needs: where that flatters the one that the claim favours, nothing is proven in its favour.
 */
export function timeFinding(id: string, first: Raced, second: Raced, expectation: Expectation, note?: string): Finding {
  const words = [note, missedSentence(first), missedSentence(second)].filter((part) => part !== undefined).join(" ");
  const finding = findingOf(id, timeRatio(first, second), expectation, words === "" ? undefined : words);
  const favoured = expectation.kind === "above" ? second : first;
  if (favoured.missed === 0 || finding.verdict !== "reproduced") return finding;
  return { ...finding, verdict: "inconclusive", seedsToDecide: null };
}

function missedSentence({ name, missed, virtualSeconds }: Raced): string | undefined {
  if (missed === 0) return undefined;
  return `${name} missed the target in ${missed} of ${virtualSeconds.length} runs.`;
}

/** Elastic replicas have to get there each by itself: the more there are, the more samples it takes. */
export function samplesFor(replicas: number): number {
  return Math.max(LEAST_LIMIT_SAMPLES, LIMIT_SAMPLES_PER_REPLICA * replicas);
}

/** For a table: settings, time with its interval, steps, staleness. */
export const RACE_COLUMNS = [
  "solver",
  "settings",
  "virtual s to accuracy",
  "interval",
  "missed",
  "center steps",
  "local steps",
  "MB",
  "staleness",
  "lock in use",
] as const;

export function raceRow(raced: Raced): (string | number)[] {
  const time = meanOf(raced.virtualSeconds);
  return [
    raced.name,
    settingsText(raced.settings),
    time.mean,
    raced.virtualSeconds.length > 1 ? `${time.low.toFixed(2)} to ${time.high.toFixed(2)}` : "-",
    raced.missed,
    Math.round(meanOf(raced.centerSteps).mean),
    Math.round(meanOf(raced.localSteps).mean),
    meanOf(raced.megabytes).mean,
    meanOf(raced.meanStaleness).mean,
    meanOf(raced.lockUtilisation).mean,
  ];
}

const SHORT_NAMES: Readonly<Record<string, string>> = {
  learningRate: "lr",
  momentum: "mu",
  elasticRate: "beta",
  communicationPeriod: "tau",
};

function settingsText(settings: Scenario): string {
  return Object.entries(settings)
    .map(([field, value]) => `${SHORT_NAMES[field] ?? field} ${JSON.stringify(value)}`)
    .join(", ");
}
