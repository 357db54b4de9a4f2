/** More replicas: the center's lowest test error as p grows, at equal local steps of each replica. */

import { findingOf } from "../findings.ts";
import type { Experiment, ExperimentContext, Finding } from "../paper.ts";
import { lineFigure } from "../plots.ts";
import { meanOf, pairedDifference } from "../statistics.ts";
import { gridOf, tune } from "../tuning.ts";
import { CIRCUMSTANCES, lowestErrorPercent, SOLVERS } from "./circumstances.ts";

const PERIOD = 10;

const BUDGET = {
  quick: { replicas: [4, 16], stepsOfEach: 300, evaluations: 10 },
  full: { replicas: [4, 8, 16], stepsOfEach: 1000, evaluations: 25 },
} as const;

const METHODS = ["EASGD", "EAMSGD"] as const;
const LEARNING_RATES = { EASGD: [0.05, 0.15, 0.45], EAMSGD: [0.005, 0.015, 0.045] } as const;

export const EXPLORATION: Experiment = {
  name: "exploration",
  title: "Test error over the number of replicas",
  method: `tau = ${PERIOD}, beta = 0.9, ${BUDGET.full.stepsOfEach} local steps of each replica, the learning rate chosen for each number of replicas on the tuning seed; the lowest test error of ${BUDGET.full.evaluations} evaluations counts.`,
  claims: METHODS.map((method) => ({
    id: `${method.toLowerCase()}-more-replicas`,
    statement: `${method} reaches a lower test error with 16 replicas than with 4`,
    paperValue: "lower: more replicas explore more",
    unit: "points of test error",
  })),
  run: compareNumbers,
};

async function compareNumbers(context: ExperimentContext): Promise<readonly Finding[]> {
  const { replicas } = BUDGET[context.isQuick ? "quick" : "full"];
  const found = await Promise.all(
    METHODS.map(async (method) => {
      const errors = await Promise.all(replicas.map((count) => errorsWith(context, method, count)));
      return { method, errors };
    }),
  );
  context.record("errors", { replicas, found });
  context.figure(
    lineFigure({
      name: "error",
      title: "Lowest test error of the center",
      caption: "In percent, mean of the seeds with its interval.",
      x: { title: "replicas p", log: true },
      y: { title: "test error, %" },
      series: found.map(({ method, errors }) => ({
        name: method,
        points: errors.map(({ values }, index) => {
          const { mean, low, high } = meanOf(values);
          return { x: replicas[index] ?? 0, y: mean, low, high };
        }),
      })),
    }),
  );
  context.table({
    title: "Lowest test error, %",
    columns: ["method", ...replicas.map((count) => `p = ${count}`)],
    rows: found.map(({ method, errors }) => [method, ...errors.map(({ values }) => meanOf(values).mean)]),
  });
  return found.map(({ method, errors }) =>
    findingOf(
      `${method.toLowerCase()}-more-replicas`,
      pairedDifference(errors.at(-1)?.values ?? [], errors[0]?.values ?? []),
      { kind: "below", border: 0 },
    ),
  );
}

async function errorsWith(
  context: ExperimentContext,
  method: (typeof METHODS)[number],
  replicas: number,
): Promise<{ readonly settings: object; readonly values: readonly number[] }> {
  const { stepsOfEach, evaluations } = BUDGET[context.isQuick ? "quick" : "full"];
  const steps = replicas * stepsOfEach;
  const common = {
    ...CIRCUMSTANCES,
    ...SOLVERS[method],
    replicas,
    movingRate: 0.9 / replicas,
    communicationPeriod: PERIOD,
    steps,
    evaluateEverySamples: (steps * 32) / evaluations,
  };
  const { best } = await tune(context, {
    points: gridOf({ learningRate: context.isQuick ? LEARNING_RATES[method].slice(1, 2) : LEARNING_RATES[method] }),
    scenarioOf: (settings, seed) => ({ ...common, ...settings, seed }),
    scoreOf: lowestErrorPercent,
  });
  const reports = await Promise.all(context.seeds.map((seed) => context.pool.simulate({ ...common, ...best, seed })));
  return { settings: best, values: reports.map(lowestErrorPercent) };
}
