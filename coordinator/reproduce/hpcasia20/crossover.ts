/**
 * The paper's fifth claim: models that compute much for what they communicate favour synchronous solvers, those with a low ratio
 * the asynchronous one.
 */

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

export const CROSSOVER: Experiment = {
  name: "crossover",
  title: "Asynchronous against synchronous over the ratio of computation to communication",
  method: `The network, step times and center of the race, ${REPLICAS} replicas, each with a link of its own whose bandwidth is chosen so that a local step takes ${RATIOS.full.join(", ")} times as long as an exchange. Every solver has the best of four settings at every ratio. Time is virtual, the geometric mean of the times until ${targetsText(TARGETS)} of 2,000 test images are right.`,
  claims: RIVALS.flatMap(({ name }) => [
    {
      id: `low-ratio-${name}`,
      statement: `At the lowest ratio of computation to communication ea-wild is faster than ${name}`,
      paperValue: "faster",
      unit: "of its time",
    },
    {
      id: `high-ratio-${name}`,
      statement: `At the highest ratio ${name} is faster than ea-wild`,
      paperValue: "synchronous is favoured",
      unit: "times its time",
    },
  ]),
  run: sweep,
};

async function sweep(context: ExperimentContext): Promise<readonly Finding[]> {
  const ratios = RATIOS[context.isQuick ? "quick" : "full"];
  const stops = await Promise.all(ratios.map((ratio) => stopAt(context, ratio)));
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
  return RIVALS.flatMap(({ name }) => findingsAgainst(name, stops));
}

function findingsAgainst(name: string, stops: readonly Stop[]): Finding[] {
  const [lowest] = stops;
  const highest = stops.at(-1);
  if (!lowest || !highest) return [];
  const note = crossoverSentence(name, stops);
  return [
    timeFinding(`low-ratio-${name}`, lowest.own, rivalOf(lowest, name), { kind: "below", border: 1 }, note),
    timeFinding(`high-ratio-${name}`, highest.own, rivalOf(highest, name), { kind: "above", border: 1 }),
  ];
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

async function stopAt(context: ExperimentContext, ratio: number): Promise<Stop> {
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
