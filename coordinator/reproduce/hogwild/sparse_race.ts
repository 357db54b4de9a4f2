/** Hogwild! as in its paper: a sparse problem, several threads, and four ways in which their updates may meet. */

import { loadDataset } from "../../data/library.ts";
import { findingOf, unmeasured } from "../findings.ts";
import type { Experiment, ExperimentContext, Finding } from "../paper.ts";
import { barFigure, type BarFigure } from "../plots.ts";
import { meanOf, pairedDifference, pairedRatio, type Estimate } from "../statistics.ts";
import { race } from "./racing_threads.ts";
import { accuracyOf, sparsified, WEIGHTS, type SparseExamples } from "./sparse_examples.ts";
import { TURN_BYTE, type Meeting, type SparseInput } from "./sparse_work.ts";

const MEETINGS: readonly Meeting[] = ["lock-free", "compare-and-swap", "locked", "round-robin"];
const LEARNING_RATE = 0.01;
const UPDATES = { quick: 30_000, full: 180_000 } as const;
/** As many as the machine that the figures are quoted for has cores. */
const THREADS = 2;
/** In points of accuracy. */
const SAME_POINTS = 0.3;
const NEARLY_LINEAR = 1.5;
const THREAD = new URL("./sparse_thread.ts", import.meta.url);

interface Outcome {
  readonly seconds: number;
  readonly accuracy: number;
}

type Outcomes = Readonly<Record<Meeting, readonly Outcome[]>>;

export const SPARSE_RACE: Experiment = {
  name: "sparse-race",
  title: "Sparse logistic regression on shared weights",
  method:
    `Real MNIST, patterns of 3 x 3 lit pixels by place as features (about 200 of 346,112 in an image), softmax regression, one example an update, step size ${LEARNING_RATE}, ` +
    `${THREADS} worker threads of one process over one SharedArrayBuffer, equal work for all. *Lock-free* adds without any protection (additions may be lost, unlike in the paper, which assumes ` +
    "them to be atomic); *compare-and-swap* is the paper's; *locked* and *round-robin* let one update through at a time, round-robin in fixed order. Each seed runs all variants one after the other on the same examples.",
  claims: [
    {
      id: "faster-than-round-robin",
      statement: "On a sparse problem, updates without a lock are faster than round robin at equal work",
      paperValue: "6.5x on RCV1, 8.5x on Netflix (10 cores)",
      unit: "time of round robin / time without a lock",
    },
    {
      id: "faster-than-locked",
      statement: "They are faster than with one lock for all weights",
      paperValue: "locking takes longer than the update itself",
      unit: "time with a lock / time without",
    },
    {
      id: "near-linear-speed-up",
      statement: "The speed-up by more cores is nearly linear",
      paperValue: "nearly linear",
      unit: `time of 1 thread / time of ${THREADS}`,
    },
    {
      id: "same-result",
      statement: "Lost and stale updates cost no accuracy",
      paperValue: "equal errors: .297 and .339",
      unit: "points of test accuracy, without a lock minus one thread alone",
    },
  ],
  run: runSparse,
};

async function runSparse(context: ExperimentContext): Promise<readonly Finding[]> {
  const dataset = await loadDataset("", "mnist");
  const train = sparsified(dataset.train);
  const test = sparsified(dataset.test);
  const updates = context.isQuick ? UPDATES.quick : UPDATES.full;
  const together: Record<Meeting, Outcome[]> = {
    "lock-free": [],
    "compare-and-swap": [],
    locked: [],
    "round-robin": [],
  };
  const alone: Outcome[] = [];
  for (const seed of context.seeds) {
    context.note(`sparse race, seed ${seed}`);
    alone.push(await run({ train, test, meeting: "lock-free", updates, threads: 1, seed }));
    for (const meeting of MEETINGS)
      together[meeting].push(await run({ train, test, meeting, updates, threads: THREADS, seed }));
  }
  context.record("alone", alone);
  context.record("together", together);
  draw(context, together, alone);
  if (context.seeds.length < 2) return SPARSE_RACE.claims.map(({ id }) => unmeasured(id, "one seed has no spread"));
  const free = together["lock-free"];
  return [
    findingOf("faster-than-round-robin", slower(together["round-robin"], free), { kind: "above", border: 1 }),
    findingOf("faster-than-locked", slower(together.locked, free), { kind: "above", border: 1 }),
    findingOf(
      "near-linear-speed-up",
      slower(alone, free),
      { kind: "above", border: NEARLY_LINEAR },
      `Nearly linear: more than ${NEARLY_LINEAR} times with ${THREADS} threads.`,
    ),
    findingOf("same-result", points(free, alone), { kind: "within", low: -SAME_POINTS, high: SAME_POINTS }),
  ];
}

function slower(these: readonly Outcome[], those: readonly Outcome[]): Estimate {
  return pairedRatio(
    these.map(({ seconds }) => seconds),
    those.map(({ seconds }) => seconds),
  );
}

function points(these: readonly Outcome[], those: readonly Outcome[]): Estimate {
  return pairedDifference(
    these.map(({ accuracy }) => 100 * accuracy),
    those.map(({ accuracy }) => 100 * accuracy),
  );
}

function draw({ figure, table }: ExperimentContext, together: Outcomes, alone: readonly Outcome[]): void {
  const rows = [
    { name: "1 thread", outcomes: alone },
    ...MEETINGS.map((meeting) => ({ name: `${THREADS} threads, ${meeting}`, outcomes: together[meeting] })),
  ].map(({ name, outcomes }) => ({
    name,
    seconds: meanOf(outcomes.map((outcome) => outcome.seconds)),
    accuracy: meanOf(outcomes.map((outcome) => 100 * outcome.accuracy)),
  }));
  figure(
    barFigure({
      name: "sparse-race",
      title: "The same work, by how updates meet",
      caption: "Wall-clock seconds, mean over seeds with its 95 % interval.",
      y: { title: "seconds" },
      bars: rows.map(({ name, seconds }) => barOf(name, seconds)),
    }),
  );
  table({
    title: "Sparse logistic regression",
    columns: ["variant", "seconds", "test accuracy, %"],
    rows: rows.map(({ name, seconds, accuracy }) => [name, seconds.mean, accuracy.mean]),
  });
}

/** Without its interval where there is none: of one seed. */
export function barOf(name: string, { mean, low, high }: Estimate): BarFigure["bars"][number] {
  return Number.isFinite(low) ? { name, value: mean, low, high } : { name, value: mean };
}

interface RaceOptions {
  readonly train: SparseExamples;
  readonly test: SparseExamples;
  readonly meeting: Meeting;
  /** Of all threads together. */
  readonly updates: number;
  readonly threads: number;
  readonly seed: number;
}

async function run({ train, test, meeting, updates, threads, seed }: RaceOptions): Promise<Outcome> {
  const weights = new Float32Array(new SharedArrayBuffer(4 * WEIGHTS));
  const words = new SharedArrayBuffer(TURN_BYTE + 4);
  const inputs = Array.from({ length: threads }, (_, index): SparseInput => ({
    examples: train,
    weights,
    words,
    meeting,
    learningRate: LEARNING_RATE,
    updates: Math.floor(updates / threads),
    seed: seed * 1000 + index,
  }));
  const { seconds } = await race<null>(THREAD, inputs);
  return { seconds, accuracy: accuracyOf(test, weights) };
}
