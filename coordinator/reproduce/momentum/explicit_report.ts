/** Figures and tables of the search for the best explicit momentum: as figures 3, 4 and 8 of the paper. */

import type { ExperimentContext } from "../paper.ts";
import { lineFigure, type Point } from "../plots.ts";
import { meanOf, pairedRatio } from "../statistics.ts";
import {
  atUsualMomentum,
  bestMomentum,
  chosenElsewhere,
  isNotNegative,
  type AtReplicas,
  type Searches,
} from "./best_momentum.ts";
import { withInterval } from "./estimates.ts";
import { EVALUATED } from "./explicit_momentum.ts";

export function reportBest(context: ExperimentContext, all: readonly AtReplicas[], targetLoss: number): void {
  bestReport(context, all);
  penaltyReport(context, all);
  curveReport(context, all, targetLoss);
}

function bestReport(context: ExperimentContext, all: readonly AtReplicas[]): void {
  context.figure(
    lineFigure({
      name: "best",
      title: "Best explicit momentum against the number of replicas",
      caption: "Mean of the seeds with its interval; fig. 8 of the paper (a convolutional net on CIFAR-10) beside it.",
      x: { title: "replicas M", log: true },
      y: { title: "best momentum" },
      series: [
        {
          name: "learning rate tuned",
          points: all.flatMap((at) => bestPoint(at.replicas, at.tuned)),
        },
        { name: "one learning rate", points: all.flatMap((at) => bestPoint(at.replicas, at.fixed)) },
        { name: "paper, fig. 8", points: PAPER_BEST.map(([x, y]) => ({ x, y })) },
      ],
      rules: [{ y: 0, label: "no momentum" }],
    }),
  );
  const momenta = all[0]?.tuned[0]?.map(({ momentum }) => momentum) ?? [];
  context.table({
    title: "Updates to the target by momentum, best learning rate of each (geometric mean of the seeds that arrive)",
    columns: ["M", ...momenta.map(String)],
    rows: all.map(({ replicas, tuned }) => [replicas, ...momenta.map((_, index) => typical(tuned, index))]),
  });
  context.table({
    title: "The same at the one learning rate for all",
    columns: ["M", ...momenta.map(String)],
    rows: all.map(({ replicas, fixed }) => [replicas, ...momenta.map((_, index) => typical(fixed, index))]),
  });
}

/** None where no seed arrived. */
function bestPoint(replicas: number, searches: Searches): Point[] {
  const best = searches.map(bestMomentum).filter((one) => one !== undefined);
  if (best.length === 0) return [];
  const { mean, low, high } = meanOf(best);
  return [{ x: replicas, y: mean, low, high }];
}

const PAPER_BEST = [
  [1, 0.675],
  [2, 0.45],
  [4, 0.225],
  [8, 0],
  [16, -0.675],
] as const;

function typical(searches: Searches, index: number): string {
  const updates = searches.map((rows) => rows[index]?.updates ?? null).filter((one) => one !== null);
  if (updates.length === 0) return "–";
  const mean = Math.exp(updates.reduce((sum, one) => sum + Math.log(one), 0) / updates.length);
  const missing = searches.length - updates.length;
  return `${Math.round(mean)}${missing > 0 ? ` (${missing} missed)` : ""}`;
}

/** As the paper's figures 4 and 8: over the best of one replica. */
function penaltyReport(context: ExperimentContext, all: readonly AtReplicas[]): void {
  const alone = all[0];
  if (!alone) return;
  const best = chosenElsewhere(alone.tuned, () => true);
  const ratio = (updates: readonly number[]): string => withInterval(pairedRatio(updates, best));
  context.table({
    title: "Statistical penalty: updates to the target over those of one replica with its best momentum",
    columns: [
      "M",
      "momentum 0.9",
      "best that is not negative",
      "best of all",
      "paper: 0.9, not negative, all (fig. 4, 8)",
    ],
    rows: all.map(({ replicas, tuned }) => [
      replicas,
      ratio(atUsualMomentum(tuned)),
      ratio(chosenElsewhere(tuned, isNotNegative)),
      ratio(chosenElsewhere(tuned, () => true)),
      PAPER_PENALTY.get(replicas) ?? "",
    ]),
  });
}

const PAPER_PENALTY: ReadonlyMap<number, string> = new Map([
  [1, "2, 1, 1"],
  [2, "2, 1, 1"],
  [4, "2, 2, 2"],
  [8, "3, 2, 2"],
  [16, "16, 6, 3"],
]);

function curveReport(context: ExperimentContext, all: readonly AtReplicas[], targetLoss: number): void {
  const rows = all.at(-1)?.tuned[0] ?? [];
  const drawn = rows.filter((_, index) => index % 3 === 0);
  context.figure(
    lineFigure({
      name: "losses",
      title: `Held-out loss of ${all.at(-1)?.replicas ?? 0} replicas by explicit momentum`,
      caption: `The first seed's smoothed loss at the best learning rate of each momentum, until the target of ${targetLoss}.`,
      x: { title: "updates" },
      y: { title: "held-out loss", log: true },
      series: drawn.map(({ momentum, learningRate, losses }) => ({
        name: `momentum ${momentum}, rate ${(learningRate ?? 0).toFixed(3)}`,
        points: losses.map((y, look) => ({ x: look * EVALUATED, y })),
      })),
      rules: [{ y: targetLoss, label: "target" }],
    }),
  );
}
