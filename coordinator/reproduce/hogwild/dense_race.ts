/** What the lock costs and what its absence costs, where every gradient moves every weight: a network, not a sparse problem. */

import { compilePlan } from "../../../shared/engine/plan.ts";
import { compileVirtual } from "../../../shared/engine/wasm/wasm_backend.ts";
import { initialParameters, layoutOf } from "../../../shared/model/layout.ts";
import type { Applier } from "../../center/applier.ts";
import { CenterMemory } from "../../center/center_memory.ts";
import { Control } from "../../center/control.ts";
import { compileKernels } from "../../center/kernels.ts";
import type { Dataset, Examples } from "../../data/dataset.ts";
import { loadDataset } from "../../data/library.ts";
import { readWasmSources } from "../../evaluation/wasm_sources.ts";
import { findingOf, unmeasured } from "../findings.ts";
import type { Experiment, ExperimentContext, Finding } from "../paper.ts";
import { barFigure } from "../plots.ts";
import { SMALL_MLP } from "../small_mlp.ts";
import { meanOf, pairedDifference, pairedRatio, type Estimate } from "../statistics.ts";
import type { CountingInput, DenseInput, DenseOutput, SharedExamples } from "./dense_work.ts";
import { race } from "./racing_threads.ts";
import { barOf } from "./sparse_race.ts";

const APPLIERS: readonly Applier[] = ["lock-free", "compare-and-swap", "locked"];
const THREADS = 2;
/** Small, so that threads meet at the center often. */
const BATCH = 4;
const LEARNING_RATE = 0.02;
const UPDATES = { quick: 6000, full: 40_000 } as const;
const TRAIN_EXAMPLES = 20_000;
/** f32 counts ones exactly up to 2^24. */
const PASSES = { quick: 500, full: 5000 } as const;
const SAME_POINTS = 0.3;
const FEW_LOST = 1e-3;

interface Outcome {
  readonly updatesPerSecond: number;
  readonly accuracy: number;
  readonly lostShare: number;
  readonly overlappedShare: number;
  readonly meanStaleness: number;
  /** Of the threads' time. */
  readonly applyShare: number;
}

type Outcomes = Readonly<Record<Applier, readonly Outcome[]>>;

export const DENSE_RACE: Experiment = {
  name: "dense-race",
  title: "The lock, on a network whose gradients are dense",
  method:
    `Real MNIST (${TRAIN_EXAMPLES.toLocaleString("en")} images), a 784-64-10 network, batch ${BATCH}, step size ${LEARNING_RATE}: ${THREADS} threads take gradients with the WASM engine and apply them by the coordinator's own kernels ` +
    "to one shared center, lock-free, by compare-and-swap, or one after the other under a lock. The lost share is counted apart, exactly: both threads add ones to every element as fast as they can, and what is missing was lost. " +
    "That is the worst case; in training threads meet less often.",
  claims: [
    {
      id: "lock-costs-throughput",
      statement: "Without the lock more updates are applied in a second",
      paperValue: "the lock takes longer than the update",
      unit: "updates per second, lock-free / locked",
    },
    {
      id: "few-updates-lost",
      statement: "Hardly any update of an element is lost without the lock",
      paperValue: "not stated (atomic additions are assumed)",
      unit: "share of element updates lost, at worst",
    },
    {
      id: "lost-updates-cost-nothing",
      statement: "What is lost or mixed costs no accuracy",
      paperValue: "not stated for dense gradients: the theory promises nothing there",
      unit: "points of test accuracy, lock-free minus locked",
    },
    {
      id: "compare-and-swap-is-slower",
      statement: "Protecting every element by compare-and-swap costs more than it saves",
      paperValue: "not stated",
      unit: "updates per second, compare-and-swap / lock-free",
    },
  ],
  run: runDense,
};

async function runDense(context: ExperimentContext): Promise<readonly Finding[]> {
  const dataset = await loadDataset("", "mnist");
  const bench = await Bench.open(dataset, context.isQuick);
  const outcomes: Record<Applier, Outcome[]> = { "lock-free": [], "compare-and-swap": [], locked: [] };
  for (const seed of context.seeds) {
    context.note(`dense race, seed ${seed}`);
    for (const applier of APPLIERS) outcomes[applier].push(await bench.run(applier, seed));
  }
  context.record("outcomes", outcomes);
  draw(context, outcomes);
  if (context.seeds.length < 2) return DENSE_RACE.claims.map(({ id }) => unmeasured(id, "one seed has no spread"));
  const of = (applier: Applier, value: (outcome: Outcome) => number): number[] => outcomes[applier].map(value);
  const rate = ({ updatesPerSecond }: Outcome): number => updatesPerSecond;
  const points = ({ accuracy }: Outcome): number => 100 * accuracy;
  const lost = meanOf(of("lock-free", ({ lostShare }) => lostShare));
  return [
    findingOf("lock-costs-throughput", pairedRatio(of("lock-free", rate), of("locked", rate)), {
      kind: "above",
      border: 1,
    }),
    findingOf(
      "few-updates-lost",
      lost,
      { kind: "below", border: FEW_LOST },
      `Few: less than one in ${Math.round(1 / FEW_LOST)}.`,
    ),
    findingOf("lost-updates-cost-nothing", pairedDifference(of("lock-free", points), of("locked", points)), {
      kind: "within",
      low: -SAME_POINTS,
      high: SAME_POINTS,
    }),
    findingOf("compare-and-swap-is-slower", pairedRatio(of("compare-and-swap", rate), of("lock-free", rate)), {
      kind: "below",
      border: 1,
    }),
  ];
}

function draw({ figure, table }: ExperimentContext, outcomes: Outcomes): void {
  const estimates = (value: (outcome: Outcome) => number): { name: Applier; found: Estimate }[] =>
    APPLIERS.map((name) => ({ name, found: meanOf(outcomes[name].map(value)) }));
  figure(
    barFigure({
      name: "lock-throughput",
      title: "Updates per second by how threads meet at the center",
      caption: "Mean over seeds with its 95 % interval, gradients included.",
      y: { title: "updates per second" },
      bars: estimates((outcome) => outcome.updatesPerSecond).map(({ name, found }) => barOf(name, found)),
    }),
  );
  table({
    title: "The lock",
    columns: [
      "applier",
      "updates/s",
      "lost share",
      "overlapped share",
      "mean staleness",
      "time at the center, %",
      "test accuracy, %",
    ],
    rows: APPLIERS.map((applier) => {
      const mean = (value: (outcome: Outcome) => number): number => meanOf(outcomes[applier].map(value)).mean;
      return [
        applier,
        mean((outcome) => outcome.updatesPerSecond),
        mean((outcome) => outcome.lostShare),
        mean((outcome) => outcome.overlappedShare),
        mean((outcome) => outcome.meanStaleness),
        mean((outcome) => 100 * outcome.applyShare),
        mean((outcome) => 100 * outcome.accuracy),
      ];
    }),
  });
}

/** What all runs have in common. */
class Bench {
  readonly #module: Awaited<ReturnType<typeof compileKernels>>;
  readonly #train: SharedExamples;
  readonly #accuracyOf: (parameters: Float32Array) => number;
  readonly #isQuick: boolean;

  private constructor(
    module: Awaited<ReturnType<typeof compileKernels>>,
    train: SharedExamples,
    accuracyOf: (parameters: Float32Array) => number,
    isQuick: boolean,
  ) {
    this.#module = module;
    this.#train = train;
    this.#accuracyOf = accuracyOf;
    this.#isQuick = isQuick;
  }

  static async open(dataset: Dataset, isQuick: boolean): Promise<Bench> {
    return new Bench(await compileKernels(), sharedOf(dataset), await judgeOf(dataset), isQuick);
  }

  async run(applier: Applier, seed: number): Promise<Outcome> {
    const layout = layoutOf(SMALL_MLP);
    const memory = new CenterMemory(layout);
    const initial = initialParameters(layout, seed);
    memory.values(memory.layout.center).set(initial);
    const areas = Array.from({ length: THREADS }, () => memory.takeArea());
    for (const area of areas) memory.values(area).set(initial);
    const updates = (this.#isQuick ? UPDATES.quick : UPDATES.full) / THREADS;
    const inputs = areas.map((area, index): DenseInput => ({
      module: this.#module,
      memory: memory.memory,
      layout: memory.layout,
      applier,
      area,
      model: SMALL_MLP,
      examples: this.#train,
      batch: BATCH,
      learningRate: LEARNING_RATE,
      updates,
      seed: seed * 1000 + index,
    }));
    const { outputs, seconds } = await race<DenseOutput>(new URL("./dense_thread.ts", import.meta.url), inputs);
    const sum = (value: (output: DenseOutput) => number): number =>
      outputs.reduce((total, output) => total + value(output), 0);
    const applies = updates * THREADS;
    return {
      updatesPerSecond: applies / seconds,
      accuracy: this.#accuracyOf(memory.values(memory.layout.center).slice()),
      lostShare: await this.#lostShare(applier),
      overlappedShare: new Control(memory.memory.buffer).overlappedApplies / applies,
      meanStaleness: sum(({ staleness }) => staleness) / applies,
      applyShare: sum(({ applySeconds }) => applySeconds) / (seconds * THREADS),
    };
  }

  async #lostShare(applier: Applier): Promise<number> {
    const memory = new CenterMemory(layoutOf(SMALL_MLP));
    const passes = this.#isQuick ? PASSES.quick : PASSES.full;
    const areas = Array.from({ length: THREADS }, () => memory.takeArea());
    const inputs = areas.map((area): CountingInput => ({
      module: this.#module,
      memory: memory.memory,
      layout: memory.layout,
      applier,
      area,
      passes,
    }));
    await race<null>(new URL("./counting_thread.ts", import.meta.url), inputs);
    const counted = memory.values(memory.layout.center);
    const total = counted.reduce((sum, value) => sum + value, 0);
    return 1 - total / (counted.length * passes * THREADS);
  }
}

function sharedOf({ train, normalisation }: Dataset): SharedExamples {
  const count = Math.min(TRAIN_EXAMPLES, train.count);
  const imageBytes = train.images.length / train.count;
  const images = new Uint8Array(new SharedArrayBuffer(count * imageBytes));
  images.set(train.images.subarray(0, images.length));
  const labels = new Uint8Array(new SharedArrayBuffer(count));
  labels.set(train.labels.subarray(0, count));
  return { images, labels, count, normalisation };
}

async function judgeOf({ test, normalisation }: Dataset): Promise<(parameters: Float32Array) => number> {
  const batch = 500;
  const plan = compilePlan(SMALL_MLP, { batch, datasetExamples: test.count, normalisation });
  const program = await compileVirtual(await readWasmSources(), plan);
  program.loadExamples(0, test.images, test.labels);
  return (parameters) => rightOf(test, batch, (examples) => program.evaluateAt(parameters, examples).correct);
}

function rightOf({ count }: Examples, batch: number, correctOf: (examples: Uint32Array) => number): number {
  let correct = 0;
  for (let first = 0; first < count; first += batch) {
    correct += correctOf(Uint32Array.from({ length: batch }, (_, index) => first + index));
  }
  return correct / count;
}
