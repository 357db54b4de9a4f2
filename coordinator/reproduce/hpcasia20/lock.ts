/**
 * What the lock costs: ea-wild against its twins, which differ in nothing but how the center is written: one at a time, or with
 * compare-and-swap. The races on real threads are in the reproduction of Hogwild!.
 */

import type { SimulationReport } from "../../simulate/report.ts";
import type { Scenario } from "../../simulate/scenario.ts";
import { worstOf, findingOf } from "../findings.ts";
import type { Experiment, ExperimentContext, Finding } from "../paper.ts";
import { lineFigure } from "../plots.ts";
import { meanOf, pairedDifference, pairedRatio } from "../statistics.ts";
import { VOLUNTEERS } from "./circumstances.ts";

const REPLICAS = 16;
const STEP_SECONDS = 0.01;
const TARGET = 0.94;

const BUDGET = {
  quick: { holdShares: [0.15, 1.2], samples: 60_000 },
  full: { holdShares: [0.05, 0.15, 0.3, 0.6, 1.2, 2.4], samples: 90_000 },
} as const;

const APPLIERS = ["locked", "compare-and-swap", "lock-free"] as const;
type Applier = (typeof APPLIERS)[number];

/** Where the paper's lock matters, by the project's own border. */
const CONTENDED = 0.3;

/** Accuracies count as equal within so many points. */
const POINTS = 0.3;

interface Twin {
  readonly applier: Applier;
  readonly secondsToTarget: readonly number[];
  readonly accuracies: readonly number[];
  readonly updatesPerSecond: readonly number[];
  readonly overlapped: readonly number[];
  readonly lockUtilisation: readonly number[];
}

interface Load {
  /** Lock-hold seconds times the pushes that arrive each second, as they arrive where nobody waits for a lock. */
  readonly contention: number;
  readonly applySeconds: number;
  readonly twins: readonly Twin[];
}

export const LOCK: Experiment = {
  name: "lock",
  title: "The lock: locked, compare-and-swap and lock-free",
  method: `ea-wild, ${REPLICAS} replicas of the MLP, tau = 1, no link to wait for, so that pushes arrive as fast as replicas compute; the time of an apply is varied, and a locked apply holds the lock for all of it. Two lock-free applies may be under way at once, in four ranges between which others come. *Contention* is lock-hold seconds times arrivals per second, measured with the lock-free twin. All twins have the same settings and seeds and learn from ${BUDGET.full.samples.toLocaleString("en")} samples; time is virtual, to ${100 * TARGET} %.`,
  claims: [
    {
      id: "lock-free-faster",
      statement: `ea-wild is faster to the accuracy than its locked twin wherever contention exceeds ${CONTENDED}`,
      paperValue: "faster: no lock to wait for",
      unit: "of the locked twin's time (the least advantage)",
    },
    {
      id: "lock-free-updates",
      statement: "Lock-free, the center is updated more often per second where the lock is contended most",
      paperValue: "more often",
      unit: "times the locked twin's updates per second",
    },
    {
      id: "lock-free-accuracy",
      statement: `After equal samples the lock-free center is as accurate as the locked one, within ${POINTS} points`,
      paperValue: "no loss stated",
      unit: "points (the largest difference)",
    },
  ],
  run: ablate,
};

async function ablate(context: ExperimentContext): Promise<readonly Finding[]> {
  const { holdShares } = BUDGET[context.isQuick ? "quick" : "full"];
  const loads = await Promise.all(holdShares.map((share) => loadOf(context, share)));
  context.record("loads", loads);
  draw(context, loads);
  const contended = loads.filter(({ contention }) => contention > CONTENDED);
  const most = contended.at(-1);
  if (!most) throw new Error("invariant violation: no contended load was tried");
  return [
    worstOf(
      "lock-free-faster",
      contended.map(({ contention, twins }) =>
        findingOf(
          "",
          pairedRatio(twinOf(twins, "lock-free").secondsToTarget, twinOf(twins, "locked").secondsToTarget),
          { kind: "below", border: 1 },
          `Shown is contention ${contention.toFixed(2)}.`,
        ),
      ),
    ),
    findingOf(
      "lock-free-updates",
      pairedRatio(twinOf(most.twins, "lock-free").updatesPerSecond, twinOf(most.twins, "locked").updatesPerSecond),
      { kind: "above", border: 1 },
      `At contention ${most.contention.toFixed(2)}.`,
    ),
    worstOf(
      "lock-free-accuracy",
      loads.map(({ contention, twins }) =>
        findingOf(
          "",
          pairedDifference(points(twinOf(twins, "lock-free")), points(twinOf(twins, "locked"))),
          { kind: "within", low: -POINTS, high: POINTS },
          `Shown is contention ${contention.toFixed(2)}.`,
        ),
      ),
    ),
  ];
}

async function loadOf(context: ExperimentContext, holdShare: number): Promise<Load> {
  const applySeconds = (holdShare * STEP_SECONDS) / REPLICAS;
  const twins = await Promise.all(APPLIERS.map((applier) => twinWith(context, applySeconds, applier)));
  const arrivals = meanOf(twinOf(twins, "lock-free").updatesPerSecond).mean;
  return { contention: arrivals * applySeconds, applySeconds, twins };
}

async function twinWith(context: ExperimentContext, applySeconds: number, applier: Applier): Promise<Twin> {
  const scenario: Scenario = {
    ...VOLUNTEERS,
    solver: "ea-wild",
    momentum: 0,
    learningRate: 0.2,
    elasticRate: 0.9,
    replicas: REPLICAS,
    stepSeconds: STEP_SECONDS,
    latencySeconds: 0,
    upBytesPerSecond: null,
    downBytesPerSecond: null,
    applySeconds,
    applier,
    targets: [TARGET],
    samples: BUDGET[context.isQuick ? "quick" : "full"].samples,
  };
  const reports = await Promise.all(context.seeds.map((seed) => context.pool.simulate({ ...scenario, seed })));
  return {
    applier,
    secondsToTarget: reports.map((report) => report.targets[0]?.virtualSeconds ?? report.virtualSeconds),
    accuracies: reports.map(({ accuracy }) => accuracy ?? 0),
    updatesPerSecond: reports.map(({ centerSteps, virtualSeconds }) => centerSteps / virtualSeconds),
    overlapped: reports.map(overlappedShare),
    lockUtilisation: reports.map(({ lock }) => lock.utilisation),
  };
}

function overlappedShare({ overlappedApplies, centerSteps }: SimulationReport): number {
  return overlappedApplies / Math.max(1, centerSteps);
}

function twinOf(twins: readonly Twin[], applier: Applier): Twin {
  const twin = twins.find((one) => one.applier === applier);
  if (!twin) throw new Error(`invariant violation: no twin is ${applier}`);
  return twin;
}

function points({ accuracies }: Twin): number[] {
  return accuracies.map((accuracy) => 100 * accuracy);
}

function draw(context: ExperimentContext, loads: readonly Load[]): void {
  context.figure(
    lineFigure({
      name: "time",
      title: `Virtual seconds to ${100 * TARGET} %`,
      caption: "The twins over contention, mean of the seeds with its interval.",
      x: { title: "contention: lock-hold seconds × arrivals per second", log: true },
      y: { title: "virtual s", log: true },
      series: APPLIERS.map((applier) => ({
        name: applier,
        points: loads.map(({ contention, twins }) => {
          const { mean, low, high } = meanOf(twinOf(twins, applier).secondsToTarget);
          return { x: contention, y: mean, low, high };
        }),
      })),
    }),
  );
  context.table({
    title: "The twins",
    columns: [
      "contention",
      "applier",
      "virtual s to target",
      "updates per s",
      "applies overlapped",
      "lock in use",
      "accuracy at the end, %",
    ],
    rows: loads.flatMap(({ contention, twins }) =>
      twins.map((twin) => [
        contention,
        twin.applier,
        meanOf(twin.secondsToTarget).mean,
        meanOf(twin.updatesPerSecond).mean,
        meanOf(twin.overlapped).mean,
        meanOf(twin.lockUtilisation).mean,
        meanOf(points(twin)).mean,
      ]),
    ),
  });
}
