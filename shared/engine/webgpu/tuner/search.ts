/**
 * The search for one product's fastest kernel: the rule's choice is measured first, then one candidate after another in the
 * model's order against the best so far. It can be interrupted and taken up again. A kernel that fails or that writes other
 * numbers than the rule's never wins.
 */

import type { FailedCandidate, TunedProduct } from "../../tuning.ts";
import { candidateName, type Candidate } from "../choice/candidate.ts";
import type { Bench, LoadedCandidate, ProductBench } from "./bench.ts";
import type { Remembered } from "./memory_of_winners.ts";
import { largestDifference, toleranceOf } from "./outputs.ts";
import { imagesWithin, reducedCandidate, reducedProduct } from "./reduction.ts";
import { candidateNamed, type Work } from "./works.ts";

/** Of the device at a time: what waits for Stop, or to be trained on, waits no longer. */
const PIECE_MS = 50;
/**
 * In software a step takes as long anyway, and what is not reduced has no kernel to compile that the program does not have:
 * 0.2 to 1.8 s each on a busy machine (SwiftShader, 2-core Xeon 2.5 GHz, 2026-11-21).
 */
const SOFTWARE_PIECE_MS = 250;
/** A first execution this many times slower than the best is all that a candidate gets. */
const LOSING = 1.5;
/** A challenger has to be faster by this much, or the next start's noise would choose otherwise. */
const MARGIN = 0.97;

/** Times are of the images measured. */
interface Measured {
  readonly candidate: Candidate;
  readonly ms: number;
}

export class Search {
  readonly work: Work;
  readonly #bench: Bench;
  readonly #between: () => Promise<void>;
  readonly #rule: Candidate;
  readonly #pieceMs: number;
  readonly #remembered: (Remembered & { readonly candidate: Candidate }) | undefined;
  /** Names of what has been run, as it was run: over few images two candidates can be the same. */
  readonly #run = new Set<string>();
  readonly #tried = new Set<string>();
  readonly #failed: FailedCandidate[];
  #left: readonly Candidate[];
  #images: number;
  #stand: ProductBench | undefined;
  #ruleMs: number | undefined;
  #best: Measured | undefined;
  #bestLoaded: LoadedCandidate | undefined;
  #expected: Float32Array | undefined;
  #isImpossible = false;

  constructor(
    work: Work,
    remembered: Remembered | undefined,
    { bench, between, isFallback }: { bench: Bench; between: () => Promise<void>; isFallback: boolean },
  ) {
    const [rule, ...others] = work.candidates;
    if (!rule) throw new Error(`invariant violation: nothing does ${work.key}`);
    this.work = work;
    this.#bench = bench;
    this.#between = between;
    this.#rule = rule;
    this.#pieceMs = isFallback ? SOFTWARE_PIECE_MS : PIECE_MS;
    this.#images = work.product.window.batch;
    const winner = remembered && candidateNamed(work, remembered.winner);
    this.#remembered = winner && { ...remembered, candidate: winner };
    this.#failed = [...(remembered?.failed ?? [])];
    this.#tried = new Set(winner ? remembered.tried : []);
    const known = new Set([...this.#tried, ...this.#failed.map(({ candidate }) => candidate)]);
    const untried = others.filter((candidate) => candidate !== winner && !known.has(candidateName(candidate)));
    // Times of another day are not today's: whom the others have to beat is measured again.
    this.#left = winner && winner !== rule ? [winner, ...untried] : untried;
  }

  /** An earlier session has left nothing to be measured. */
  get isRemembered(): boolean {
    return this.#remembered?.isComplete ?? false;
  }

  get isComplete(): boolean {
    return this.isRemembered || this.#isImpossible || (this.#best !== undefined && this.#left.length === 0);
  }

  /** The candidate to use: measured, else remembered, else the rule's. */
  get winner(): Candidate {
    return this.#best?.candidate ?? this.#remembered?.candidate ?? this.#rule;
  }

  /** Goes on until nothing is left or `isSpent` says so. `wholeMs` is a guess at the rule's choice for the whole batch. */
  async run(wholeMs: number, isSpent: () => boolean): Promise<void> {
    if (this.isComplete || isSpent()) return;
    try {
      await (this.#best ? this.#resume(this.#best) : this.#begin(wholeMs));
      while (this.#best && !isSpent()) {
        const [candidate, ...left] = this.#left;
        if (!candidate) return;
        this.#left = left;
        await this.#between();
        await this.#challenge(candidate);
      }
    } finally {
      this.#stand?.close();
      this.#stand = undefined;
    }
  }

  /** What to keep; undefined where this session learnt nothing. A failure of the rule's own is no reason to fear it. */
  get toRemember(): Remembered | undefined {
    const { ms, ruleMs, winner, tried, measuredImages, from } = this.result;
    if (from === "rule") return undefined;
    if (ms === undefined || ruleMs === undefined || measuredImages === undefined) return undefined;
    const failed = this.#failed.filter(({ candidate }) => candidate !== candidateName(this.#rule));
    return { winner, ms, ruleMs, measuredImages, tried, failed, isComplete: this.isComplete };
  }

  get result(): TunedProduct {
    const { key, count, product } = this.work;
    const { batch } = product.window;
    const shared = { product: key, count, batch, winner: candidateName(this.winner), tried: [...this.#tried] };
    const failed = this.#failed;
    if (this.#best && this.#ruleMs !== undefined) {
      const scale = batch / this.#images;
      const times = { ms: this.#best.ms * scale, ruleMs: this.#ruleMs * scale, measuredImages: this.#images };
      return { ...shared, ...times, failed, from: "measured" };
    }
    const { ms, ruleMs, measuredImages } = this.#remembered ?? {};
    return { ...shared, ms, ruleMs, measuredImages, failed, from: this.#remembered ? "remembered" : "rule" };
  }

  async #begin(wholeMs: number): Promise<void> {
    try {
      const { batch } = this.work.product.window;
      let ms = await this.#enter(this.#rule, imagesWithin(this.#pieceMs, wholeMs, batch));
      // The guess was bad: fewer images, so that not every candidate holds others up.
      if (ms > 2 * this.#pieceMs && this.#images > 1) {
        ms = await this.#enter(this.#rule, imagesWithin(this.#pieceMs, ms, this.#images));
      }
      this.#expected = await this.#bestLoaded!.output();
      this.#best = { candidate: this.#rule, ms };
      this.#ruleMs = ms;
      this.#tried.add(candidateName(this.#rule));
    } catch (error) {
      this.#fail(this.#rule, error);
      this.#isImpossible = true;
    }
  }

  async #resume({ candidate }: Measured): Promise<void> {
    this.#best = { candidate, ms: await this.#enter(candidate, this.#images) };
  }

  /** Opens a stand for so many images, and measures the first on it. */
  async #enter(candidate: Candidate, images: number): Promise<number> {
    const { product, edges } = this.work;
    this.#stand?.close();
    this.#images = images;
    this.#stand = await this.#bench.open(reducedProduct(product, images), edges);
    this.#bestLoaded = await this.#load(candidate);
    return this.#bestLoaded.measure(this.#pieceMs, 2 * this.#pieceMs);
  }

  #load(candidate: Candidate): Promise<LoadedCandidate> {
    return this.#stand!.load(this.#reduced(candidate));
  }

  #reduced(candidate: Candidate): Candidate {
    const reduced = reducedCandidate(candidate, this.work.product.window.batch, this.#images);
    this.#run.add(candidateName(reduced));
    return reduced;
  }

  async #challenge(candidate: Candidate): Promise<void> {
    const { batch } = this.work.product.window;
    const isKnown = this.#run.has(candidateName(reducedCandidate(candidate, batch, this.#images)));
    try {
      if (!isKnown) await this.#measure(candidate, this.#best!);
      this.#tried.add(candidateName(candidate));
    } catch (error) {
      this.#fail(candidate, error);
    }
  }

  async #measure(candidate: Candidate, best: Measured): Promise<void> {
    const loaded = await this.#load(candidate);
    await this.#between();
    const ms = await loaded.measure(this.#pieceMs, LOSING * best.ms);
    if (ms >= MARGIN * best.ms) return;
    // Faster, or a neighbour was quiet for once: the best so far gets another chance.
    await this.#between();
    const againMs = await this.#bestLoaded!.measure(this.#pieceMs, Number.POSITIVE_INFINITY);
    if (againMs < best.ms) this.#best = { ...best, ms: againMs };
    if (ms >= MARGIN * Math.min(best.ms, againMs)) return;
    const difference = largestDifference(await loaded.output(), this.#expected!);
    if (!(difference <= toleranceOf(candidate))) {
      const parts = Number.isNaN(difference) ? "not a number" : `off by ${difference.toPrecision(2)} of the largest`;
      throw new Error(`It writes other numbers than ${candidateName(this.#rule)}: ${parts}.`);
    }
    this.#best = { candidate, ms };
    this.#bestLoaded = loaded;
  }

  /** After a loss this throws: the candidate that was running is then the one to be afraid of. */
  #fail(candidate: Candidate, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.#failed.push({ candidate: candidateName(candidate), reason });
    this.#bench.check();
  }
}
