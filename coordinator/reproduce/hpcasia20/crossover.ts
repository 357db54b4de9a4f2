/**
 * The paper's fifth claim: models that compute much for what they communicate favour synchronous solvers, those with a low ratio
 * the asynchronous one.
 */

import type { StepTimes } from "../../simulate/step_times.ts";
import { EA_WILD, SYNC_EASGD, SYNC_SGD } from "../contestants.ts";
import type { Experiment, ExperimentContext, Finding } from "../paper.ts";
import { lineFigure } from "../plots.ts";
import {
  RACE_COLUMNS,
  raceAll,
  raceRow,
  samplesFor,
  timeFinding,
  timeRatio,
  type Raced,
  TARGETS,
  targetsText,
} from "../races.ts";
import { VOLUNTEERS } from "./circumstances.ts";

const REPLICAS = 8;
const STEP_SECONDS = 0.01;
const PAYLOAD_BYTES = 4 * 50_890;

/** Seconds of a local step over seconds of an exchange. */
const RATIOS = { quick: [0.125, 8], full: [0.125, 0.5, 2, 8, 32] } as const;

const RIVALS = [SYNC_EASGD, SYNC_SGD];

interface Stop {
  readonly ratio: number;
  readonly own: Raced;
  readonly rivals: readonly Raced[];
}

interface Cluster {
  readonly stepTimes: StepTimes;
  readonly ratios: { readonly quick: readonly number[]; readonly full: readonly number[] };
}

/** Local steps that differ by chance: a barrier waits for the slowest each time. */
const UNEVEN: Cluster = { stepTimes: { kind: "lognormal", sigma: 0.3 }, ratios: RATIOS };

/** The paper's machines were alike: there is next to nobody to wait for. */
const HOMOGENEOUS: Cluster = {
  stepTimes: { kind: "uniform", spread: 0.02 },
  ratios: { quick: [32], full: [0.125, 2, 32] },
};

export const CROSSOVER = experimentOn(UNEVEN, {
  name: "crossover",
  title: "Asynchronous against synchronous over the ratio of computation to communication",
  idPrefix: "",
  where: "",
  about: "Step times are lognormal (sigma 0.3), as in the race.",
});

export const HOMOGENEOUS_CROSSOVER = experimentOn(HOMOGENEOUS, {
  name: "crossover-homogeneous",
  title: "The same where all replicas are equally fast",
  idPrefix: "homogeneous-",
  where: "Where replicas are equally fast: ",
  about: "Step times differ by 2 % at most.",
});

interface Wording {
  readonly name: string;
  readonly title: string;
  readonly idPrefix: string;
  readonly where: string;
  readonly about: string;
}

function experimentOn(cluster: Cluster, { name, title, idPrefix, where, about }: Wording): Experiment {
  return {
    name,
    title,
    method: `The network and the center of the race, ${REPLICAS} replicas, each with a link of its own whose bandwidth is chosen so that a local step takes ${cluster.ratios.full.join(", ")} times as long as an exchange. ${about} Every solver has the best of four settings at every ratio. Time is virtual, the geometric mean of the times until ${targetsText(TARGETS)} of 2,000 test images are right.`,
    claims: RIVALS.flatMap((rival) => [
      {
        id: `${idPrefix}low-ratio-${rival.name}`,
        statement: `${where}At the lowest ratio of computation to communication ea-wild is faster than ${rival.name}`,
        paperValue: "faster",
        unit: "of its time",
      },
      {
        id: `${idPrefix}high-ratio-${rival.name}`,
        statement: `${where}At the highest ratio ${rival.name} is faster than ea-wild`,
        paperValue: "synchronous is favoured",
        unit: "times its time",
      },
    ]),
    run: (context) => sweep(context, cluster, idPrefix),
  };
}

async function sweep(context: ExperimentContext, cluster: Cluster, idPrefix: string): Promise<readonly Finding[]> {
  const ratios = cluster.ratios[context.isQuick ? "quick" : "full"];
  const stops = await Promise.all(ratios.map((ratio) => stopAt(context, ratio, cluster.stepTimes)));
  context.record("stops", stops);
  context.figure(
    lineFigure({
      name: "ratio",
      title: "Time of ea-wild over that of the synchronous solvers",
      caption: "Below 1 the asynchronous solver is faster; paired seeds, with 95 % intervals.",
      x: { title: "seconds of a local step / seconds of an exchange", log: true },
      y: { title: "time ratio", log: true },
      series: RIVALS.map(({ name }) => ({
        name: `over ${name}`,
        points: stops.map((stop) => {
          const { mean, low, high } = ratioTo(stop, name);
          return { x: stop.ratio, y: mean, low, high };
        }),
      })),
      rules: [{ y: 1, label: "equal" }],
    }),
  );
  for (const { ratio, own, rivals } of stops) {
    context.table({ title: `At ratio ${ratio}`, columns: RACE_COLUMNS, rows: [own, ...rivals].map(raceRow) });
  }
  return RIVALS.flatMap(({ name }) => findingsAgainst(name, stops, idPrefix));
}

function findingsAgainst(name: string, stops: readonly Stop[], idPrefix: string): Finding[] {
  const [lowest] = stops;
  const highest = stops.at(-1);
  if (!lowest || !highest) return [];
  const note = crossoverSentence(name, stops);
  const high = timeFinding(
    `${idPrefix}high-ratio-${name}`,
    highest.own,
    rivalOf(highest, name),
    { kind: "above", border: 1 },
    note,
  );
  if (stops.length === 1) return [high];
  const low = timeFinding(`${idPrefix}low-ratio-${name}`, lowest.own, rivalOf(lowest, name), {
    kind: "below",
    border: 1,
  });
  return [low, high];
}

/** Where the line through two neighbours meets 1, both axes logarithmic. */
function crossoverSentence(name: string, stops: readonly Stop[]): string {
  for (const [index, stop] of stops.entries()) {
    const next = stops[index + 1];
    if (!next) break;
    const here = Math.log(ratioTo(stop, name).mean);
    const there = Math.log(ratioTo(next, name).mean);
    if (here >= 0 || there < 0) continue;
    const share = -here / (there - here);
    const ratio = Math.exp(Math.log(stop.ratio) + share * Math.log(next.ratio / stop.ratio));
    return `The lines cross at a ratio of about ${ratio.toPrecision(2)}.`;
  }
  return "There is no crossover between the ratios that were tried.";
}

function ratioTo(stop: Stop, name: string): ReturnType<typeof timeRatio> {
  return timeRatio(stop.own, rivalOf(stop, name));
}

function rivalOf({ rivals }: Stop, name: string): Raced {
  const rival = rivals.find((one) => one.name === name);
  if (!rival) throw new Error(`invariant violation: ${name} did not race`);
  return rival;
}

async function stopAt(context: ExperimentContext, ratio: number, stepTimes: StepTimes): Promise<Stop> {
  // An exchange is two messages.
  const bytesPerSecond = (2 * PAYLOAD_BYTES * ratio) / STEP_SECONDS;
  // Four settings each: what they are good for is known from the race, and there are many ratios.
  const contestants = [EA_WILD, ...RIVALS].map(({ name, scenario, quickGrid }) => {
    return { name, scenario, grid: quickGrid, quickGrid };
  });
  const [own, ...rivals] = await raceAll(
    context,
    {
      circumstances: {
        ...VOLUNTEERS,
        replicas: REPLICAS,
        stepSeconds: STEP_SECONDS,
        stepTimes,
        payloadBytes: PAYLOAD_BYTES,
        latencySeconds: 0,
        upBytesPerSecond: bytesPerSecond,
        downBytesPerSecond: bytesPerSecond,
      },
      targets: TARGETS,
      limitSamples: samplesFor(REPLICAS),
    },
    contestants,
  );
  if (!own) throw new Error("invariant violation: nobody raced");
  return { ratio, own, rivals };
}
