/**
 * Omnivore's trade-off and its optimizer: every point of a grid over groups, momentum and learning rate on a seed of its own, the
 * points that matter again on the reported seeds, and the optimizer on those seeds without having seen any of it.
 */

import type { TunedScenario } from "../../autotune/tune_scenario.ts";
import type { Scenario } from "../../simulate/scenario.ts";
import { findingOf, unmeasured } from "../findings.ts";
import type { Experiment, ExperimentContext, Finding } from "../paper.ts";
import { barFigure, lineFigure } from "../plots.ts";
import { meanOf, pairedDifference, pairedRatio } from "../statistics.ts";
import { DEVICES, GROUPS, MIXES, racing, type Mix } from "./setting.ts";

/** Omnivore's grid of momenta and one below zero; half decades of the learning rate. */
const MOMENTA = [0, 0.3, 0.6, 0.9, -0.3] as const;
const RATES = [0.1, 0.316, 0.0316] as const;
const UNTUNED = 0.9;
/** Of the whole grid, that go to the reported seeds. */
const FINALISTS = 4;
/** A point is given up at so many times the best with its number of groups so far. */
const HOPELESS = 1.6;
/** In a full run the optimizer meets the best point on so many times the seeds. */
const DUEL_SEEDS = 3;
/** Where the optimizer begins to look. */
const FIRST_RATE = 0.1;

interface Point {
  readonly groups: number;
  readonly momentum: number;
  readonly learningRate: number;
}

interface Scored {
  readonly point: Point;
  /** Virtual, to the target; infinite where it was not reached. */
  readonly seconds: number;
  readonly updates: number;
}

/** A point on the reported seeds; what did not reach the target counts with the time that it had. */
interface Reported {
  readonly point: Point;
  readonly seconds: readonly number[];
  readonly updates: readonly number[];
}

interface Raced {
  readonly mix: Mix;
  readonly grid: readonly Scored[];
  readonly finalists: readonly Reported[];
  readonly tunedByGroups: readonly Reported[];
  readonly untunedByGroups: readonly Reported[];
  readonly optimizer: readonly TunedScenario[];
  readonly duel: Duel;
}

/** Seconds of both by seed, the reported seeds first. */
interface Duel {
  readonly point: Point;
  readonly best: readonly number[];
  readonly optimizer: readonly number[];
}

export const RACE: Experiment = {
  name: "optimizer",
  title: "Groups, momentum and the optimizer that chooses them",
  method:
    `${DEVICES} simulated devices with lognormal step times (sigma 0.5), real gradients on MNIST, 196-32-10 with tanh, batch 64 per update, momentum at the center; virtual time to 95 % of 4,000 test images (94 % of 2,000 in a reduced run). ` +
    `The grid is groups ${GROUPS.join(", ")}, momentum ${MOMENTA.join(", ")}, learning rate ${RATES.join(", ")}, on a seed that is not reported; the best ${FINALISTS} points, and the best of each number of groups with momentum tuned and at ${UNTUNED}, are repeated on the reported seeds. ` +
    `The optimizer's time includes its search; it meets the best point on ${DUEL_SEEDS} times as many seeds (in a full run), starts at learning rate ${FIRST_RATE}, and sees the loss on 1,000 training images only.`,
  claims: [
    {
      id: "untuned-momentum-costs",
      statement: "At full asynchrony momentum 0.9 needs more updates than tuned momentum",
      paperValue: "1.5x at 8 groups, 2.7x at 16",
      unit: `updates to the target at ${DEVICES} groups, momentum ${UNTUNED} / tuned`,
    },
    {
      id: "tuned-optimum-more-groups",
      statement: "With tuned momentum the best number of groups is larger than with momentum 0.9",
      paperValue: "larger",
      unit: "doublings of groups, tuned minus untuned, exchange-bound mix",
    },
    {
      id: "optimizer-near-best-exchange",
      statement:
        "The optimizer, its search included, is within a quarter of the best point of the grid, bound by exchanges",
      paperValue: "about 1.1 (10 % of the time is search)",
      unit: "time to the target, optimizer / best point",
    },
    {
      id: "optimizer-near-best-compute",
      statement:
        "The optimizer, its search included, is within a quarter of the best point of the grid, bound by computing",
      paperValue: "about 1.1 (10 % of the time is search)",
      unit: "time to the target, optimizer / best point",
    },
    {
      id: "optimizer-beats-fixed",
      statement: "The optimizer is faster than the better of synchronous and asynchronous training with momentum 0.9",
      paperValue: "1.9x to 12x over other systems",
      unit: "time to the target, optimizer / better of both, exchange-bound mix",
    },
  ],
  run: runRace,
};

async function runRace(context: ExperimentContext): Promise<readonly Finding[]> {
  const raced: Raced[] = [];
  for (const mix of context.isQuick ? MIXES.slice(0, 1) : MIXES) {
    raced.push(await race(context, mix));
    context.record(`mix-${mix.name}`, raced.at(-1));
  }
  draw(context, raced);
  return findingsOfRace(raced);
}

async function race(context: ExperimentContext, mix: Mix): Promise<Raced> {
  const groupsTried = context.isQuick ? [1, DEVICES] : GROUPS;
  const grid = (await Promise.all(groupsTried.map((groups) => gridOfGroups(context, mix, groups)))).flat();
  const ranked = grid.toSorted((a, b) => a.seconds - b.seconds);
  const ofGroups = (isIn: (point: Point) => boolean): Point[] =>
    GROUPS.flatMap((groups) => ranked.find(({ point }) => point.groups === groups && isIn(point))?.point ?? []);
  const known = new Map<string, Promise<Reported>>();
  const report = (points: readonly Point[]): Promise<Reported[]> =>
    Promise.all(
      points.map((point) => {
        const key = JSON.stringify(point);
        const runs = known.get(key) ?? reported(context, mix, point);
        known.set(key, runs);
        return runs;
      }),
    );
  const finalists = ranked.slice(0, context.isQuick ? 2 : FINALISTS).map(({ point }) => point);
  const [best, tunedByGroups, untunedByGroups, optimizer] = await Promise.all([
    report(finalists),
    report(ofGroups(() => true)),
    report(ofGroups(({ momentum }) => momentum === UNTUNED)),
    Promise.all(context.seeds.map((seed) => optimizedRun(context, mix, seed))),
  ]);
  const raced = { mix, grid, finalists: best, tunedByGroups, untunedByGroups, optimizer };
  return { ...raced, duel: await duel(context, raced) };
}

/** The optimizer against the best point on more seeds than the rest: times to a target near the plateau spread widely. */
async function duel(context: ExperimentContext, raced: Omit<Raced, "duel">): Promise<Duel> {
  const { seeds, isQuick } = context;
  const first = seeds.length + 1;
  const more = isQuick ? [] : Array.from({ length: (DUEL_SEEDS - 1) * seeds.length }, (_, index) => first + index);
  const best = bestPoint(raced);
  const [again, optimized] = await Promise.all([
    reported({ ...context, seeds: more }, raced.mix, best.point),
    Promise.all(more.map((seed) => optimizedRun(context, raced.mix, seed))),
  ]);
  return {
    point: best.point,
    best: [...best.seconds, ...again.seconds],
    optimizer: [...optimizerSeconds(raced), ...optimized.map(({ report }) => report.virtualSeconds)],
  };
}

/** One learning rate after the other, so that what is slow is given up early; the untuned momentum is never given up. */
async function gridOfGroups(context: ExperimentContext, mix: Mix, groups: number): Promise<Scored[]> {
  const scored: Scored[] = [];
  let best = Infinity;
  for (const learningRate of context.isQuick ? RATES.slice(0, 2) : RATES) {
    const momenta = context.isQuick ? [0, UNTUNED] : MOMENTA;
    const row = await Promise.all(
      momenta.map(async (momentum) => {
        const point = { groups, momentum, learningRate };
        const bound = momentum === UNTUNED ? mix.mostSeconds : Math.min(mix.mostSeconds, HOPELESS * best);
        const { seconds, updates } = await secondsOf(context, mix, point, context.tuningSeed, bound);
        return { point, seconds, updates };
      }),
    );
    scored.push(...row);
    best = Math.min(...scored.map(({ seconds }) => seconds));
  }
  return scored;
}

async function reported(context: ExperimentContext, mix: Mix, point: Point): Promise<Reported> {
  const runs = await Promise.all(context.seeds.map((seed) => secondsOf(context, mix, point, seed, mix.mostSeconds)));
  return {
    point,
    seconds: runs.map(({ seconds }) => Math.min(seconds, mix.mostSeconds)),
    updates: runs.map(({ updates }) => updates),
  };
}

async function secondsOf(
  { pool, isQuick }: ExperimentContext,
  mix: Mix,
  point: Point,
  seed: number,
  virtualSeconds: number,
): Promise<Omit<Scored, "point">> {
  const scenario: Scenario = { ...racing(isQuick), ...mix.scenario, ...point, seed, virtualSeconds };
  const report = await pool.simulate(scenario);
  if (report.endedBy === "targetAccuracy") return { seconds: report.virtualSeconds, updates: report.centerSteps };
  // What it would have made in all the time, for a run that broke off.
  return { seconds: Infinity, updates: (report.centerSteps * mix.mostSeconds) / report.virtualSeconds };
}

function optimizedRun({ pool, isQuick }: ExperimentContext, mix: Mix, seed: number): Promise<TunedScenario> {
  const virtualSeconds = 2 * mix.mostSeconds;
  const scenario: Scenario = { ...racing(isQuick), ...mix.scenario, learningRate: FIRST_RATE, seed, virtualSeconds };
  return pool.run<TunedScenario>(new URL("./tuned_task.ts", import.meta.url), scenario);
}

/** Pure, for tests. */
export function findingsOfRace(raced: readonly Raced[]): Finding[] {
  const exchange = raced.find(({ mix }) => mix.name === "exchange");
  if (!exchange) return [];
  return [untunedFinding(exchange), optimumFinding(exchange), ...raced.map(nearBest), beatsFixed(exchange)];
}

function untunedFinding({ tunedByGroups, untunedByGroups }: Raced): Finding {
  const id = "untuned-momentum-costs";
  const [tuned, untuned] = [tunedByGroups, untunedByGroups].map((all) =>
    all.find(({ point }) => point.groups === DEVICES),
  );
  if (!tuned || !untuned) return unmeasured(id, "The grid has no such points.");
  const ratio = pairedRatio(untuned.updates, tuned.updates);
  return findingOf(
    id,
    ratio,
    { kind: "above", border: 1 },
    "A run that does not reach the target counts with all the updates of its time, so that the ratio is at least this.",
  );
}

function optimumFinding({ tunedByGroups, untunedByGroups }: Raced): Finding {
  const seeds = tunedByGroups[0]?.seconds.map((_, index) => index) ?? [];
  const difference = pairedDifference(
    seeds.map((seed) => bestDoublings(tunedByGroups, seed)),
    seeds.map((seed) => bestDoublings(untunedByGroups, seed)),
  );
  return findingOf("tuned-optimum-more-groups", difference, { kind: "above", border: 0 });
}

/** Of groups. */
function bestDoublings(all: readonly Reported[], seed: number): number {
  const best = all.reduce((one, other) => ((other.seconds[seed] ?? 0) < (one.seconds[seed] ?? 0) ? other : one));
  return Math.log2(best.point.groups);
}

function nearBest(raced: Raced): Finding {
  const { groups, momentum, learningRate } = raced.duel.point;
  const lost = meanOf(raced.optimizer.map(({ lostSeconds, report }) => lostSeconds / report.virtualSeconds));
  return findingOf(
    `optimizer-near-best-${raced.mix.name}`,
    pairedRatio(raced.duel.optimizer, raced.duel.best),
    { kind: "below", border: 1.25 },
    `Best point: ${groups} groups, momentum ${momentum}, learning rate ${learningRate}, chosen with the reported seeds known, which favours it. Trials that were thrown away took ${Math.round(100 * lost.mean)} % of the optimizer's time.`,
  );
}

function beatsFixed(raced: Raced): Finding {
  const fixed = raced.untunedByGroups.filter(({ point }) => point.groups === 1 || point.groups === DEVICES);
  const better = fixed[0]?.seconds.map((_, seed) => Math.min(...fixed.map(({ seconds }) => seconds[seed] ?? Infinity)));
  const ratio = pairedRatio(optimizerSeconds(raced), better ?? []);
  return findingOf(
    "optimizer-beats-fixed",
    ratio,
    { kind: "below", border: 1 },
    "Both with the learning rate that is best for them on the grid.",
  );
}

/** The lowest mean over the reported seeds. */
function bestPoint({ finalists, tunedByGroups, untunedByGroups }: Omit<Raced, "duel">): Reported {
  return [...finalists, ...tunedByGroups, ...untunedByGroups].reduce((best, one) =>
    meanOf(one.seconds).mean < meanOf(best.seconds).mean ? one : best,
  );
}

function optimizerSeconds({ optimizer }: Pick<Raced, "optimizer">): number[] {
  return optimizer.map(({ report }) => report.virtualSeconds);
}

function draw({ figure, table }: ExperimentContext, raced: readonly Raced[]): void {
  for (const one of raced) {
    const line = (name: string, all: readonly Reported[]) => ({
      name,
      points: all.map(({ point, seconds }) => {
        const { mean, low, high } = meanOf(seconds);
        return { x: point.groups, y: mean, low, high };
      }),
    });
    figure(
      lineFigure({
        name: `groups-${one.mix.name}`,
        title: `Time to the target over the number of groups, ${one.mix.title}`,
        caption: `Each point with its own best learning rate. Momentum 0.9 should be best with fewer groups than tuned momentum.`,
        x: { title: "groups", log: true },
        y: { title: "virtual seconds", log: true },
        series: [line("momentum tuned", one.tunedByGroups), line(`momentum ${UNTUNED}`, one.untunedByGroups)],
      }),
    );
  }
  figure(
    barFigure({
      name: "optimizer",
      title: "Time to the target",
      caption: "The optimizer's includes its search.",
      y: { title: "virtual seconds" },
      bars: raced.flatMap((one) => [
        { name: "best of the grid", group: one.mix.name, value: meanOf(bestPoint(one).seconds).mean },
        { name: "optimizer", group: one.mix.name, value: meanOf(optimizerSeconds(one)).mean },
        ...one.untunedByGroups
          .filter(({ point }) => point.groups === 1 || point.groups === DEVICES)
          .map(({ point, seconds }) => ({
            name: `${point.groups === 1 ? "synchronous" : "asynchronous"}, ${UNTUNED}`,
            group: one.mix.name,
            value: meanOf(seconds).mean,
          })),
      ]),
    }),
  );
  table({
    title: "Best of each number of groups, means of the reported seeds",
    columns: ["mix", "groups", "momentum", "learning rate", "updates", "virtual seconds"],
    rows: raced.flatMap((one) =>
      [...one.tunedByGroups, ...one.untunedByGroups].map(({ point, updates, seconds }) => [
        one.mix.name,
        point.groups,
        point.momentum,
        point.learningRate,
        meanOf(updates).mean,
        meanOf(seconds).mean,
      ]),
    ),
  });
  table({
    title: "What the optimizer chose",
    columns: ["mix", "groups", "momentum", "learning rate", "virtual seconds", "thrown away"],
    rows: raced.flatMap((one) =>
      one.optimizer.map(({ chosen, report, lostSeconds }) => [
        one.mix.name,
        chosen.groups,
        chosen.momentum,
        chosen.learningRate,
        report.virtualSeconds,
        lostSeconds,
      ]),
    ),
  });
}
