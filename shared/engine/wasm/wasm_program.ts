/**
 * A plan compiled for WASM: every kernel call with its numbers, over one memory that never grows. A step runs to its end
 * before it returns.
 */

import { elementsOf } from "../../model/model.ts";
import { checkExamples, checkFragment, checkLoad, checkNews, checkParts, checkVector } from "../checks.ts";
import type { CenterNews, Evaluation, StepSettings, Taken, TakenLoss, TakenPayload, TakeRequest } from "../backend.ts";
import type { Fragment } from "../../wire/codec/codec.ts";
import { UPDATE_WORDS, updateWords } from "../optimizer.ts";
import type { Exercise, TakeWords } from "../exercise.ts";
import type { TensorId } from "../operation.ts";
import type { Plan } from "../plan.ts";
import { doExercise, type OperationCalls } from "./exercise.ts";
import { EncodedExchange } from "./encoded_exchange.ts";
import { invocationsOf } from "./invocations.ts";
import { openExecution, type Execution, type ProgramPart, type Threading } from "./execution.ts";
import { invoke, type Instance, type Invocation } from "./kernels.ts";
import { MemoryMap } from "./memory_map.ts";
import type { MemoryView } from "./memory_view.ts";
import {
  copyCounts,
  copyResidual,
  copyVectors,
  emptyReplicaState,
  type ReplicaCounts,
  type ReplicaState,
  type VirtualProgram,
} from "./replica_states.ts";
import type { GradientAt, Share } from "../shares.ts";
import { updateInvocations } from "./update_invocations.ts";
import type { WasmModule } from "./webassembly.ts";

/** `module` is built for shared memory where `threading` is given. */
export async function compileProgram(module: WasmModule, plan: Plan, threading?: Threading): Promise<VirtualProgram> {
  const map = new MemoryMap(plan);
  const byOperation = {
    forward: plan.forward.map((operation) => invocationsOf(operation, map)),
    backward: plan.backward.map((operation) => invocationsOf(operation, map)),
  };
  const update = updateInvocations(map);
  const { instance, execution } = await openExecution(module, map, threading);
  return new WasmProgram(map, { byOperation, update }, instance, execution);
}

/** What a step touches from outside the kernels, as views over the program's memory made once. */
interface Open {
  readonly instance: Instance;
  readonly examples: Uint32Array;
  readonly draw: Uint32Array;
  readonly stepExamples: Uint32Array;
  /** Of the last forward pass, one element per example, by thread. */
  readonly losses: readonly Float32Array[];
  readonly correct: readonly Float32Array[];
  /** Of the last evaluation, `classes` elements per example, by thread. */
  readonly outputs: readonly Float32Array[];
  /** The numbers of the update, and the factor on the gradient where nothing clips it. */
  readonly settings: Float32Array;
  readonly vector: Readonly<Record<VectorName, Float32Array<ArrayBuffer>>>;
  readonly exchange: EncodedExchange;
}

const VECTOR_NAMES = [
  "parameters",
  "gradient",
  "velocity",
  "base",
  "sent",
  "difference",
  "secondMoment",
  "gradientSum",
] as const;
type VectorName = (typeof VECTOR_NAMES)[number];

function open(
  instance: Instance,
  map: MemoryMap,
  views: readonly MemoryView[],
  taken: Float32Array<ArrayBuffer>,
): Open {
  const { microBatch, layout, losses, correct, model } = map.plan;
  const vector = (address: number): Float32Array<ArrayBuffer> =>
    new Float32Array(instance.memory, address, address === 0 ? 0 : layout.elements);
  const perExample = (view: MemoryView, id: TensorId, elements = 1): Float32Array =>
    new Float32Array(instance.memory, view.tensor(id), view.part.count * elements);
  const outputs = outputsOf(map.plan);
  return {
    instance,
    examples: new Uint32Array(instance.memory, map.examples, microBatch),
    draw: new Uint32Array(instance.memory, map.draw, 1),
    stepExamples: new Uint32Array(instance.memory, map.stepExamples, 1),
    losses: views.map((view) => perExample(view, losses)),
    correct: views.map((view) => perExample(view, correct)),
    outputs: views.map((view) => perExample(view, outputs, model.classes)),
    settings: new Float32Array(instance.memory, map.settings, UPDATE_WORDS + 1),
    vector: Object.fromEntries(VECTOR_NAMES.map((name) => [name, vector(map[name])])) as Open["vector"],
    exchange: new EncodedExchange(map, instance, taken),
  };
}

/** What the loss of an evaluation reads: nothing follows that would write over it. */
function outputsOf({ evaluation }: Plan): TensorId {
  const loss = evaluation.at(-1);
  if (loss?.kind !== "softmax-cross-entropy" && loss?.kind !== "mean-squared-error") {
    throw new Error("invariant violation: an evaluation does not end with its loss");
  }
  return loss.outputs;
}

/** The kernel calls that the program's own thread makes. */
interface Calls {
  readonly byOperation: OperationCalls;
  readonly update: readonly Invocation[];
}

class WasmProgram implements VirtualProgram {
  readonly plan: Plan;
  readonly #wasmBytes: number;
  readonly #map: MemoryMap;
  readonly #calls: Calls;
  readonly #execution: Execution;
  readonly #taken: Float32Array<ArrayBuffer>;
  /** Undefined once closed, so that the memory can go. */
  #ifOpen: Open | undefined;
  readonly #counts: ReplicaCounts = { updates: 0, draws: 0, steps: 0, examples: 0, lossSum: 0 };

  constructor(map: MemoryMap, calls: Calls, instance: Instance, execution: Execution) {
    this.plan = map.plan;
    this.#wasmBytes = instance.memory.byteLength;
    this.#map = map;
    this.#calls = calls;
    this.#execution = execution;
    this.#taken = new Float32Array(map.plan.layout.elements);
    this.#ifOpen = open(instance, map, execution.views, this.#taken);
  }

  get memoryBytes(): number {
    return this.#wasmBytes + (this.#ifOpen?.exchange.residual?.byteLength ?? 0);
  }

  loadExamples(first: number, images: Uint8Array, labels: Uint8Array): void {
    checkLoad(this.plan, first, images, labels);
    const imageBytes = elementsOf(this.plan.model.input);
    const { memory } = this.#open.instance;
    new Uint8Array(memory, this.#map.images + first * imageBytes, images.length).set(images);
    new Uint8Array(memory, this.#map.labels + first, labels.length).set(labels);
  }

  writeParameters(parameters: Float32Array): void {
    checkVector(this.plan, "parameters", parameters);
    const { vector } = this.#open;
    vector.parameters.set(parameters);
    vector.base.set(parameters);
    this.#open.exchange.setResidual(undefined);
    this.#forgetUpdates();
  }

  async readParameters(): Promise<Float32Array<ArrayBuffer>> {
    return this.#open.vector.parameters.slice();
  }

  step(examples: Uint32Array, settings: StepSettings): void {
    this.gradientStep(examples);
    const { instance, settings: words } = this.#open;
    this.#counts.updates += 1;
    words.set(updateWords(this.plan.optimizer, settings, this.#counts.updates));
    words[UPDATE_WORDS] = 1;
    invoke(instance, this.#calls.update);
  }

  gradientStep(examples: Uint32Array): void {
    const lossSum = this.#gradient(examples);
    this.#counts.steps += 1;
    this.#counts.examples += examples.length;
    this.#counts.lossSum += lossSum;
  }

  async takeDifference(): Promise<Taken> {
    return this.takeDifferenceNow();
  }

  takeDifferenceNow(): Taken {
    const { parameters, base, sent, difference } = this.#map;
    const { instance, vector } = this.#open;
    instance.kernels.takeDifference(parameters, base, sent, difference, this.plan.layout.elements);
    return this.#take(vector.difference);
  }

  async takeLoss(): Promise<TakenLoss> {
    return this.takeLossNow();
  }

  takeLossNow(): TakenLoss {
    const { steps, examples, lossSum } = this.#counts;
    copyCounts({ ...this.#counts, steps: 0, examples: 0, lossSum: 0 }, this.#counts);
    return { steps, meanLoss: examples === 0 ? 0 : lossSum / examples };
  }

  async takeGradient(): Promise<Taken> {
    return this.takeGradientNow();
  }

  takeGradientNow(): Taken {
    const { gradient, base } = this.#open.vector;
    this.#placeStatistics(base);
    return this.#take(gradient);
  }

  settle(center: Float32Array, movingRate: number): void {
    checkVector(this.plan, "center", center);
    const { parameters, sent, base } = this.#map;
    const { instance, vector } = this.#open;
    vector.base.set(center);
    instance.kernels.settle(parameters, sent, base, this.plan.layout.elements, movingRate);
  }

  rebase(center: Float32Array, keepParameters: boolean): void {
    checkVector(this.plan, "center", center);
    const { vector } = this.#open;
    vector.base.set(center);
    if (keepParameters) return;
    vector.parameters.set(center);
    this.#forgetUpdates();
  }

  async takeEncoded(request: TakeRequest): Promise<TakenPayload> {
    return this.takeEncodedNow(request);
  }

  takeEncodedNow(request: TakeRequest): TakenPayload {
    checkFragment(this.plan, request.fragment);
    const { vector, exchange } = this.#open;
    if (request.what === "gradient") this.#placeStatistics(vector.base);
    return { ...exchange.take(request), ...this.takeLossNow() };
  }

  unsend(fragment: Fragment): void {
    checkFragment(this.plan, fragment);
    this.#open.exchange.unsend(fragment);
  }

  settleOnto(news: CenterNews, pull: number): void {
    checkNews(this.plan, news);
    const { exchange } = this.#open;
    exchange.receive(news);
    exchange.settle(news.fragment, pull);
  }

  rebaseOnto(news: CenterNews, keepParameters: boolean): void {
    checkNews(this.plan, news);
    const { vector, exchange } = this.#open;
    exchange.receive(news);
    if (keepParameters) return;
    const { fromElement, toElement } = news.fragment;
    vector.parameters.set(vector.base.subarray(fromElement, toElement), fromElement);
    if (toElement - fromElement === this.plan.layout.elements) this.#forgetUpdates();
  }

  async evaluate(examples: Uint32Array): Promise<Evaluation> {
    checkExamples(this.plan, examples);
    return this.#evaluate(examples);
  }

  saveReplica(into: ReplicaState = emptyReplicaState(this.plan)): ReplicaState {
    copyVectors(this.#open.vector, into);
    copyCounts(this.#counts, into);
    copyResidual(this.#open.exchange.residual, into);
    return into;
  }

  loadReplica(state: ReplicaState): void {
    checkVector(this.plan, "parameters", state.parameters);
    copyVectors(state, this.#open.vector);
    copyCounts(state, this.#counts);
    this.#open.exchange.setResidual(state.residual);
  }

  gradientAt(parameters: Float32Array, examples: Uint32Array, share?: Share): GradientAt {
    checkVector(this.plan, "parameters", parameters);
    const { vector } = this.#open;
    vector.parameters.set(parameters);
    if (share) this.#counts.draws = share.draw;
    const lossSum = this.#gradient(examples, share?.stepExamples);
    this.#placeStatistics(parameters);
    return { gradient: vector.gradient, meanLoss: lossSum / examples.length };
  }

  evaluateAt(parameters: Float32Array, examples: Uint32Array): Evaluation {
    checkVector(this.plan, "parameters", parameters);
    this.#open.vector.parameters.set(parameters);
    return this.#evaluate(examples);
  }

  outputsAt(parameters: Float32Array, examples: Uint32Array): Float32Array<ArrayBuffer> {
    checkVector(this.plan, "parameters", parameters);
    const { vector, outputs } = this.#open;
    vector.parameters.set(parameters);
    const parts = checkParts(this.plan, examples);
    const taken = new Float32Array(examples.length * this.plan.model.classes);
    let at = 0;
    for (let part = 0; part < parts; part++) {
      this.#run("evaluation", examples, part);
      for (const values of outputs) {
        taken.set(values, at);
        at += values.length;
      }
    }
    return taken;
  }

  async exercise(examples: Uint32Array, exercise: Exercise, take: TakeWords): Promise<void> {
    checkExamples(this.plan, examples);
    this.#gather(examples, 0);
    this.#open.draw[0] = 0;
    this.#open.stepExamples[0] = this.plan.batch;
    doExercise(this.#open.instance, this.#map, this.#calls.byOperation, exercise, take);
  }

  async idle(): Promise<void> {
    // A step is done when it returns.
  }

  close(): void {
    if (this.#ifOpen) this.#execution.close();
    this.#ifOpen = undefined;
  }

  #forgetUpdates(): void {
    const { velocity, secondMoment } = this.#open.vector;
    velocity.fill(0);
    secondMoment.fill(0);
    this.#counts.updates = 0;
  }

  /**
   * Leaves the gradient of any number of parts, scaled for a mean over `of` examples, and returns the sum of these parts'
   * losses. A part is a whole pass: LeNet's batch of 64 in 8 parts takes 1.25 times as long as in one (2-core Xeon 2.5 GHz,
   * Node 24, 2026-11-21).
   */
  #gradient(examples: Uint32Array, of = examples.length): number {
    const parts = checkParts(this.plan, examples);
    const { gradient, gradientSum } = this.#map;
    const { instance, losses, draw, stepExamples, vector } = this.#open;
    stepExamples[0] = of;
    let lossSum = 0;
    for (let part = 0; part < parts; part++) {
      draw[0] = this.#counts.draws++;
      this.#run("forward", examples, part);
      lossSum += sum(losses);
      this.#execution.run("backward");
      // Each part overwrites the gradient, so the sum so far waits elsewhere.
      if (part > 0) instance.kernels.addVector(gradient, gradientSum, this.plan.layout.elements);
      if (part < parts - 1) vector.gradientSum.set(vector.gradient);
    }
    return lossSum;
  }

  /** SPEC E9: in place of a gradient, running statistics come as what `begun` has to lose to become them. */
  #placeStatistics(begun: Float32Array): void {
    const { gradient, parameters } = this.#open.vector;
    const { trainableElements, elements } = this.plan.layout;
    for (let index = trainableElements; index < elements; index++) gradient[index] = begun[index]! - parameters[index]!;
  }

  #evaluate(examples: Uint32Array): Evaluation {
    const parts = checkParts(this.plan, examples);
    const { correct, losses } = this.#open;
    let right = 0;
    let lossSum = 0;
    for (let part = 0; part < parts; part++) {
      this.#run("evaluation", examples, part);
      right += sum(correct);
      lossSum += sum(losses);
    }
    return { correct: right, meanLoss: lossSum / examples.length };
  }

  /** Runs a part of the program on the examples of one part of the batch. */
  #run(what: ProgramPart, examples: Uint32Array, part: number): void {
    this.#gather(examples, part);
    this.#execution.run(what);
  }

  /** Says which examples the next gathering takes. */
  #gather(examples: Uint32Array, part: number): void {
    const { microBatch } = this.plan;
    this.#open.examples.set(examples.subarray(part * microBatch, (part + 1) * microBatch));
  }

  #take(values: Float32Array<ArrayBuffer>): Taken {
    this.#taken.set(values);
    return { values: this.#taken, ...this.takeLossNow() };
  }

  get #open(): Open {
    if (!this.#ifOpen) throw new Error("The program is closed.");
    return this.#ifOpen;
  }
}

function sum(parts: readonly Float32Array[]): number {
  let total = 0;
  for (const values of parts) for (const value of values) total += value;
  return total;
}
