/** Caffe con Troll's batching: what doing all images of a batch at once gains over one image at a time. */

import type { ModelName } from "../../../shared/model/catalogue.ts";
import { findingOf } from "../findings.ts";
import type { Experiment, ExperimentContext, Finding } from "../paper.ts";
import { lineFigure } from "../plots.ts";
import { meanOf, pairedRatio } from "../statistics.ts";
import type { BatchingInput, BatchingOutput } from "./batching_task.ts";
import { hardestOf } from "./hardest.ts";

interface Subject {
  readonly model: ModelName;
  readonly batch: number;
  readonly partSizes: readonly number[];
  /** Of which the median counts. */
  readonly repetitions: { readonly quick: number; readonly full: number };
  readonly inQuick: boolean;
}

const OFTEN = { quick: 3, full: 5 } as const;
const SUBJECTS: readonly Subject[] = [
  { model: "lenet", batch: 64, partSizes: [1, 2, 4, 8, 16, 32, 64], repetitions: OFTEN, inQuick: true },
  { model: "cifar-quick", batch: 64, partSizes: [1, 8, 32, 64], repetitions: OFTEN, inQuick: true },
  // A gradient takes seconds, in which a busy moment counts for little.
  { model: "caffenet", batch: 16, partSizes: [1, 4, 16], repetitions: { quick: 1, full: 1 }, inQuick: false },
];
/** The paper's whole gain was 4.5; half of that is still a gain of its kind. */
const CLEAR_GAIN = 2;
const TASK = new URL("./batching_task.ts", import.meta.url);

interface Times {
  readonly subject: Subject;
  /** [seed][part size], milliseconds. */
  readonly ms: readonly BatchingOutput[];
}

export const BATCHING: Experiment = {
  name: "batching",
  title: "A batch at once against one image at a time",
  method:
    "One gradient of a batch (forward, loss, backward) on one thread of the WASM engine, with the batch done in parts of 1 image up to all images; the layers' kernels are the same, so that only the size of the matrix products differs. " +
    `Medians of ${OFTEN.full} repetitions in turn, ${OFTEN.quick} in a reduced run (of CaffeNet one, after a first that does not count); a seed has images and parameters of its own.`,
  claims: [
    {
      id: "batching-gains",
      statement: "Batching makes training on a CPU several times faster than Caffe's one image at a time",
      paperValue: "4.5x (CaffeNet, batch 256, 8 cores)",
      unit: "time in parts of one image / time at once, LeNet",
    },
    {
      id: "batching-gains-on-caffenet",
      statement: "So it does on the paper's own network",
      paperValue: "4.5x (CaffeNet, batch 256, 8 cores)",
      unit: "time in parts of one image / time at once, CaffeNet",
    },
    {
      id: "larger-parts-never-slower",
      statement: "The larger the part, the faster",
      paperValue: "16.5, 13.8, 7.9, 5.4, 4.4, 3.8 s by partitions",
      unit: "time at once / time in parts of half the batch, the worst of the networks",
    },
  ],
  run: runBatching,
};

async function runBatching(context: ExperimentContext): Promise<readonly Finding[]> {
  const all: Times[] = [];
  for (const subject of SUBJECTS.filter(({ inQuick }) => inQuick || !context.isQuick)) {
    context.note(`batching: ${subject.model}`);
    const ms: BatchingOutput[] = [];
    // One after the other: two at a time would share the machine's caches.
    for (const seed of context.seeds) ms.push(await timesOf(context, subject, seed));
    all.push({ subject, ms });
  }
  context.record("milliseconds", all);
  draw(context, all);
  const gain = (model: ModelName, id: string): Finding[] =>
    all
      .filter(({ subject }) => subject.model === model)
      .map((times) =>
        findingOf(
          id,
          ratio(times, 0, -1),
          { kind: "above", border: CLEAR_GAIN },
          `Several times: more than ${CLEAR_GAIN}.`,
        ),
      );
  return [
    ...gain("lenet", "batching-gains"),
    ...gain("caffenet", "batching-gains-on-caffenet"),
    hardestOf(
      "larger-parts-never-slower",
      all.map((times) =>
        findingOf("larger-parts-never-slower", ratio(times, -1, -2), { kind: "not-above", border: 1, margin: 0.05 }),
      ),
      "large",
    ),
  ];
}

function timesOf(
  { pool, isQuick }: ExperimentContext,
  { model, batch, partSizes, repetitions }: Subject,
  seed: number,
): Promise<BatchingOutput> {
  const input: BatchingInput = {
    model,
    batch,
    partSizes,
    repetitions: isQuick ? repetitions.quick : repetitions.full,
    seed,
  };
  return pool.run<BatchingOutput>(TASK, input);
}

/** Of the times at two places in the list of part sizes, seed by seed. */
function ratio({ ms }: Times, first: number, second: number): ReturnType<typeof pairedRatio> {
  return pairedRatio(
    ms.map((times) => times.at(first) ?? Number.NaN),
    ms.map((times) => times.at(second) ?? Number.NaN),
  );
}

function draw({ figure, table }: ExperimentContext, all: readonly Times[]): void {
  const rows = all.flatMap(({ subject, ms }) =>
    subject.partSizes.map((size, index) => ({
      model: subject.model,
      size,
      relative: meanOf(ms.map((times) => (times.at(0) ?? Number.NaN) / (times[index] ?? Number.NaN))).mean,
      milliseconds: meanOf(ms.map((times) => times[index] ?? Number.NaN)).mean,
    })),
  );
  figure(
    lineFigure({
      name: "batching",
      title: "Speed by images at once, against one image at a time",
      caption: "One thread, the same gradient of the same batch.",
      x: { title: "images at once", log: true },
      y: { title: "times as fast" },
      series: all.map(({ subject }) => ({
        name: subject.model,
        points: rows
          .filter(({ model }) => model === subject.model)
          .map(({ size, relative }) => ({ x: size, y: relative })),
      })),
    }),
  );
  table({
    title: "A gradient of one batch",
    columns: ["network", "images at once", "milliseconds", "times as fast as one at a time"],
    rows: rows.map(({ model, size, milliseconds, relative }) => [model, size, milliseconds, relative]),
  });
}
