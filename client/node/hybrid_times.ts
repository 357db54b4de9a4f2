/**
 * Times a training step of one model on each of two devices alone, on both as the engine shares the work, and for every way to
 * split the batch between them: all in turn, again and again.
 */

import type { Backend, Program } from "../../shared/engine/backend.ts";
import type { Speeds } from "../../shared/engine/hybrid/balance.ts";
import { HybridProgram, type HybridClock } from "../../shared/engine/hybrid/hybrid_program.ts";
import { compilePlan, type Plan } from "../../shared/engine/plan.ts";
import type { GradientSource, StepOwner } from "../../shared/engine/shares.ts";
import { initialParameters } from "../../shared/model/layout.ts";
import { elementsOf, type ModelDescription } from "../../shared/model/model.ts";
import { Random } from "../../shared/random.ts";
import { medianOf, shuffled } from "./measuring.ts";
import { NODE_CLOCK } from "./node_clock.ts";

export interface HybridJob {
  readonly model: ModelDescription;
  readonly batch: number;
  /** Into which the batch is divided where both devices do some of it. */
  readonly parts: number;
  readonly repetitions: number;
  /** Of images, parameters and the order in which everything is measured. */
  readonly seed: number;
}

/** Milliseconds of a step, medians of the repetitions. */
export interface HybridTimes {
  /** Of each alone, the batch undivided. */
  readonly gpuMs: number;
  readonly cpuMs: number;
  /** As the engine splits a batch once it has measured both. */
  readonly both: { readonly ms: number; readonly gpuParts: number };
  /** By how many of the parts the GPU does, from 1 to all; the CPU does the others. */
  readonly splits: readonly { readonly gpuParts: number; readonly ms: number }[];
}

interface Devices {
  readonly owner: Backend<StepOwner>;
  readonly helper: Backend<GradientSource>;
}

const SETTINGS = { learningRate: 0.01, momentum: 0.9, weightDecay: 0 };
/** Until WASM is compiled well, and a hybrid knows both devices. */
const WARM_UP_STEPS = 2;
/** Every device seems to take as long as its share is large, so that a split stays as it was given. */
const STANDING_CLOCK: HybridClock = { nowMs: () => 0, breathe: () => NODE_CLOCK.breathe() };

export async function measureHybrid({ owner, helper }: Devices, job: HybridJob): Promise<HybridTimes> {
  const bench = new StepBench(job);
  const [whole, divided] = [planOf(job, 1), planOf(job, job.parts)];
  const sharedBy = async (clock: HybridClock, guess: Speeds): Promise<HybridProgram> =>
    new HybridProgram(await owner.compile(divided), await helper.compile(divided), clock, guess);
  const gpu = await owner.compile(whole);
  const cpu = await helper.compile(whole);
  const both = await sharedBy(NODE_CLOCK, [1, 1]);
  const splits: HybridProgram[] = [];
  for (let gpuParts = 1; gpuParts <= job.parts; gpuParts++) {
    splits.push(await sharedBy(STANDING_CLOCK, [gpuParts, job.parts - gpuParts]));
  }
  const programs = [gpu, cpu, both, ...splits];
  const [gpuMs = Number.NaN, cpuMs = Number.NaN, bothMs = Number.NaN, ...splitMs] = await bench.compare(programs);
  const gpuParts = both.split[0];
  for (const program of programs) program.close();
  return {
    gpuMs,
    cpuMs,
    both: { ms: bothMs, gpuParts },
    splits: splitMs.map((ms, index) => ({ gpuParts: index + 1, ms })),
  };
}

function planOf({ model, batch }: HybridJob, microBatches: number): Plan {
  return compilePlan(model, {
    batch,
    microBatches,
    datasetExamples: batch,
    normalisation: { mean: [0.5], deviation: [0.25] },
  });
}

/** The same examples and parameters for all programs. */
class StepBench {
  readonly #job: HybridJob;
  readonly #random: Random;
  readonly #images: Uint8Array;
  readonly #labels: Uint8Array;
  readonly #examples: Uint32Array;

  constructor(job: HybridJob) {
    const { model, batch, seed } = job;
    const random = new Random(seed);
    this.#job = job;
    this.#random = random;
    this.#images = Uint8Array.from({ length: batch * elementsOf(model.input) }, () => random.below(256));
    this.#labels = Uint8Array.from({ length: batch }, () => random.below(model.classes));
    this.#examples = Uint32Array.from({ length: batch }, (_, index) => index);
  }

  /** The median of each one's repetitions. */
  async compare(programs: readonly Program[]): Promise<number[]> {
    const runners = programs.map((program) => ({ program, ms: [] as number[] }));
    for (const { program } of runners) {
      await this.#fill(program);
      for (let step = 0; step < WARM_UP_STEPS; step++) await this.#stepMs(program);
    }
    for (let repetition = 0; repetition < this.#job.repetitions; repetition++) {
      for (const { program, ms } of shuffled(runners, this.#random)) ms.push(await this.#stepMs(program));
    }
    return runners.map(({ ms }) => medianOf(ms));
  }

  async #fill(program: Program): Promise<void> {
    program.loadExamples(0, this.#images, this.#labels);
    program.writeParameters(initialParameters(program.plan.layout, this.#job.seed));
    await program.idle();
  }

  async #stepMs(program: Program): Promise<number> {
    const begunMs = NODE_CLOCK.nowMs();
    program.step(this.#examples, SETTINGS);
    await program.idle();
    return NODE_CLOCK.nowMs() - begunMs;
  }
}
