/**
 * A plan compiled for WASM: every kernel call with its numbers, over one memory that never grows. A step runs to its end
 * before it returns.
 */

import { elementsOf } from "../../model/model.ts";
import type { Evaluation, Program, StepSettings, Taken } from "../backend.ts";
import type { Plan, TensorId } from "../plan.ts";
import { invocationsOf } from "./invocations.ts";
import { instantiate, invoke, type Instance, type Invocation, type Kernel } from "./kernels.ts";
import { MemoryMap } from "./memory_map.ts";
import type { WasmModule } from "./webassembly.ts";

export async function compileProgram(module: WasmModule, plan: Plan): Promise<Program> {
  const map = new MemoryMap(plan);
  const forward = plan.forward.flatMap((operation) => invocationsOf(operation, map));
  const backward = plan.backward.flatMap((operation) => invocationsOf(operation, map));
  return new WasmProgram(map, forward, backward, await instantiate(module, map));
}

class WasmProgram implements Program {
  readonly plan: Plan;
  readonly #map: MemoryMap;
  readonly #forward: readonly Invocation[];
  readonly #backward: readonly Invocation[];
  readonly #taken: Float32Array<ArrayBuffer>;
  #instance: Instance | undefined;
  #steps = 0;
  #lossSum = 0;

  constructor(map: MemoryMap, forward: readonly Invocation[], backward: readonly Invocation[], instance: Instance) {
    this.plan = map.plan;
    this.#map = map;
    this.#forward = forward;
    this.#backward = backward;
    this.#instance = instance;
    this.#taken = new Float32Array(map.plan.layout.elements);
  }

  loadExamples(first: number, images: Uint8Array, labels: Uint8Array): void {
    const { datasetExamples, model } = this.plan;
    const imageBytes = elementsOf(model.input);
    const count = labels.length;
    if (images.length !== count * imageBytes) {
      throw new Error(`${count} labels came with ${images.length} bytes of images; they need ${count * imageBytes}.`);
    }
    if (!Number.isInteger(first) || first < 0 || first + count > datasetExamples) {
      throw new Error(`Examples ${first} to ${first + count - 1} do not fit into a data set of ${datasetExamples}.`);
    }
    const label = labels.findIndex((value) => value >= model.classes);
    if (label >= 0) throw new Error(`Example ${first + label} has label ${labels[label]}; there are ${model.classes} classes.`);
    const { memory } = this.#open();
    new Uint8Array(memory, this.#map.images + first * imageBytes, images.length).set(images);
    new Uint8Array(memory, this.#map.labels + first, count).set(labels);
  }

  writeParameters(parameters: Float32Array): void {
    this.#checkVector("parameters", parameters);
    this.#vector(this.#map.parameters).set(parameters);
    this.#vector(this.#map.base).set(parameters);
    this.#vector(this.#map.velocity).fill(0);
  }

  async readParameters(): Promise<Float32Array<ArrayBuffer>> {
    return this.#vector(this.#map.parameters).slice();
  }

  step(examples: Uint32Array, settings: StepSettings): void {
    this.gradientStep(examples);
    const { parameters, velocity, gradient } = this.#map;
    const { learningRate, momentum, weightDecay } = settings;
    this.#kernel("heavyBall")(
      parameters, velocity, gradient, this.plan.layout.elements, learningRate, momentum, weightDecay,
    );
  }

  gradientStep(examples: Uint32Array): void {
    this.#runForward(examples);
    invoke(this.#open(), this.#backward);
    this.#lossSum += this.#sum(this.plan.losses);
    this.#steps += 1;
  }

  async takeDifference(): Promise<Taken> {
    const { parameters, base, sent, difference } = this.#map;
    this.#kernel("takeDifference")(parameters, base, sent, difference, this.plan.layout.elements);
    return this.#take(difference);
  }

  async takeGradient(): Promise<Taken> {
    return this.#take(this.#map.gradient);
  }

  settle(center: Float32Array, movingRate: number): void {
    this.#checkVector("center", center);
    const { parameters, sent, base } = this.#map;
    this.#vector(base).set(center);
    this.#kernel("settle")(parameters, sent, base, this.plan.layout.elements, movingRate);
  }

  rebase(center: Float32Array, keepParameters: boolean): void {
    this.#checkVector("center", center);
    this.#vector(this.#map.base).set(center);
    if (keepParameters) return;
    this.#vector(this.#map.parameters).set(center);
    this.#vector(this.#map.velocity).fill(0);
  }

  async evaluate(examples: Uint32Array): Promise<Evaluation> {
    this.#runForward(examples);
    return { correct: this.#sum(this.plan.correct), meanLoss: this.#sum(this.plan.losses) / this.plan.batch };
  }

  async idle(): Promise<void> {
    // A step is done when it returns.
  }

  close(): void {
    this.#instance = undefined;
  }

  #runForward(examples: Uint32Array): void {
    const { batch, datasetExamples } = this.plan;
    if (examples.length !== batch) {
      throw new Error(`A batch of ${examples.length} examples came; the plan was compiled for ${batch}.`);
    }
    const outside = examples.find((example) => example >= datasetExamples);
    if (outside !== undefined) throw new Error(`Example ${outside} is outside the data set of ${datasetExamples}.`);
    const instance = this.#open();
    new Uint32Array(instance.memory, this.#map.examples, batch).set(examples);
    invoke(instance, this.#forward);
  }

  #take(address: number): Taken {
    const steps = this.#steps;
    const meanLoss = steps === 0 ? 0 : this.#lossSum / (steps * this.plan.batch);
    this.#steps = 0;
    this.#lossSum = 0;
    this.#taken.set(this.#vector(address));
    return { values: this.#taken, steps, meanLoss };
  }

  #sum(tensor: TensorId): number {
    const values = new Float32Array(this.#open().memory, this.#map.tensor(tensor), this.plan.batch);
    return values.reduce((total, value) => total + value, 0);
  }

  #vector(address: number): Float32Array<ArrayBuffer> {
    return new Float32Array(this.#open().memory, address, this.plan.layout.elements);
  }

  #kernel(name: "heavyBall" | "takeDifference" | "settle"): Kernel {
    return this.#open().kernels[name];
  }

  #checkVector(name: string, vector: Float32Array): void {
    const { elements } = this.plan.layout;
    if (vector.length !== elements) {
      throw new Error(`The ${name} given have ${vector.length} elements; the layout has ${elements}.`);
    }
  }

  #open(): Instance {
    if (!this.#instance) throw new Error("The program is closed.");
    return this.#instance;
  }
}
