/**
 * A program over plain arrays whose loss is half the squared distance to a target: every step can be followed with paper
 * and pencil. For tests of the protocol only; learning is tested on the real engine.
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
} from "../../shared/engine/backend.ts";
import { compilePlan, type Plan } from "../../shared/engine/plan.ts";
import type { ModelDescription } from "../../shared/model/model.ts";
import type { Fragment } from "../../shared/wire/codec/codec.ts";
import { decode, encode, isFinitePayload } from "../../shared/wire/codec/naive.ts";

export class QuadraticProgram implements Program {
  readonly plan: Plan;
  readonly memoryBytes = 0;
  readonly target: Float32Array;
  parameters: Float32Array<ArrayBuffer>;
  base: Float32Array<ArrayBuffer>;
  sent: Float32Array<ArrayBuffer>;
  velocity: Float32Array<ArrayBuffer>;
  gradient: Float32Array<ArrayBuffer>;
  /** What the last encoded gradients left out. */
  residual: Float32Array<ArrayBuffer>;
  /** All that was ever taken. */
  steps = 0;
  readonly drawn: Uint32Array[] = [];
  /** The learning rate and the momentum of each step. */
  readonly rates: number[] = [];
  readonly momenta: number[] = [];
  /** How long a step takes, as the clock of the test is told. */
  onStep: () => void = () => {};
  /** Throws from now on, as a lost device does. */
  isBroken = false;
  isClosed = false;
  #taken = { steps: 0, lossSum: 0 };

  /** A batch of four, in so many parts. */
  constructor(model: ModelDescription, datasetExamples: number, microBatches = 1, target = 1) {
    const normalisation = { mean: [0], deviation: [1] };
    this.plan = compilePlan(model, { batch: 4, microBatches, datasetExamples, normalisation });
    const { elements } = this.plan.layout;
    this.target = new Float32Array(elements).fill(target);
    this.parameters = new Float32Array(elements);
    this.base = new Float32Array(elements);
    this.sent = new Float32Array(elements);
    this.velocity = new Float32Array(elements);
    this.gradient = new Float32Array(elements);
    this.residual = new Float32Array(elements);
  }

  loadExamples(): void {}

  writeParameters(parameters: Float32Array): void {
    this.parameters = parameters.slice();
    this.base = parameters.slice();
    this.residual.fill(0);
    this.velocity.fill(0);
  }

  async readParameters(): Promise<Float32Array<ArrayBuffer>> {
    return this.parameters.slice();
  }

  step(examples: Uint32Array, { learningRate, momentum }: StepSettings): void {
    this.gradientStep(examples);
    this.rates.push(learningRate);
    this.momenta.push(momentum);
    for (let index = 0; index < this.parameters.length; index++) {
      this.velocity[index] = momentum * this.velocity[index]! - learningRate * this.gradient[index]!;
      this.parameters[index]! += this.velocity[index]!;
    }
  }

  gradientStep(examples: Uint32Array): void {
    if (this.isBroken) throw new Error("the device is gone");
    const { batch, microBatch } = this.plan;
    if (examples.length > batch || examples.length % microBatch !== 0) throw new Error("no whole number of parts");
    this.onStep();
    this.drawn.push(examples);
    this.gradient = this.parameters.map((value, index) => value - this.target[index]!);
    this.steps++;
    this.#taken.steps++;
    this.#taken.lossSum += this.gradient.reduce((sum, value) => sum + (value * value) / 2, 0);
  }

  async takeDifference(): Promise<Taken> {
    this.sent = this.parameters.slice();
    return this.#take(this.parameters.map((value, index) => value - this.base[index]!));
  }

  async takeGradient(): Promise<Taken> {
    return this.#take(this.gradient.slice());
  }

  settle(center: Float32Array, pull: number): void {
    if (this.isBroken) throw new Error("the device is gone");
    this.parameters = this.parameters.map((value, index) => value - pull * (this.sent[index]! - center[index]!));
    this.base = center.slice();
  }

  rebase(center: Float32Array, keepParameters: boolean): void {
    this.base = center.slice();
    if (keepParameters) return;
    this.parameters = center.slice();
    this.velocity.fill(0);
  }

  async takeEncoded({ what, codec, fragment }: TakeRequest): Promise<TakenPayload> {
    const { fromElement, toElement } = fragment;
    const part = (vector: Float32Array): Float32Array => vector.slice(fromElement, toElement);
    const from = what === "gradient" ? part(this.gradient) : part(this.parameters);
    const against = what === "gradient" ? part(this.residual).map((value) => -value) : part(this.base);
    const wanted = from.map((value, index) => value - against[index]!);
    const payload = encode(codec, wanted);
    const said = decode(codec, payload, wanted.length);
    const isFinite = isFinitePayload(codec, payload, wanted.length);
    if (what === "gradient")
      this.residual.set(
        wanted.map((value, index) => (isFinite ? value - said[index]! : 0)),
        fromElement,
      );
    else if (codec === "f32") this.sent.set(from, fromElement);
    else
      this.sent.set(
        said.map((value, index) => against[index]! + value),
        fromElement,
      );
    return { payload, isFinite, ...(await this.takeLoss()) };
  }

  unsend({ fromElement, toElement }: Fragment): void {
    this.sent.set(this.base.slice(fromElement, toElement), fromElement);
  }

  settleOnto(news: CenterNews, pull: number): void {
    if (this.isBroken) throw new Error("the device is gone");
    const { fromElement, toElement } = news.fragment;
    this.#news(news);
    for (let index = fromElement; index < toElement; index++) {
      this.parameters[index]! -= pull * (this.sent[index]! - this.base[index]!);
    }
  }

  rebaseOnto(news: CenterNews, keepParameters: boolean): void {
    const { fromElement, toElement } = news.fragment;
    this.#news(news);
    if (keepParameters) return;
    this.parameters.set(this.base.slice(fromElement, toElement), fromElement);
    if (toElement - fromElement === this.base.length) this.velocity.fill(0);
  }

  #news(news: CenterNews): void {
    const { fromElement, toElement } = news.fragment;
    if (news.kind === "values") return this.base.set(news.values, fromElement);
    for (const delta of news.deltas) {
      const change = decode(news.codec, delta, toElement - fromElement);
      change.forEach((value, index) => (this.base[fromElement + index]! += value));
    }
  }

  async evaluate(): Promise<Evaluation> {
    return { correct: 0, meanLoss: 0 };
  }

  async exercise(): Promise<void> {
    throw new Error("this program has no operations");
  }

  async idle(): Promise<void> {
    if (this.isBroken) throw new Error("the device is gone");
  }

  close(): void {
    this.isClosed = true;
  }

  async takeLoss(): Promise<TakenLoss> {
    const { steps, lossSum } = this.#taken;
    this.#taken = { steps: 0, lossSum: 0 };
    return { steps, meanLoss: steps === 0 ? 0 : lossSum / steps };
  }

  async #take(values: Float32Array<ArrayBuffer>): Promise<Taken> {
    return { values, ...(await this.takeLoss()) };
  }
}
