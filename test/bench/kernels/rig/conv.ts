/** Every candidate of some products, one by one: what `drove bench conv` prints. */

import {
  candidateName,
  productKey,
  type Candidate,
  type Product,
} from "../../../../shared/engine/webgpu/choice/candidate.ts";
import { candidatesOf } from "../../../../shared/engine/webgpu/choice/candidates.ts";
import { modelledMs } from "../../../../shared/engine/webgpu/choice/cost_model.ts";
import { chooseByRule } from "../../../../shared/engine/webgpu/choice/rule.ts";
import { flopsOf } from "../../../../shared/engine/webgpu/choice/shape.ts";
import { Kernels } from "../../../../shared/engine/webgpu/kernels.ts";
import type { LoadedCandidate, ProductBench } from "../../../../shared/engine/webgpu/tuner/bench.ts";
import { largestDifference, toleranceOf } from "../../../../shared/engine/webgpu/tuner/outputs.ts";
import { imagesWithin, reducedCandidate, reducedProduct } from "../../../../shared/engine/webgpu/tuner/reduction.ts";
import { Workbench } from "../../../../shared/engine/webgpu/tuner/workbench.ts";
import type { CandidateReport, Job, NamedProduct, ProductReport } from "../job.ts";
import type { Rig } from "./device.ts";

type ConvJob = Extract<Job, { kind: "conv" }>;

/** Of one candidate: a lowering of one image at a time may need one for each. */
const MOST_KERNELS = 8;
const EDGES = { hasBias: true, activation: undefined, accumulate: false } as const;

export async function measureConv(rig: Rig, job: ConvJob): Promise<ProductReport[]> {
  const reports: ProductReport[] = [];
  for (const product of job.products) {
    // Kernels of their own: thousands of pipelines would stay otherwise.
    const bench = new Workbench(
      rig.watch,
      new Kernels(rig.watch.device, rig.shaders),
      () => performance.now(),
      MOST_KERNELS,
    );
    try {
      reports.push(await new Comparison(rig, job, product, bench).report());
      await rig.look();
    } finally {
      bench.close();
    }
  }
  const { fmaGflops } = rig.peaks;
  return reports.map((report) => withPercents(report, fmaGflops));
}

function withPercents(report: ProductReport, fmaGflops: number): ProductReport {
  const candidates = report.candidates.map((one) =>
    Object.assign({}, one, { percentOfPeak: one.gflops === undefined ? undefined : (100 * one.gflops) / fmaGflops }),
  );
  return { ...report, candidates };
}

/** The rule's choice and the others in the model's order. */
function candidatesFor({ traits }: Rig, { mostCandidates, algorithms }: ConvJob, product: Product): Candidate[] {
  const rule = chooseByRule(traits, product);
  const wanted = candidatesOf(traits, product).filter(
    ({ algorithm, images }) => !algorithms || (algorithms.includes(algorithm) && images === product.window.batch),
  );
  const ordered = wanted
    .map((candidate) => ({ candidate, ms: modelledMs(traits, product, candidate) }))
    .toSorted((a, b) => a.ms - b.ms)
    .map(({ candidate }) => candidate);
  const kept = algorithms ? bestOfEach(ordered, mostCandidates) : ordered.slice(0, mostCandidates);
  const isRuleMissing = !algorithms && !kept.some((one) => candidateName(one) === candidateName(rule));
  return isRuleMissing ? [...kept, rule] : kept;
}

/** The first few of each algorithm. */
function bestOfEach(ordered: readonly Candidate[], most = Number.POSITIVE_INFINITY): Candidate[] {
  const seen = new Map<string, number>();
  return ordered.filter(({ algorithm }) => {
    const count = (seen.get(algorithm) ?? 0) + 1;
    seen.set(algorithm, count);
    return count <= most;
  });
}

const NEAR = 2;

class Comparison {
  readonly #rig: Rig;
  readonly #job: ConvJob;
  readonly #named: NamedProduct;
  readonly #product: Product;
  readonly #bench: Workbench;
  readonly #rule: Candidate;
  #images: number;
  #expected: Float32Array | undefined;
  readonly #loaded = new Map<string, LoadedCandidate>();

  constructor(rig: Rig, job: ConvJob, named: NamedProduct, bench: Workbench) {
    this.#rig = rig;
    this.#job = job;
    this.#named = named;
    this.#product = { pass: named.pass, window: named.window };
    this.#bench = bench;
    this.#rule = chooseByRule(rig.traits, this.#product);
    this.#images = named.window.batch;
  }

  async report(): Promise<ProductReport> {
    const { window } = this.#product;
    const candidates = await this.#measureAll();
    const working = candidates.filter(({ ms }) => ms !== undefined).toSorted((a, b) => a.ms! - b.ms!);
    const winner = working[0];
    const rule = candidateName(this.#rule);
    const ruleMs = candidates.find(({ candidate }) => candidate === rule)?.ms;
    return {
      name: this.#named.name,
      product: productKey(this.#product),
      gflop: flopsOf(this.#product) / 1e9,
      channelRatio: this.#channelRatio(),
      batch: window.batch,
      measuredImages: this.#images,
      rule,
      winner: winner?.candidate,
      winnersPlace: winner && candidates.indexOf(winner) + 1,
      gain: winner && ruleMs !== undefined ? ruleMs / winner.ms! : undefined,
      candidates,
    };
  }

  /** Of the convolution that the pass is: a data gradient goes the other way. */
  #channelRatio(): number {
    const { pass, window } = this.#product;
    const { input, output } = window;
    return pass === "data-gradient" ? output.channels / input.channels : input.channels / output.channels;
  }

  async #measureAll(): Promise<CandidateReport[]> {
    const stand = await this.#begin();
    const reports: CandidateReport[] = [];
    try {
      for (const candidate of candidatesFor(this.#rig, this.#job, this.#product)) {
        const report = await this.#measure(stand, candidate);
        this.#rig.say(`${this.#named.name}: ${report.candidate} ${report.problem ?? `${report.ms!.toFixed(2)} ms`}`);
        reports.push(report);
      }
      // Where algorithms are compared, the slow ones count as much.
      const near = this.#job.algorithms ? Number.POSITIVE_INFINITY : NEAR;
      return await this.#lookAgain(await this.#lookAgain(reports, near), near);
    } finally {
      stand.close();
    }
  }

  /** All that are near the best, one after the other once more: a neighbour's load should meet all alike. */
  async #lookAgain(reports: readonly CandidateReport[], near: number): Promise<CandidateReport[]> {
    const bestMs = Math.min(...reports.map(({ ms }) => ms ?? Number.POSITIVE_INFINITY));
    const again: CandidateReport[] = [];
    for (const report of reports) {
      const loaded = this.#loaded.get(report.candidate);
      if (!loaded || report.ms === undefined || report.ms > near * bestMs) {
        again.push(report);
        continue;
      }
      const measuredMs = await loaded.measure(this.#job.pieceMs, Number.POSITIVE_INFINITY);
      const ms = Math.min(report.ms, (measuredMs * this.#product.window.batch) / this.#images);
      again.push({ ...report, ms, gflops: flopsOf(this.#product) / ms / 1e6 });
    }
    return again;
  }

  /** With as many images as the rule's choice does in a piece; its numbers are what all others have to write. */
  async #begin(): Promise<ProductBench> {
    const { batch } = this.#product.window;
    const guessMs = modelledMs(this.#rig.traits, this.#product, this.#rule);
    this.#images = imagesWithin(this.#job.pieceMs, guessMs, batch);
    const stand = await this.#bench.open(reducedProduct(this.#product, this.#images), this.#edges());
    const loaded = await stand.load(reducedCandidate(this.#rule, batch, this.#images));
    const ms = await loaded.measure(1, 0);
    if (ms > 2 * this.#job.pieceMs && this.#images > 1) {
      stand.close();
      this.#images = imagesWithin(this.#job.pieceMs, ms, this.#images);
      const smaller = await this.#bench.open(reducedProduct(this.#product, this.#images), this.#edges());
      const again = await smaller.load(reducedCandidate(this.#rule, batch, this.#images));
      this.#expected = await again.output();
      return smaller;
    }
    this.#expected = await loaded.output();
    return stand;
  }

  #edges(): Parameters<Workbench["open"]>[1] {
    const { window } = this.#product;
    const weights = (window.size ** 2 * window.input.channels * window.output.channels) / window.groups;
    return { ...EDGES, offsets: { weights: 0, bias: Math.ceil(weights / 4) * 4 } };
  }

  async #measure(stand: ProductBench, candidate: Candidate): Promise<CandidateReport> {
    const { batch } = this.#product.window;
    const reduced = reducedCandidate(candidate, batch, this.#images);
    const begin = performance.now();
    const named = {
      candidate: candidateName(candidate),
      images: reduced.images,
      modelledMs: modelledMs(this.#rig.traits, this.#product, candidate),
    };
    try {
      const loaded = await stand.load(reduced);
      const compileMs = performance.now() - begin;
      const difference = largestDifference(await loaded.output(), this.#expected!);
      if (!(difference <= toleranceOf(candidate))) throw new Error(`It writes other numbers: off by ${difference}.`);
      const measuredMs = await loaded.measure(this.#job.pieceMs, Number.POSITIVE_INFINITY);
      this.#loaded.set(named.candidate, loaded);
      const ms = (measuredMs * batch) / this.#images;
      const gflops = flopsOf(this.#product) / ms / 1e6;
      return { ...named, compileMs, ms, gflops, percentOfPeak: undefined, problem: undefined };
    } catch (error) {
      this.#rig.watch.check();
      const problem = error instanceof Error ? error.message : String(error);
      const compileMs = performance.now() - begin;
      return { ...named, compileMs, ms: undefined, gflops: undefined, percentOfPeak: undefined, problem };
    }
  }
}
