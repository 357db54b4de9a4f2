/** The paper's fourth claim: asynchronous training with large batches keeps the accuracy, with warm-up and LARS. */

import type { Scenario } from "../../simulate/scenario.ts";
import { findingOf } from "../findings.ts";
import type { Experiment, ExperimentContext, Finding } from "../paper.ts";
import { barFigure } from "../plots.ts";
import { SMALL_MLP } from "../small_mlp.ts";
import { meanOf, pairedDifference } from "../statistics.ts";
import { gridOf, tune } from "../tuning.ts";

const TRAIN_IMAGES = 60_000;
const EPOCHS = { quick: 1, full: 30 } as const;
const REPLICAS = 8;
const BATCH = 512;
const SMALL_BATCH = 64;
const WARM_UP_EPOCHS = { quick: 0.25, full: 5 } as const;
const POINTS = 0.3;

type Recipe = "batch 64" | "4,096, plain" | "4,096, warm-up and LARS";

interface Outcome {
  readonly recipe: Recipe;
  readonly settings: Scenario;
  readonly accuracies: readonly number[];
}

export const LARGE_BATCH: Experiment = {
  name: "large-batch",
  title: "A total batch of 4,096, asynchronously",
  method: `The MLP on all of MNIST for ${EPOCHS.full} epochs: one replica with batch ${SMALL_BATCH} (a sequential run with momentum), against ${REPLICAS} ea-wild replicas with batch ${BATCH} each, tau = 1, momentum 0.9 of the replica, once as they are and once with a warm-up over ${WARM_UP_EPOCHS.full} epochs and LARS. All rates fall along half a cosine. Each recipe's learning rate is the better of two on the tuning seed; a reduced run does ${EPOCHS.quick} epoch. The accuracy is that of the center at the end on all 10,000 test images.`,
  claims: [
    {
      id: "large-batch",
      statement: `Asynchronous training at a total batch of 4,096 with warm-up and LARS is within ${POINTS} points of batch ${SMALL_BATCH} after equal epochs`,
      paperValue: "keeps the accuracy",
      unit: "points less",
    },
    {
      id: "large-batch-recipe",
      statement: "Warm-up and LARS give the large batch a higher accuracy than it has without them",
      paperValue: "higher",
      unit: "points more",
    },
  ],
  run: compareBatches,
};

async function compareBatches(context: ExperimentContext): Promise<readonly Finding[]> {
  const outcomes = await Promise.all(
    RECIPES.map(([recipe, scenario, rates]) => outcomeOf(context, recipe, scenario, rates)),
  );
  context.record("outcomes", outcomes);
  const accuracyOf = (recipe: Recipe): number[] =>
    outcomes.flatMap((outcome) => (outcome.recipe === recipe ? outcome.accuracies.map((share) => 100 * share) : []));
  const rows = outcomes.map(({ recipe, settings }) => ({ recipe, settings, accuracy: meanOf(accuracyOf(recipe)) }));
  context.figure(
    barFigure({
      name: "accuracy",
      title: "Test error after equal epochs",
      caption: "In percent of all test images, mean of the seeds with its interval.",
      y: { title: "test error, %" },
      bars: rows.map(({ recipe, accuracy: { mean, low, high } }) => ({
        name: recipe,
        value: 100 - mean,
        low: 100 - high,
        high: 100 - low,
      })),
    }),
  );
  context.table({
    title: "The recipes",
    columns: ["recipe", "learning rate chosen", "accuracy, %", "interval"],
    rows: rows.map(({ recipe, settings, accuracy: { mean, low, high } }) => [
      recipe,
      settings.learningRate ?? 0,
      mean.toFixed(2),
      `${low.toFixed(2)} to ${high.toFixed(2)}`,
    ]),
  });
  const withAll = accuracyOf("4,096, warm-up and LARS");
  return [
    findingOf("large-batch", pairedDifference(accuracyOf("batch 64"), withAll), { kind: "below", border: POINTS }),
    findingOf("large-batch-recipe", pairedDifference(withAll, accuracyOf("4,096, plain")), {
      kind: "above",
      border: 0,
    }),
  ];
}

const RECIPES: readonly (readonly [Recipe, (isQuick: boolean) => Scenario, readonly number[]])[] = [
  ["batch 64", small, [0.03, 0.06]],
  ["4,096, plain", (isQuick) => large(isQuick, false), [0.1, 0.2]],
  ["4,096, warm-up and LARS", (isQuick) => ({ ...large(isQuick, true), optimizer: "lars" }), [20, 35]],
];

function small(isQuick: boolean): Scenario {
  return {
    ...common(isQuick),
    solver: "sync-sgd",
    replicas: 1,
    batch: SMALL_BATCH,
    schedule: { kind: "cosine", steps: stepsWith(SMALL_BATCH, isQuick), floor: 0 },
  };
}

function large(isQuick: boolean, isWarmedUp: boolean): Scenario {
  const steps = stepsWith(BATCH, isQuick);
  const warmUp = isWarmedUp ? Math.round((steps / EPOCHS[key(isQuick)]) * WARM_UP_EPOCHS[key(isQuick)]) : 0;
  return {
    ...common(isQuick),
    solver: "ea-wild",
    elasticRate: 0.9,
    replicas: REPLICAS,
    batch: BATCH,
    warmUp,
    schedule: { kind: "cosine", steps: steps - warmUp, floor: 0 },
  };
}

function common(isQuick: boolean): Scenario {
  const samples = TRAIN_IMAGES * EPOCHS[key(isQuick)];
  return {
    model: SMALL_MLP,
    communicationPeriod: 1,
    momentum: 0.9,
    stepSeconds: 0.01,
    stepTimes: { kind: "lognormal", sigma: 0.3 },
    applySeconds: 0.0005,
    samples,
    evaluateEverySamples: samples,
    testImages: 10_000,
  };
}

function stepsWith(batch: number, isQuick: boolean): number {
  return Math.round((TRAIN_IMAGES * EPOCHS[key(isQuick)]) / batch);
}

function key(isQuick: boolean): "quick" | "full" {
  return isQuick ? "quick" : "full";
}

async function outcomeOf(
  context: ExperimentContext,
  recipe: Recipe,
  scenarioOf: (isQuick: boolean) => Scenario,
  learningRate: readonly number[],
): Promise<Outcome> {
  const scenario = scenarioOf(context.isQuick);
  const { best } = await tune(context, {
    points: gridOf({ learningRate }),
    scenarioOf: (settings, seed) => ({ ...scenario, ...settings, seed }),
    scoreOf: ({ accuracy }) => 1 - (accuracy ?? 0),
  });
  const reports = await Promise.all(context.seeds.map((seed) => context.pool.simulate({ ...scenario, ...best, seed })));
  return { recipe, settings: best, accuracies: reports.map(({ accuracy }) => accuracy ?? 0) };
}
