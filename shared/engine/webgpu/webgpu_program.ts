/**
 * A plan compiled for one GPU device: every buffer, pipeline and bind group exists before the first step. A step leaves its
 * examples and settings in a slot; a submit does one or several of them, each in one compute pass (a batch in parts: one
 * for each part, and one for the update).
 */

import { elementsOf } from "../../model/model.ts";
import { checkExamples, checkFragment, checkLoad, checkNews, checkParts, checkVector } from "../checks.ts";
import type { CenterNews, Evaluation, StepSettings, Taken, TakenLoss, TakenPayload, TakeRequest } from "../backend.ts";
import { wholeOf, type Fragment } from "../../wire/codec/codec.ts";
import type { Exercise, TakeWords } from "../exercise.ts";
import { updateWords } from "../optimizer.ts";
import type { Plan } from "../plan.ts";
import type { Share, StepOwner } from "../shares.ts";
import type { DeviceWatch } from "./device_watch.ts";
import type { Dispatch } from "./dispatch.ts";
import { EncodedExchange } from "./encoded_exchange.ts";
import { doExercise } from "./exercise.ts";
import type { Kernels, PreparedDispatch } from "./kernels.ts";
import type { ChooseCandidate, DeviceTraits } from "./choice/candidate.ts";
import { ruleOf } from "./choice/rule.ts";
import { imageWords, wholeWords } from "./buffer_sizes.ts";
import { PlanMemory } from "./memory.ts";
import type { ScratchElements } from "./algorithms/operands.ts";
import { passesOf, type PartPasses, type StepPasses } from "./part_passes.ts";
import { prepareAll, runPass, scratchOfPlan, type Launches } from "./launches.ts";
import { Readback } from "./readback.ts";
import { RunningLoss } from "./running_loss.ts";
import { STEP_SLOTS, StepInputs } from "./step_inputs.ts";
import { StepQueue } from "./step_queue.ts";
import { Taking } from "./taking.ts";

export { runPass } from "./launches.ts";

export async function compileProgram(
  watch: DeviceWatch,
  kernels: Kernels,
  traits: DeviceTraits,
  plan: Plan,
  choose: ChooseCandidate = ruleOf(traits),
  nowMs?: () => number,
): Promise<WebGpuProgram> {
  watch.check();
  const memory = new PlanMemory(watch.device, plan, scratchOfPlan(plan, traits, choose));
  const prepare = (chosen: ChooseCandidate): Promise<Launches> => prepareAll(kernels, { memory, traits }, chosen);
  try {
    const launches = await prepare(choose);
    watch.check();
    return new WebGpuProgram(watch, memory, launches, {
      prepare,
      launch: (dispatch) => kernels.prepareNow(dispatch),
      scratch: (chosen) => scratchOfPlan(plan, traits, chosen),
      nowMs,
    });
  } catch (error) {
    memory.close();
    throw error;
  }
}

/** What compiling once more takes, with other kernels for the same plan. */
interface Compiler {
  readonly prepare: (choose: ChooseCandidate) => Promise<Launches>;
  readonly launch: (dispatch: Dispatch) => PreparedDispatch;
  readonly scratch: (choose: ChooseCandidate) => ScratchElements;
  /** Without a clock every step has its own submit. */
  readonly nowMs: (() => number) | undefined;
}

export class WebGpuProgram implements StepOwner {
  readonly plan: Plan;
  /** For tests and measurements: buffers and launches of this program. */
  readonly memory: PlanMemory;
  launches: Launches;
  readonly #watch: DeviceWatch;
  readonly #compiler: Compiler;
  readonly #queue: GPUQueue;
  readonly #evaluation: Readback;
  readonly #inputs: StepInputs;
  readonly #steps: StepQueue;
  readonly #losses: RunningLoss;
  readonly #exchange: EncodedExchange;
  #passes: StepPasses;
  #evaluationPass: readonly PreparedDispatch[];
  readonly #taking: Taking;
  /** Gatherings so far: dice.ts. */
  #draw = 0;
  /** Since the optimizer's means began at zero. */
  #updates = 0;
  #closed = false;

  constructor(watch: DeviceWatch, memory: PlanMemory, launches: Launches, compiler: Compiler) {
    this.plan = memory.plan;
    this.memory = memory;
    this.launches = launches;
    this.#compiler = compiler;
    this.#passes = passesOf(launches);
    this.#evaluationPass = launches.evaluation.flat();
    this.#watch = watch;
    this.#queue = watch.device.queue;
    this.#evaluation = new Readback(memory.evaluation);
    this.#inputs = new StepInputs(memory);
    this.#losses = new RunningLoss(memory);
    const submit = (encode: (encoder: GPUCommandEncoder) => void): void => this.#submit(encode);
    this.#taking = new Taking(
      memory,
      { prepare: () => this.#prepare(), check: () => this.#check(), submit },
      this.#losses,
    );
    const device = { queue: this.#queue, launch: compiler.launch, submit, taking: this.#taking };
    this.#exchange = new EncodedExchange(device, memory, launches.settle);
    this.#steps = new StepQueue({
      queue: this.#queue,
      slots: STEP_SLOTS,
      submit: (steps) => this.#submitSteps(steps),
      nowMs: compiler.nowMs,
    });
  }

  loadExamples(first: number, images: Uint8Array, labels: Uint8Array): void {
    this.#prepare();
    checkLoad(this.plan, first, images, labels);
    const imageBytes = elementsOf(this.plan.model.input);
    const rowBytes = imageWords(this.plan) * 4;
    this.#queue.writeBuffer(this.memory.images, first * rowBytes, wholeWords(images, imageBytes, rowBytes));
    this.#queue.writeBuffer(this.memory.labels, first * 4, Uint32Array.from(labels));
  }

  writeParameters(parameters: Float32Array): void {
    this.#checkVector("parameters", parameters);
    this.#write(this.memory.vectors.parameters, parameters);
    this.#write(this.memory.vectors.base, parameters);
    this.#exchange.forgetAll();
    this.#forgetUpdates();
  }

  readParameters(): Promise<Float32Array<ArrayBuffer>> {
    return this.#taking.read(this.memory.vectors.parameters);
  }

  step(examples: Uint32Array, settings: StepSettings): void {
    this.#check();
    const parts = checkParts(this.plan, examples);
    const words = this.#nextUpdate(settings);
    this.#steps.add(parts, (slot) => this.#inputs.fill(slot, examples, this.#shareOf(examples), words));
    this.#count(examples, parts);
    this.#losses.countStep();
  }

  gradientStep(examples: Uint32Array): void {
    this.gradientShare(examples, this.#shareOf(examples));
    this.#losses.countStep();
  }

  gradientShare(examples: Uint32Array, share: Share): void {
    this.#prepare();
    const parts = checkParts(this.plan, examples);
    this.#runBatch(examples, share, (encoder) => this.#encodeGradient(encoder, 0, this.#passes.gradient));
    this.#count(examples, parts);
  }

  completeStep(rest: Float32Array<ArrayBuffer> | undefined, settings: StepSettings | undefined): void {
    this.#prepare();
    const { gradientSum, settings: words } = this.memory;
    if (this.plan.microBatches === 1) throw new Error("invariant violation: a batch in one part cannot be shared");
    if (rest) this.#write(gradientSum, rest);
    if (settings) this.#queue.writeBuffer(words, 0, Float32Array.from(this.#nextUpdate(settings)));
    const { rest: adding, completion } = this.#passes;
    const launches = [...(rest ? adding : []), ...(settings ? completion : [])];
    if (launches.length > 0) this.#submit((encoder) => runPass(encoder, launches));
    this.#losses.countStep();
  }

  takeDifference(): Promise<Taken> {
    return this.#take(this.memory.vectors.difference, this.launches.difference);
  }

  takeLoss(): Promise<TakenLoss> {
    return this.#taking.takeLoss();
  }

  takeGradient(): Promise<Taken> {
    return this.#take(this.memory.vectors.gradient, this.launches.statistics);
  }

  settle(center: Float32Array, movingRate: number): void {
    this.#checkVector("center", center);
    this.#write(this.memory.vectors.base, center);
    this.#exchange.settle(wholeOf(center.length), movingRate);
  }

  rebase(center: Float32Array, keepParameters: boolean): void {
    this.#checkVector("center", center);
    this.#write(this.memory.vectors.base, center);
    if (keepParameters) return;
    this.#write(this.memory.vectors.parameters, center);
    this.#forgetUpdates();
  }

  async takeEncoded(request: TakeRequest): Promise<TakenPayload> {
    checkFragment(this.plan, request.fragment);
    return this.#exchange.take(request, this.launches.statistics);
  }

  unsend(fragment: Fragment): void {
    this.#prepare();
    checkFragment(this.plan, fragment);
    this.#exchange.unsend(fragment);
  }

  settleOnto(news: CenterNews, pull: number): void {
    this.#prepare();
    checkNews(this.plan, news);
    this.#exchange.receive(news);
    this.#exchange.settle(news.fragment, pull);
  }

  rebaseOnto(news: CenterNews, keepParameters: boolean): void {
    this.#prepare();
    checkNews(this.plan, news);
    this.#exchange.receive(news);
    if (keepParameters) return;
    const { fromElement, toElement } = news.fragment;
    this.#exchange.restart(news.fragment);
    if (toElement - fromElement === this.plan.layout.elements) this.#forgetUpdates();
  }

  async evaluate(examples: Uint32Array): Promise<Evaluation> {
    this.#prepare();
    checkExamples(this.plan, examples);
    const { batch } = this.plan;
    const evaluation = await this.#evaluation.take(
      (staging) =>
        this.#runBatch(examples, this.#shareOf(examples), (encoder) => this.#encodeEvaluation(encoder, staging)),
      (words) => ({ correct: sum(words.subarray(batch, 2 * batch)), meanLoss: sum(words.subarray(0, batch)) / batch }),
    );
    this.#check();
    return evaluation;
  }

  async exercise(examples: Uint32Array, exercise: Exercise, take: TakeWords): Promise<void> {
    this.#prepare();
    checkExamples(this.plan, examples);
    this.#runBatch(examples, { ...this.#shareOf(examples), draw: 0 }, (encoder) => this.#inputs.usePart(encoder, 0, 0));
    const { memory, launches } = this;
    await doExercise({ device: this.#watch.device, memory, launches, runPass }, exercise, take);
    this.#check();
  }

  async idle(): Promise<void> {
    this.#prepare();
    await this.#queue.onSubmittedWorkDone();
    // Until then whoever asks queues nothing more.
    await this.#watch.turn.free();
    this.#check();
  }

  /**
   * Takes other kernels from the next step on. They are compiled first; tensors, parameters and what has been queued stay.
   * Rejects with a sentence that names the operation, and leaves the old ones. Not to be called during an `exercise`.
   */
  async useChoice(choose: ChooseCandidate): Promise<void> {
    this.#check();
    const exchange = this.memory.exchangeScratch(this.#compiler.scratch(choose));
    try {
      const launches = await this.#compiler.prepare(choose);
      // Closed meanwhile, with all its buffers.
      if (this.#closed) return;
      this.#watch.check();
      this.launches = launches;
      this.#passes = passesOf(launches);
      this.#evaluationPass = launches.evaluation.flat();
      exchange.keepNew();
    } catch (error) {
      exchange.keepOld();
      throw error;
    }
  }

  get memoryBytes(): number {
    return this.memory.bytes;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#steps.close();
    this.memory.close();
  }

  /** The steps in the first slots, in one submit. */
  #submitSteps(steps: number): void {
    this.#inputs.upload(this.#queue, steps);
    this.#submit((encoder) => {
      for (let slot = 0; slot < steps; slot++) {
        this.#inputs.useSettings(encoder, slot);
        this.#encodeGradient(encoder, slot, this.#passes.update);
      }
    });
  }

  /** Something with one batch that is not a step of its own; nothing may wait in the slots. */
  #runBatch(examples: Uint32Array, share: Share, encode: (encoder: GPUCommandEncoder) => void): void {
    this.#inputs.fill(0, examples, share);
    this.#inputs.upload(this.#queue, 1);
    this.#submit(encode);
  }

  /** The gradient of the examples in a slot, and what comes after it in the last pass. */
  #encodeGradient(encoder: GPUCommandEncoder, slot: number, { first, between, last, only }: PartPasses): void {
    const { gradient } = this.memory.vectors;
    const { gradientSum } = this.memory;
    const parts = this.#inputs.partsOf(slot);
    this.#inputs.usePart(encoder, slot, 0);
    if (parts === 1) return runPass(encoder, only);
    runPass(encoder, first);
    encoder.copyBufferToBuffer(gradient, 0, gradientSum, 0, gradient.size);
    for (let part = 1; part < parts; part++) {
      this.#inputs.usePart(encoder, slot, part);
      runPass(encoder, part === parts - 1 ? last : between);
    }
  }

  #shareOf({ length }: Uint32Array): Share {
    return { stepExamples: length, draw: this.#draw };
  }

  #count(examples: Uint32Array, parts: number): void {
    this.#draw += parts;
    this.#losses.countExamples(examples.length);
  }

  #nextUpdate(settings: StepSettings): readonly number[] {
    this.#updates += 1;
    return updateWords(this.plan.optimizer, settings, this.#updates);
  }

  #encodeEvaluation(encoder: GPUCommandEncoder, staging: GPUBuffer): void {
    const { batch, microBatch, microBatches, losses, correct } = this.plan;
    for (let part = 0; part < microBatches; part++) {
      this.#inputs.usePart(encoder, 0, part);
      runPass(encoder, this.#evaluationPass);
      for (const [index, tensor] of [losses, correct].entries()) {
        const to = (index * batch + part * microBatch) * 4;
        encoder.copyBufferToBuffer(this.memory.tensor(tensor).buffer, 0, staging, to, microBatch * 4);
      }
    }
  }

  async #take(vector: GPUBuffer, before: readonly PreparedDispatch[]): Promise<Taken> {
    const { taken } = this.#taking;
    const loss = await this.#taking.take(taken.byteLength, (encoder) => {
      if (before.length > 0) runPass(encoder, before);
      return { buffer: vector };
    });
    return { values: taken, ...loss };
  }

  #submit(encode: (encoder: GPUCommandEncoder) => void): void {
    const encoder = this.#watch.device.createCommandEncoder();
    encode(encoder);
    this.#queue.submit([encoder.finish()]);
  }

  #forgetUpdates(): void {
    const { vectors, update } = this.memory;
    this.#submit((encoder) => {
      encoder.clearBuffer(vectors.velocity);
      if (update.secondMoment) encoder.clearBuffer(update.secondMoment);
    });
    this.#updates = 0;
  }

  #write(buffer: GPUBuffer, vector: Float32Array): void {
    this.#queue.writeBuffer(buffer, 0, vector);
  }

  #checkVector(name: string, vector: Float32Array): void {
    this.#prepare();
    checkVector(this.plan, name, vector);
  }

  /** For whatever is not a step: steps that wait come before it. */
  #prepare(): void {
    this.#check();
    this.#steps.flush();
  }

  #check(): void {
    this.#watch.check();
    if (this.#closed) throw new Error("The program is closed.");
  }
}

function sum(words: Float32Array): number {
  return words.reduce((total, value) => total + value, 0);
}
