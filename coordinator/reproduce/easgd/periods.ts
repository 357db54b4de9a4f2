/** Four replicas that exchange every 1, 4, 16 or 64 local steps: who stays stable, and who generalises best. */

import type { Scenario } from "../../simulate/scenario.ts";
import { findingOf, worstOf } from "../findings.ts";
import type { Claim, Experiment, ExperimentContext, Finding } from "../paper.ts";
import { lineFigure } from "../plots.ts";
import { shown } from "../report.ts";
import { meanOf, pairedDifference } from "../statistics.ts";
import { CIRCUMSTANCES, isUnstable, lowestErrorPercent, METHODS, SOLVERS, type Method } from "./circumstances.ts";

interface Budget {
  readonly periods: readonly number[];
  readonly steps: number;
  readonly evaluations: number;
}

const REPLICAS = 4;

const BUDGET: Readonly<Record<"quick" | "full", Budget>> = {
  quick: { periods: [1, 16, 64], steps: 4 * 384, evaluations: 12 },
  full: { periods: [1, 4, 16, 64], steps: 4 * 768, evaluations: 24 },
};

const LEARNING_RATES = [0.05, 0.15, 0.45];

/** Heavy momentum makes steps 1 / (1 - momentum) times as long. */
const RATE_FACTORS: Readonly<Record<Method, number>> = { EASGD: 1, EAMSGD: 0.1, DOWNPOUR: 1 };

const LONG_PERIODS = [16, 64];

interface Run {
  readonly method: Method;
  readonly period: number;
  /** Before the method's factor. */
  readonly learningRate: number;
  readonly seed: number;
  readonly unstable: boolean;
  readonly errorPercent: number;
  readonly finalErrorPercent: number;
}

export const PERIODS: Experiment = {
  name: "periods",
  title: "Stability and test error over the communication period",
  method: `p = ${REPLICAS}, batch 32, ${BUDGET.full.steps} local steps altogether, an evaluation of the center on the test images ${BUDGET.full.evaluations} times in a run; learning rates ${LEARNING_RATES.join(", ")} for EASGD and DOWNPOUR and a tenth of them for EAMSGD. A run is *unstable* if its center ended in numbers that are none or if any evaluation in the second half of the run found it wrong for more than half of the test images. The share of unstable runs is taken over all learning rates, seed by seed. A method's test error at a period is the lowest that an evaluation found, at the learning rate that was best on the tuning seed.`,
  claims: [
    ...LONG_PERIODS.flatMap((period): Claim[] => [
      {
        id: `stable-${period}`,
        statement: `At tau = ${period} DOWNPOUR is unstable more often than EASGD and EAMSGD`,
        paperValue: 'DOWNPOUR "highly unstable", EASGD and EAMSGD stable',
        unit: "more of the runs unstable",
      },
      {
        id: `elastic-never-unstable-${period}`,
        statement: `At tau = ${period} EASGD and EAMSGD are stable`,
        paperValue: "stable",
        unit: "of the runs unstable",
      },
      {
        id: `eamsgd-best-${period}`,
        statement: `At tau = ${period} EAMSGD has a lower test error than EASGD and DOWNPOUR`,
        paperValue: "lower",
        unit: "points of test error (against the better of the two)",
      },
    ]),
    ...(["EASGD", "EAMSGD"] as const).map((method) => ({
      id: `${method.toLowerCase()}-longer-period`,
      statement: `${method} has a lower test error at tau = 64 than at tau = 1`,
      paperValue: "lower",
      unit: "points of test error",
    })),
    {
      id: "eamsgd-advantage-grows",
      statement: "EAMSGD's advantage over DOWNPOUR in test error is larger at tau = 64 than at tau = 1",
      paperValue: "larger",
      unit: "points of test error",
    },
  ],
  run: comparePeriods,
};

async function comparePeriods(context: ExperimentContext): Promise<readonly Finding[]> {
  const budget = BUDGET[context.isQuick ? "quick" : "full"];
  const seeds = [context.tuningSeed, ...context.seeds];
  const runs = await Promise.all(
    METHODS.flatMap((method) =>
      budget.periods.flatMap((period) =>
        LEARNING_RATES.flatMap((learningRate) =>
          seeds.map((seed) => runOnce(context, budget, { method, period, learningRate, seed })),
        ),
      ),
    ),
  );
  context.record("runs", runs);
  const board = new Board(runs, context);
  draw(context, budget, board);
  return findings(board);
}

async function runOnce(
  context: ExperimentContext,
  { steps, evaluations }: Budget,
  { method, period, learningRate, seed }: Pick<Run, "method" | "period" | "learningRate" | "seed">,
): Promise<Run> {
  const scenario: Scenario = {
    ...CIRCUMSTANCES,
    ...SOLVERS[method],
    replicas: REPLICAS,
    movingRate: 0.9 / REPLICAS,
    communicationPeriod: period,
    learningRate: learningRate * RATE_FACTORS[method],
    steps,
    evaluateEverySamples: (steps * 32) / evaluations,
    seed,
  };
  const report = await context.pool.simulate(scenario);
  return {
    method,
    period,
    learningRate,
    seed,
    unstable: isUnstable(report),
    errorPercent: lowestErrorPercent(report),
    finalErrorPercent: 100 * (1 - (report.accuracy ?? 0)),
  };
}

/** The runs, asked in the claims' words; lists have one value for each reported seed. */
class Board {
  readonly #runs: readonly Run[];
  readonly #seeds: readonly number[];
  readonly #tuningSeed: number;

  constructor(runs: readonly Run[], { seeds, tuningSeed }: ExperimentContext) {
    this.#runs = runs;
    this.#seeds = seeds;
    this.#tuningSeed = tuningSeed;
  }

  unstableShares(methods: readonly Method[], period: number): number[] {
    return this.#seeds.map((seed) => {
      const runs = this.#of((run) => methods.includes(run.method) && run.period === period && run.seed === seed);
      return runs.filter(({ unstable }) => unstable).length / runs.length;
    });
  }

  bestRate(method: Method, period: number): number {
    const tried = this.#of((run) => run.method === method && run.period === period && run.seed === this.#tuningSeed);
    return tried.reduce((one, other) => (other.errorPercent < one.errorPercent ? other : one)).learningRate;
  }

  errors(method: Method, period: number): number[] {
    const learningRate = this.bestRate(method, period);
    return this.#seeds.flatMap((seed) =>
      this.#of(
        (run) =>
          run.method === method && run.period === period && run.learningRate === learningRate && run.seed === seed,
      ).map(({ errorPercent }) => errorPercent),
    );
  }

  #of(isMeant: (run: Run) => boolean): Run[] {
    return this.#runs.filter(isMeant);
  }
}

function findings(board: Board): Finding[] {
  const elastic: readonly Method[] = ["EASGD", "EAMSGD"];
  const lower = { kind: "below", border: 0 } as const;
  return [
    ...LONG_PERIODS.flatMap((period) => {
      const error = (method: Method): number[] => board.errors(method, period);
      return [
        findingOf(
          `stable-${period}`,
          pairedDifference(board.unstableShares(["DOWNPOUR"], period), board.unstableShares(elastic, period)),
          { kind: "above", border: 0 },
        ),
        findingOf(`elastic-never-unstable-${period}`, meanOf(board.unstableShares(elastic, period)), {
          kind: "not-above",
          border: 0,
          margin: 0.1,
        }),
        worstOf(`eamsgd-best-${period}`, [
          findingOf("", pairedDifference(error("EAMSGD"), error("EASGD")), lower, "Against EASGD."),
          findingOf("", pairedDifference(error("EAMSGD"), error("DOWNPOUR")), lower, "Against DOWNPOUR."),
        ]),
      ];
    }),
    ...(["EASGD", "EAMSGD"] as const).map((method) =>
      findingOf(
        `${method.toLowerCase()}-longer-period`,
        pairedDifference(board.errors(method, 64), board.errors(method, 1)),
        lower,
      ),
    ),
    findingOf("eamsgd-advantage-grows", pairedDifference(advantage(board, 64), advantage(board, 1)), {
      kind: "above",
      border: 0,
    }),
  ];
}

function advantage(board: Board, period: number): number[] {
  const own = board.errors("EAMSGD", period);
  return board.errors("DOWNPOUR", period).map((error, index) => error - (own[index] ?? Number.NaN));
}

function draw(context: ExperimentContext, { periods }: Budget, board: Board): void {
  const x = { title: "communication period tau, local steps", log: true };
  context.figure(
    lineFigure({
      name: "unstable",
      title: "Share of unstable runs",
      caption: "Share of runs, over all learning rates and seeds, whose center was lost.",
      x,
      y: { title: "share of runs" },
      series: METHODS.map((method) => ({
        name: method,
        points: periods.map((period) => ({ x: period, y: meanOf(board.unstableShares([method], period)).mean })),
      })),
    }),
  );
  context.figure(
    lineFigure({
      name: "error",
      title: "Lowest test error of the center",
      caption:
        "In percent, at the learning rate that was best on the tuning seed; mean of the seeds with its interval.",
      x,
      y: { title: "test error, %", log: true },
      series: METHODS.map((method) => ({
        name: method,
        points: periods.map((period) => {
          const { mean, low, high } = meanOf(board.errors(method, period));
          return { x: period, y: mean, low, high };
        }),
      })),
    }),
  );
  context.table({
    title: "Over the communication period",
    columns: ["method", "tau", "unstable runs", "learning rate chosen", "lowest test error, %", "interval"],
    rows: METHODS.flatMap((method) =>
      periods.map((period) => {
        const { mean, low, high } = meanOf(board.errors(method, period));
        return [
          method,
          period,
          meanOf(board.unstableShares([method], period)).mean,
          board.bestRate(method, period) * RATE_FACTORS[method],
          mean,
          `${shown(low)} to ${shown(high)}`,
        ];
      }),
    ),
  });
}
