/**
 * One replica on two devices, as Caffe con Troll computes on a GPU and a CPU at once (Hadjis et al. 2015): every batch is
 * split in whole parts, the owner (the GPU) is given its share, the helper (the CPU) does the others meanwhile, and the sum of
 * both gradients makes one update.
 *
 * The owner alone keeps parameters, optimizer, base and whatever an exchange needs. A step moves two vectors between the
 * devices: parameters to the helper, its gradient back. Were the update done on both sides, as many bytes would move (one
 * gradient each way) and the two would drift apart by rounding; were it the helper's, the GPU would wait for it.
 */

import type {
  CenterNews,
  Evaluation,
  Program,
  StepSettings,
  Taken,
  TakenLoss,
  TakenPayload,
  TakeRequest,
} from "../backend.ts";
import type { Fragment } from "../../wire/codec/codec.ts";
import { checkExamples, checkFragment, checkLoad, checkNews, checkParts, checkVector } from "../checks.ts";
import type { Exercise, TakeWords } from "../exercise.ts";
import type { Plan } from "../plan.ts";
import type { GradientSource, StepOwner } from "../shares.ts";
import { Balance, type Speeds } from "./balance.ts";
import { CallChain } from "./call_chain.ts";

export interface HybridClock {
  nowMs(): number;
  /** Lets the event loop turn: it is there that the owner's end is heard of. */
  breathe(): Promise<void>;
}

const OWNER = 0;
const HELPER = 1;

/** Losses that the owner does not know of, and how many it does. */
interface Losses {
  helperSum: number;
  helperExamples: number;
  ownerExamples: number;
}

export class HybridProgram implements Program {
  readonly plan: Plan;
  readonly #owner: StepOwner;
  readonly #helper: GradientSource;
  readonly #clock: HybridClock;
  readonly #balance: Balance;
  readonly #calls = new CallChain();
  /** The owner's, as the helper has them; undefined once they have moved. */
  #parameters: Float32Array | undefined;
  /** The helper's gradient of a step so far. */
  readonly #rest: Float32Array<ArrayBuffer>;
  /** Gatherings so far: dice.ts. */
  #draw = 0;
  #losses: Losses = { helperSum: 0, helperExamples: 0, ownerExamples: 0 };
  #isClosed = false;

  /** Both are compiled from the same plan. */
  constructor(owner: StepOwner, helper: GradientSource, clock: HybridClock, guess: Speeds) {
    this.plan = owner.plan;
    this.#owner = owner;
    this.#helper = helper;
    this.#clock = clock;
    this.#balance = new Balance(guess);
    this.#rest = new Float32Array(owner.plan.layout.elements);
  }

  get memoryBytes(): number {
    return this.#owner.memoryBytes + this.#helper.memoryBytes + this.#rest.byteLength;
  }

  /** How many of a whole batch's parts each would do now. */
  get split(): readonly [owner: number, helper: number] {
    return this.#balance.split(this.plan.microBatches);
  }

  loadExamples(first: number, images: Uint8Array, labels: Uint8Array): void {
    checkLoad(this.plan, first, images, labels);
    const [keptImages, keptLabels] = this.#calls.isFree ? [images, labels] : [images.slice(), labels.slice()];
    this.#calls.do(() => {
      for (const program of [this.#owner, this.#helper]) program.loadExamples(first, keptImages, keptLabels);
    });
  }

  writeParameters(parameters: Float32Array): void {
    this.#move("parameters", parameters, (kept) => this.#owner.writeParameters(kept));
  }

  readParameters(): Promise<Float32Array<ArrayBuffer>> {
    return this.#calls.ask(() => this.#owner.readParameters());
  }

  step(examples: Uint32Array, settings: StepSettings): void {
    this.#begin(examples, settings);
  }

  gradientStep(examples: Uint32Array): void {
    this.#begin(examples, undefined);
  }

  takeDifference(): Promise<Taken> {
    return this.#calls.ask(() => this.#withLosses(this.#owner.takeDifference()));
  }

  takeLoss(): Promise<TakenLoss> {
    return this.#calls.ask(() => this.#withLosses(this.#owner.takeLoss()));
  }

  takeGradient(): Promise<Taken> {
    return this.#calls.ask(() => this.#withLosses(this.#owner.takeGradient()));
  }

  settle(center: Float32Array, movingRate: number): void {
    this.#move("center", center, (kept) => this.#owner.settle(kept, movingRate));
  }

  rebase(center: Float32Array, keepParameters: boolean): void {
    this.#move("center", center, (kept) => this.#owner.rebase(kept, keepParameters));
  }

  takeEncoded(request: TakeRequest): Promise<TakenPayload> {
    return this.#calls.ask(() => this.#withLosses(this.#owner.takeEncoded(request)));
  }

  unsend(fragment: Fragment): void {
    checkFragment(this.plan, fragment);
    this.#calls.do(() => this.#owner.unsend(fragment));
  }

  settleOnto(news: CenterNews, pull: number): void {
    this.#moveOnto(news, (kept) => this.#owner.settleOnto(kept, pull));
  }

  rebaseOnto(news: CenterNews, keepParameters: boolean): void {
    this.#moveOnto(news, (kept) => this.#owner.rebaseOnto(kept, keepParameters));
  }

  async evaluate(examples: Uint32Array): Promise<Evaluation> {
    checkExamples(this.plan, examples);
    return this.#calls.ask(() => this.#owner.evaluate(examples));
  }

  /** The owner's kernels; the helper's show in whole steps. */
  exercise(examples: Uint32Array, exercise: Exercise, take: TakeWords): Promise<void> {
    return this.#calls.ask(() => this.#owner.exercise(examples, exercise, take));
  }

  idle(): Promise<void> {
    return this.#calls.ask(() => this.#owner.idle());
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#owner.close();
    this.#helper.close();
  }

  /** Something that changes the owner's parameters or base by a vector that its caller may use again. */
  #move(name: string, vector: Float32Array, work: (kept: Float32Array) => void): void {
    checkVector(this.plan, name, vector);
    const kept = this.#calls.isFree ? vector : vector.slice();
    this.#calls.do(() => {
      this.#parameters = undefined;
      work(kept);
    });
  }

  /** Likewise, in a fragment. */
  #moveOnto(news: CenterNews, work: (kept: CenterNews) => void): void {
    checkNews(this.plan, news);
    const kept = this.#calls.isFree ? news : copyOf(news);
    this.#calls.do(() => {
      this.#parameters = undefined;
      work(kept);
    });
  }

  #begin(examples: Uint32Array, settings: StepSettings | undefined): void {
    if (this.#isClosed) throw new Error("The program is closed.");
    checkParts(this.plan, examples);
    const kept = examples.slice();
    this.#calls.do(() => this.#share(kept, settings));
  }

  async #share(examples: Uint32Array, settings: StepSettings | undefined): Promise<void> {
    const { microBatch } = this.plan;
    const stepExamples = examples.length;
    const [owned, lent] = this.#balance.split(stepExamples / microBatch);
    const cut = owned * microBatch;
    const draw = this.#draw;
    this.#draw += owned + lent;
    // Asked for first, so that they come while the owner computes already.
    const reading = lent > 0 && !this.#parameters ? this.#owner.readParameters() : undefined;
    this.#owner.gradientShare(examples.subarray(0, cut), { stepExamples, draw });
    this.#losses.ownerExamples += cut;
    if (reading) this.#parameters = await reading;
    if (this.#isClosed) return;
    void this.#watch(owned);
    if (lent > 0) await this.#lend(examples.subarray(cut), stepExamples, draw + owned);
    if (this.#isClosed) return;
    this.#owner.completeStep(lent > 0 ? this.#rest : undefined, settings);
    if (settings) this.#parameters = undefined;
  }

  /** Measures how long the owner takes for what it has just begun. */
  async #watch(parts: number): Promise<void> {
    const begunMs = this.#clock.nowMs();
    try {
      await this.#owner.idle();
      this.#balance.record(OWNER, parts, this.#clock.nowMs() - begunMs);
    } catch {
      // The owner is lost or closed; whoever calls it next is told.
    }
  }

  /** The helper's share, part by part: between two the event loop turns, so that the owner's end is noticed in time. */
  async #lend(examples: Uint32Array, stepExamples: number, draw: number): Promise<void> {
    const { microBatch } = this.plan;
    const parameters = this.#parameters;
    if (!parameters) throw new Error("invariant violation: the helper has no parameters");
    const parts = examples.length / microBatch;
    const begunMs = this.#clock.nowMs();
    for (let part = 0; part < parts; part++) {
      const own = examples.subarray(part * microBatch, (part + 1) * microBatch);
      const { gradient, meanLoss } = this.#helper.gradientAt(parameters, own, { stepExamples, draw: draw + part });
      if (part === 0) this.#rest.set(gradient);
      else addTo(this.#rest, gradient);
      this.#losses.helperSum += meanLoss * microBatch;
      this.#losses.helperExamples += microBatch;
      await this.#clock.breathe();
      if (this.#isClosed) return;
    }
    this.#balance.record(HELPER, parts, this.#clock.nowMs() - begunMs);
  }

  /** What the owner took, with the helper's losses in it. */
  async #withLosses<T extends TakenLoss>(taking: Promise<T>): Promise<T> {
    const { helperSum, helperExamples, ownerExamples } = this.#losses;
    this.#losses = { helperSum: 0, helperExamples: 0, ownerExamples: 0 };
    const taken = await taking;
    const examples = helperExamples + ownerExamples;
    const meanLoss = examples === 0 ? 0 : (taken.meanLoss * ownerExamples + helperSum) / examples;
    return { ...taken, meanLoss };
  }
}

function copyOf(news: CenterNews): CenterNews {
  return news.kind === "values"
    ? { ...news, values: news.values.slice() }
    : { ...news, deltas: news.deltas.map((delta) => delta.slice()) };
}

function addTo(sum: Float32Array, values: Float32Array): void {
  for (let index = 0; index < sum.length; index++) sum[index] = sum[index]! + values[index]!;
}
