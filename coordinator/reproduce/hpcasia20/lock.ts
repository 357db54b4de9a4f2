/**
 * What the lock costs: ea-wild against its twins, which differ in nothing but how the center is written: one at a time, or with
 * compare-and-swap. The races on real threads are in the reproduction of Hogwild!.
 */

import type { Scenario } from "../../simulate/scenario.ts";
import { worstOf, findingOf } from "../findings.ts";
import type { Experiment, ExperimentContext, Finding } from "../paper.ts";
import { lineFigure } from "../plots.ts";
import { meanOf, pairedDifference, pairedRatio } from "../statistics.ts";
import { secondsOf, TARGETS, targetsText } from "../races.ts";
import { VOLUNTEERS } from "./circumstances.ts";

const REPLICAS = 16;
const STEP_SECONDS = 0.01;

/** Contention as it would be if nothing but the local step took time; lower where replicas wait for their answers. */
const BUDGET = {
  quick: { waiting: [0.15, 2.4], trainingOn: [], samples: 80_000 },
  full: { waiting: [0.1, 0.4, 0.8, 1.6, 3.2], trainingOn: [0.4, 1.6, 3.2], samples: 110_000 },
} as const;

type Mode = "waiting" | "trainingOn";

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
  readonly lockWaitedSeconds: readonly number[];
  readonly staleness: readonly number[];
}

interface Load {
  readonly mode: Mode;
  /** Lock-hold seconds times the pushes that arrive each second, as they arrive where nobody waits for a lock. */
  readonly contention: number;
  readonly applySeconds: number;
  readonly twins: readonly Twin[];
}

export const LOCK: Experiment = {
  name: "lock",
  title: "The lock: locked, compare-and-swap and lock-free",
  method: `ea-wild, ${REPLICAS} replicas of the MLP, tau = 1, no link to wait for, so that pushes arrive as fast as replicas compute; the time of an apply is varied, and a locked apply holds the lock for all of it. Replicas wait for their answer before the next step, as the paper's predecessor has it; in a second series they train on meanwhile, as this project's do. Two lock-free applies may be under way at once, in four ranges between which others come. *Contention* is lock-hold seconds times arrivals per second, measured with the lock-free twin. All twins have the same settings and seeds and learn from ${BUDGET.full.samples.toLocaleString("en")} samples; time is virtual, the geometric mean of the times to ${targetsText(TARGETS)}.`,
  claims: [
    {
      id: "lock-free-faster",
      statement: `ea-wild is faster to the accuracy than its locked twin wherever contention exceeds ${CONTENDED}`,
      paperValue: "faster: no lock to wait for",
      unit: "of the locked twin's time (the least advantage)",
    },
    {
      id: "lock-free-faster-most",
      statement: "ea-wild is faster to the accuracy than its locked twin where the lock is contended most",
      paperValue: "faster",
      unit: "of the locked twin's time",
    },
    {
      id: "lock-free-updates",
      statement: `Lock-free, the center is updated more often per second wherever contention exceeds ${CONTENDED}`,
      paperValue: "more often",
      unit: "times the locked twin's updates per second (the least advantage)",
    },
    {
      id: "lock-free-training-on",
      statement: "It is also faster where replicas train on meanwhile and the lock is contended most",
      paperValue: "-",
      unit: "of the locked twin's time",
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
  const { waiting, trainingOn } = BUDGET[context.isQuick ? "quick" : "full"];
  const [all, others] = await Promise.all([
    Promise.all(waiting.map((share) => loadOf(context, "waiting", share))),
    Promise.all(trainingOn.map((share) => loadOf(context, "trainingOn", share))),
  ]);
  context.record("loads", [...all, ...others]);
  draw(context, all, "Replicas that wait for their answers");
  if (others.length > 0) draw(context, others, "Replicas that train on meanwhile");
  const contended = all.filter(({ contention }) => contention > CONTENDED);
  const most = contended.at(-1);
  if (!most) throw new Error("invariant violation: no contended load was tried");
  const last = others.at(-1);
  return [
    worstOf(
      "lock-free-faster",
      contended.map((load) => fasterFinding("lock-free-faster", load)),
    ),
    fasterFinding("lock-free-faster-most", most),
    worstOf(
      "lock-free-updates",
      contended.map(({ contention, twins }) =>
        findingOf(
          "lock-free-updates",
          pairedRatio(twinOf(twins, "lock-free").updatesPerSecond, twinOf(twins, "locked").updatesPerSecond),
          { kind: "above", border: 1 },
          `Shown is contention ${contention.toFixed(2)}.`,
        ),
      ),
    ),
    ...(last ? [fasterFinding("lock-free-training-on", last)] : []),
    worstOf(
      "lock-free-accuracy",
      all.map(({ contention, twins }) =>
        findingOf(
          "lock-free-accuracy",
          pairedDifference(points(twinOf(twins, "lock-free")), points(twinOf(twins, "locked"))),
          { kind: "within", low: -POINTS, high: POINTS },
          `Shown is contention ${contention.toFixed(2)}.`,
        ),
      ),
    ),
  ];
}

function fasterFinding(id: string, { contention, twins }: Load): Finding {
  return findingOf(
    id,
    pairedRatio(twinOf(twins, "lock-free").secondsToTarget, twinOf(twins, "locked").secondsToTarget),
    { kind: "below", border: 1 },
    `Shown is contention ${contention.toFixed(2)}.`,
  );
}

async function loadOf(context: ExperimentContext, mode: Mode, share: number): Promise<Load> {
  const applySeconds = (share * STEP_SECONDS) / REPLICAS;
  const twins = await Promise.all(APPLIERS.map((applier) => twinWith(context, mode, applySeconds, applier)));
  const arrivals = meanOf(twinOf(twins, "lock-free").updatesPerSecond).mean;
  return { mode, contention: arrivals * applySeconds, applySeconds, twins };
}

async function twinWith(context: ExperimentContext, mode: Mode, applySeconds: number, applier: Applier): Promise<Twin> {
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
    overlap: mode === "trainingOn",
    targets: TARGETS,
    samples: BUDGET[context.isQuick ? "quick" : "full"].samples,
  };
  const reports = await Promise.all(context.seeds.map((seed) => context.pool.simulate({ ...scenario, seed })));
  return {
    applier,
    secondsToTarget: reports.map((report) => secondsOf(report) ?? report.virtualSeconds),
    accuracies: reports.map(({ accuracy }) => accuracy ?? 0),
    updatesPerSecond: reports.map(({ centerSteps, virtualSeconds }) => centerSteps / virtualSeconds),
    lockWaitedSeconds: reports.map(({ lock }) => lock.waitedSeconds),
    staleness: reports.map(({ staleness }) => staleness.mean),
  };
}

function twinOf(twins: readonly Twin[], applier: Applier): Twin {
  const twin = twins.find((one) => one.applier === applier);
  if (!twin) throw new Error(`invariant violation: no twin is ${applier}`);
  return twin;
}

function points({ accuracies }: Twin): number[] {
  return accuracies.map((accuracy) => 100 * accuracy);
}

function draw(context: ExperimentContext, loads: readonly Load[], title: string): void {
  context.figure(
    lineFigure({
      name: `time-${loads[0]?.mode === "waiting" ? "waiting" : "training-on"}`,
      title,
      caption: "Virtual seconds to accuracy over contention, mean of the seeds with its interval.",
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
    title,
    columns: [
      "contention",
      "applier",
      "virtual s to target",
      "updates per s",
      "s waited for the lock",
      "staleness",
      "accuracy at the end, %",
    ],
    rows: loads.flatMap(({ contention, twins }) =>
      twins.map((twin) => [
        contention,
        twin.applier,
        meanOf(twin.secondsToTarget).mean,
        meanOf(twin.updatesPerSecond).mean,
        meanOf(twin.lockWaitedSeconds).mean,
        meanOf(twin.staleness).mean,
        meanOf(points(twin)).mean,
      ]),
    ),
  });
}
