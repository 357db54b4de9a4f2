/** Times the lowerings of one convolution on the tuner's workbench: all of them in turn, again and again. */

import {
  candidateName,
  type Candidate,
  type DeviceTraits,
  type Product,
} from "../../shared/engine/webgpu/choice/candidate.ts";
import { candidatesOf } from "../../shared/engine/webgpu/choice/candidates.ts";
import { modelledMs } from "../../shared/engine/webgpu/choice/cost_model.ts";
import { chooseByRule } from "../../shared/engine/webgpu/choice/rule.ts";
import type { Bench, LoadedCandidate } from "../../shared/engine/webgpu/tuner/bench.ts";
import { Random } from "../../shared/random.ts";
import { medianOf, shuffled } from "./measuring.ts";

interface Channels {
  readonly input: number;
  readonly output: number;
}

/** Convolutions of square images without padding, stride 1, that differ in their channels alone. */
export interface LoweringJob {
  readonly pass: "forward";
  /** Pixels along one side of an input image. */
  readonly imageSide: number;
  /** Taps along one side. */
  readonly kernel: number;
  readonly batch: number;
  /** How many images are lowered at once. */
  readonly imagesAtOnce: number;
  readonly channels: readonly Channels[];
  readonly repetitions: number;
  /** Of the device for one repetition, which is the least of what fits into it: two executions at least. */
  readonly pieceMs: number;
  /** Each measures everything once, in an order of its own. */
  readonly seeds: readonly number[];
}

export interface ConvolutionTimes extends Channels {
  readonly lowerings: readonly TimedCandidate[];
  /** What the engine takes unless a tuner finds something else. */
  readonly rule: TimedCandidate;
}

interface TimedCandidate {
  readonly algorithm: string;
  readonly candidate: string;
  /** Of the whole batch: the median of the repetitions. */
  readonly ms: number;
  /** What the engine's cost model expects. */
  readonly modelledMs: number;
}

interface Place {
  readonly bench: Bench;
  readonly traits: DeviceTraits;
  readonly random: Random;
}

const LOWERINGS = ["lowering-1", "lowering-2", "lowering-3"] as const;

export async function timesOfSeed(
  bench: Bench,
  traits: DeviceTraits,
  job: LoweringJob,
  seed: number,
): Promise<ConvolutionTimes[]> {
  const random = new Random(seed);
  const times: ConvolutionTimes[] = [];
  for (const channels of shuffled(job.channels, random)) {
    times.push(await timesOf({ bench, traits, random }, job, channels));
  }
  return times;
}

async function timesOf(
  { bench, traits, random }: Place,
  job: LoweringJob,
  channels: Channels,
): Promise<ConvolutionTimes> {
  const product = productOf(job, channels);
  const candidates = [
    ...LOWERINGS.map((algorithm) => loweringOf(traits, product, algorithm, job.imagesAtOnce)),
    chooseByRule(traits, product),
  ];
  const stand = await bench.open(product, {
    hasBias: true,
    activation: undefined,
    accumulate: false,
    offsets: { weights: 0, bias: undefined },
  });
  try {
    const runners: Runner[] = [];
    // One after the other: kernels that compile at the same time take as long, and hold up the queue.
    for (const candidate of candidates) runners.push({ candidate, loaded: await stand.load(candidate), ms: [] });
    // The first executions also touch their memory for the first time.
    for (const { loaded } of runners) await loaded.measure(0, 0);
    for (let repetition = 0; repetition < job.repetitions; repetition++) {
      for (const { loaded, ms } of shuffled(runners, random)) {
        ms.push(await loaded.measure(job.pieceMs, Number.POSITIVE_INFINITY));
      }
    }
    const timed = runners.map(({ candidate, ms }) => ({
      algorithm: candidate.algorithm,
      candidate: candidateName(candidate),
      ms: medianOf(ms),
      modelledMs: modelledMs(traits, product, candidate),
    }));
    const [rule, ...lowerings] = [...timed.slice(-1), ...timed.slice(0, -1)];
    if (!rule) throw new Error("invariant violation: the engine's rule took nothing");
    return { ...channels, lowerings, rule };
  } finally {
    stand.close();
  }
}

interface Runner {
  readonly candidate: Candidate;
  readonly loaded: LoadedCandidate;
  readonly ms: number[];
}

function productOf({ pass, imageSide, kernel, batch }: LoweringJob, { input, output }: Channels): Product {
  const outputSide = imageSide - kernel + 1;
  return {
    pass,
    window: {
      batch,
      input: { height: imageSide, width: imageSide, channels: input },
      output: { height: outputSide, width: outputSide, channels: output },
      size: kernel,
      stride: 1,
      padding: 0,
      dilation: 1,
      groups: 1,
    },
  };
}

function loweringOf(
  traits: DeviceTraits,
  product: Product,
  algorithm: (typeof LOWERINGS)[number],
  imagesAtOnce: number,
): Candidate {
  const offered = candidatesOf(traits, product).filter((candidate) => candidate.algorithm === algorithm);
  const wanted = offered.find(({ images }) => images === imagesAtOnce);
  if (wanted) return wanted;
  const numbers = [...new Set(offered.map(({ images }) => images))].join(", ") || "none";
  throw new Error(
    `imagesAtOnce is ${imagesAtOnce}; ${algorithm} of ${product.window.input.channels} to ${product.window.output.channels} channels accepts ${numbers}.`,
  );
}
