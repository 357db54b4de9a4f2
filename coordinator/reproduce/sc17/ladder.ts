/**
 * SC17 §6, from Original EASGD to Sync EASGD3: what each change of the communication is worth, with the costs of a message as
 * they are on this machine.
 */

import type { SimulationReport } from "../../simulate/report.ts";
import type { Scenario } from "../../simulate/scenario.ts";
import { MODELS } from "../../../shared/model/catalogue.ts";
import { layoutOf } from "../../../shared/model/layout.ts";
import { findingOf } from "../findings.ts";
import type { Experiment, ExperimentContext, Finding } from "../paper.ts";
import { barFigure } from "../plots.ts";
import { meanOf, pairedRatio } from "../statistics.ts";
import { startMessageServer } from "./message_server.ts";
import type { MessageTimes, MessageTimesTask } from "./message_times.ts";

const REPLICAS = 8;
const SWEEPS = { quick: 200, full: 1000 };
const EXCHANGES = { quick: 40, full: 200 };

/** The paper's, of Original EASGD on eight GPUs: what one local step takes is chosen so that this is met. */
const FIRST_COMMUNICATION_SHARE = 0.87;

/** A factor of the ladder counts as met within a quarter. */
const FACTOR = 1.25;

const RUNGS = [
  { id: "tree", name: "tree", from: "the star, one at a time", to: "a tree with a barrier", paper: 3.7 },
  { id: "beside", name: "center beside a replica", from: "a tree", to: "the center beside a replica", paper: 1.3 },
  { id: "overlap", name: "overlap", from: "waiting", to: "overlap with the local step", paper: 1.1 },
] as const;

/** 1 / (0.13 + 0.87 * 3 / 8). */
const TREE_NOTE =
  "Where communication is 87 % of the time, going from 8 messages to log2(8) hops alone cannot give more than 2.2x: the paper's 3.7x must hold something besides the tree.";

const NAMES = ["star, one at a time", ...RUNGS.map(({ name }) => name)];

interface Climb {
  /** One way, of LeNet's parameters. */
  readonly messageSeconds: number;
  readonly stepSeconds: number;
  /** Of one step of all replicas. */
  readonly secondsPerSweep: readonly number[];
  readonly communicationShares: readonly number[];
}

export const LADDER: Experiment = {
  name: "ladder",
  title: "The ladder from Original EASGD to Sync EASGD3",
  method: `Scheduling only, ${REPLICAS} replicas of LeNet, tau = 1. A message costs a + b n, with a and b from exchanges over a real loopback WebSocket (a connection for each seed); step times are uniform within 10 % around a mean that makes communication 87 % of Original EASGD's time, as in the paper. The rungs: round robin over one shared link; reduce and broadcast in a tree with the center as its root, log2(P) + 1 hops; the center on a replica's machine, log2(P) hops; exchange and local step at once. The communication share is the time in which replicas do no local step.`,
  claims: [
    ...RUNGS.map(({ id, from, to, paper }) => ({
      id: `ladder-${id}`,
      statement: `From ${from} to ${to}: so many times faster`,
      paperValue: `${paper}x`,
      unit: "times faster",
    })),
    { id: "ladder-total", statement: "All changes together", paperValue: "5.3x", unit: "times faster" },
    {
      id: "ladder-share",
      statement: "Communication's share of the time falls from 87 % to 14 %",
      paperValue: "0.14",
      unit: "of the time at the end",
    },
    {
      id: "ladder-order",
      statement: "Each rung is faster than the one before",
      paperValue: "3.7x, 1.3x, 1.1x",
      unit: "times faster, the smallest of the three",
    },
  ],
  run: climbLadder,
};

async function climbLadder(context: ExperimentContext): Promise<readonly Finding[]> {
  const times = await messageTimes(context);
  const climbs = await Promise.all(times.map((time, index) => climb(context, time, context.seeds[index] ?? 0)));
  context.record("climbs", climbs);
  draw(context, climbs);
  const secondsAt = (rung: number): number[] =>
    climbs.map(({ secondsPerSweep }) => secondsPerSweep[rung] ?? Number.NaN);
  const around = (value: number): { kind: "within"; low: number; high: number } => {
    return { kind: "within", low: value / FACTOR, high: value * FACTOR };
  };
  const smallest = climbs.map(({ secondsPerSweep }) =>
    Math.min(...RUNGS.map((_, rung) => (secondsPerSweep[rung] ?? 0) / (secondsPerSweep[rung + 1] ?? 1))),
  );
  const last = RUNGS.length;
  return [
    ...RUNGS.map(({ id, paper }, rung) =>
      findingOf(
        `ladder-${id}`,
        pairedRatio(secondsAt(rung), secondsAt(rung + 1)),
        around(paper),
        id === "tree" ? TREE_NOTE : undefined,
      ),
    ),
    findingOf("ladder-total", pairedRatio(secondsAt(0), secondsAt(last)), around(5.3)),
    findingOf(
      "ladder-share",
      meanOf(climbs.map(({ communicationShares }) => communicationShares[last] ?? Number.NaN)),
      { kind: "within", low: 0.14 / FACTOR, high: 0.14 * FACTOR },
    ),
    findingOf("ladder-order", meanOf(smallest), { kind: "above", border: 1 }),
  ];
}

async function messageTimes(context: ExperimentContext): Promise<MessageTimes[]> {
  const server = await startMessageServer();
  const times: MessageTimes[] = [];
  try {
    for (const _ of context.seeds) {
      const task: MessageTimesTask = {
        url: server.url,
        tensorBytes: [modelBytes()],
        exchanges: context.isQuick ? EXCHANGES.quick : EXCHANGES.full,
      };
      times.push(await context.pool.run(new URL("./message_times.ts", import.meta.url), task));
    }
  } finally {
    await server.close();
  }
  return times;
}

async function climb(context: ExperimentContext, times: MessageTimes, seed: number): Promise<Climb> {
  const { packedSeconds, emptySeconds } = times;
  const bytes = modelBytes();
  const latencySeconds = emptySeconds / 2;
  const bytesPerSecond = bytes / Math.max(packedSeconds - emptySeconds, Number.EPSILON);
  const messageSeconds = latencySeconds + bytes / bytesPerSecond;
  const sweepSeconds = 2 * REPLICAS * messageSeconds;
  const stepSeconds = (sweepSeconds * (1 - FIRST_COMMUNICATION_SHARE)) / FIRST_COMMUNICATION_SHARE;
  const hops = Math.log2(REPLICAS);
  const common: Scenario = {
    model: "lenet",
    gradients: false,
    replicas: REPLICAS,
    communicationPeriod: 1,
    stepSeconds,
    stepTimes: { kind: "uniform", spread: 0.1 },
    payloadBytes: bytes,
    applySeconds: 0,
    accumulateSeconds: 0,
    centerSteps: context.isQuick ? SWEEPS.quick : SWEEPS.full,
    seed,
  };
  const link = (factor: number): Scenario => ({
    latencySeconds: latencySeconds * factor,
    upBytesPerSecond: bytesPerSecond / factor,
    downBytesPerSecond: bytesPerSecond / factor,
  });
  const tree = { solver: "sync-easgd", topology: "tree" } as const;
  const reports = await Promise.all(
    [
      {
        solver: "original-easgd",
        topology: "serial",
        ...link(1),
        centerSteps: REPLICAS * (common.centerSteps ?? 0),
      } as const,
      { ...tree, ...link((hops + 1) / hops), overlap: false },
      { ...tree, ...link(1), overlap: false },
      { ...tree, ...link(1), overlap: true },
    ].map((rung) => context.pool.simulate({ ...common, ...rung })),
  );
  return {
    messageSeconds,
    stepSeconds,
    secondsPerSweep: reports.map((report) => (report.virtualSeconds * REPLICAS) / report.localSteps),
    communicationShares: reports.map(communicationShare),
  };
}

function communicationShare({ replicas }: SimulationReport): number {
  return 1 - replicas.reduce((sum, { busyShare }) => sum + busyShare, 0) / replicas.length;
}

function modelBytes(): number {
  return 4 * layoutOf(MODELS.lenet).elements;
}

function draw(context: ExperimentContext, climbs: readonly Climb[]): void {
  const rows = NAMES.map((name, rung) => {
    const milliseconds = meanOf(climbs.map(({ secondsPerSweep }) => 1000 * (secondsPerSweep[rung] ?? 0)));
    const share = meanOf(climbs.map(({ communicationShares }) => communicationShares[rung] ?? 0));
    return { name, milliseconds, share };
  });
  context.figure(
    barFigure({
      name: "time",
      title: `One local step of each of ${REPLICAS} replicas, exchanges included`,
      caption: "Virtual milliseconds, mean over the measured connections with its interval.",
      y: { title: "virtual ms" },
      bars: rows.map(({ name, milliseconds: { mean, low, high } }) => ({ name, value: mean, low, high })),
    }),
  );
  context.table({
    title: "The rungs",
    columns: ["communication", "virtual ms of a sweep", "communication's share"],
    rows: rows.map(({ name, milliseconds, share }) => [name, milliseconds.mean, share.mean]),
  });
}
