/** Theorem 5's premise: under memoryless work times staleness is geometric. Orders of turns alone, without gradients. */

import { findingOf, worstOf } from "../findings.ts";
import type { Experiment, ExperimentContext, Finding } from "../paper.ts";
import { lineFigure } from "../plots.ts";
import { meanOf, type Estimate } from "../statistics.ts";
import { withInterval } from "./estimates.ts";
import { stalenessUnder, type StalenessLaw } from "./staleness_law.ts";
import type { TurnOrder } from "./turns.ts";

const REPLICAS = [2, 4, 8, 16] as const;
const ORDERS = ["memoryless", "exponential", "lognormal", "uniform", "permutation", "round-robin"] as const;
const PUSHES = 50_000;
/** Sequences are cheap: more than the seeds of training. */
const SEQUENCES = 20;
/** Relative. */
const TOLERANCE = 0.05;
/** Drawn: of so many replicas, up to this staleness. */
const DRAWN = { replicas: 8, most: 30 } as const;

export const STALENESS: Experiment = {
  name: "staleness",
  title: "How stale pushes are under each order of turns",
  method: `M replicas take turns without gradients: ${PUSHES.toLocaleString("en")} pushes after the common start is forgotten, ${SEQUENCES} times. *memoryless* draws each turn uniformly; *exponential*, *lognormal* (sigma 1) and *uniform* (0.5 to 1.5) draw work times and keep a virtual clock; *permutation* gives everyone a turn in each sweep, in an order drawn anew, and *round-robin* always in the same.`,
  claims: [
    {
      id: "staleness-zero",
      statement:
        "Of memoryless replicas' pushes a share of 1/M meets the center that it was computed at (M = 2, 4, 8, 16)",
      paperValue: "1",
      unit: "times 1/M",
    },
    {
      id: "staleness-variance",
      statement: "Their staleness has the variance of a geometric law, M (M - 1)",
      paperValue: "1",
      unit: "times M (M - 1)",
    },
  ],
  run: async (context) => measureStaleness(context),
};

interface Measured {
  readonly order: TurnOrder;
  readonly replicas: number;
  readonly laws: readonly StalenessLaw[];
}

function measureStaleness(context: ExperimentContext): readonly Finding[] {
  const all = ORDERS.flatMap((order) =>
    REPLICAS.map((replicas): Measured => {
      const laws = Array.from({ length: SEQUENCES }, (_, sequence) =>
        stalenessUnder(order, replicas, PUSHES, sequence + 1),
      );
      return { order, replicas, laws };
    }),
  );
  report(context, all);
  const memoryless = all.filter(({ order }) => order === "memoryless");
  const within = { kind: "within", low: 1 - TOLERANCE, high: 1 + TOLERANCE } as const;
  const judged = (id: string, ratio: (measured: Measured) => Estimate): Finding =>
    worstOf(
      id,
      memoryless.map((measured) => findingOf(id, ratio(measured), within, `Shown for M = ${measured.replicas}.`)),
      `Reproduced within ${100 * TOLERANCE} %.`,
    );
  return [
    judged("staleness-zero", ({ laws, replicas }) => meanOf(laws.map(({ shares }) => (shares[0] ?? 0) * replicas))),
    judged("staleness-variance", ({ laws, replicas }) =>
      meanOf(laws.map(({ variance }) => variance / (replicas * (replicas - 1)))),
    ),
  ];
}

function report(context: ExperimentContext, all: readonly Measured[]): void {
  context.table({
    title: "Staleness by order of turns",
    columns: ["order", "M", "mean", "variance", "M (M - 1)", "share of 0", "1/M"],
    rows: all.map(({ order, replicas, laws }) => [
      order,
      replicas,
      withInterval(meanOf(laws.map(({ mean }) => mean))),
      withInterval(meanOf(laws.map(({ variance }) => variance))),
      replicas * (replicas - 1),
      withInterval(meanOf(laws.map(({ shares }) => shares[0] ?? 0))),
      1 / replicas,
    ]),
  });
  const drawn = all.filter(({ replicas, order }) => replicas === DRAWN.replicas && order !== "exponential");
  const places = Array.from({ length: DRAWN.most + 1 }, (_, staleness) => staleness);
  context.figure(
    lineFigure({
      name: "staleness",
      title: `Staleness of ${DRAWN.replicas} replicas`,
      caption: "Share of pushes of each staleness. The memoryless replicas' line lies on the geometric law's.",
      x: { title: "staleness" },
      y: { title: "share of pushes", log: true },
      series: [
        {
          name: "geometric law",
          points: places.map((x) => ({ x, y: (1 - 1 / DRAWN.replicas) ** x / DRAWN.replicas })),
        },
        ...drawn.map(({ order, laws }) => ({
          name: order,
          points: places
            .map((x) => ({ x, y: meanOf(laws.map(({ shares }) => shares[x] ?? 0)).mean }))
            .filter(({ y }) => y > 1e-5),
        })),
      ],
    }),
  );
  context.record(
    "staleness",
    all.map(({ order, replicas, laws }) => ({
      order,
      replicas,
      laws: laws.map(({ mean, variance, shares }) => ({ mean, variance, shares: shares.slice(0, 4 * replicas) })),
    })),
  );
}
