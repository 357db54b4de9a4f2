/**
 * A plan compiled for one GPU device: every buffer, pipeline and bind group exists before the first step. A step writes
 * the indices of its examples (and the settings where they changed), encodes one compute pass and submits once.
 */

import { elementsOf } from "../../model/model.ts";
import type { Evaluation, Program, StepSettings, Taken } from "../backend.ts";
import type { Operation } from "../operation.ts";
import type { Exercise, TakeWords } from "../exercise.ts";
import type { Plan } from "../plan.ts";
import type { DeviceWatch } from "./device_watch.ts";
import { overVectors } from "./dispatch.ts";
import { doExercise } from "./exercise.ts";
import type { Kernels, PreparedDispatch } from "./kernels.ts";
import type { ChooseCandidate, DeviceTraits } from "./choice/candidate.ts";
import { ruleOf } from "./choice/rule.ts";
import { imageWords, PlanMemory, TOTAL_WORDS } from "./memory.ts";
import type { Surroundings } from "./layers/surroundings.ts";
import { lossTotal } from "./layers/loss.ts";
import type { ScratchElements } from "./algorithms/operands.ts";
import { dispatchesOf, scratchOf } from "./operations.ts";
import { Readback } from "./readback.ts";

/** The launches of a program, by what runs them. */
interface Launches {
  /** For each operation of the plan's `forward` its launches. */
  readonly forward: readonly (readonly PreparedDispatch[])[];
  /** For each operation of the plan's `evaluation` its launches. */
  readonly evaluation: readonly (readonly PreparedDispatch[])[];
  readonly lossTotal: readonly PreparedDispatch[];
  /** For each operation of the plan's `backward` its launches. */
  readonly backward: readonly (readonly PreparedDispatch[])[];
  readonly update: readonly PreparedDispatch[];
  readonly difference: readonly PreparedDispatch[];
  readonly settle: readonly PreparedDispatch[];
}

export async function compileProgram(
  watch: DeviceWatch,
  kernels: Kernels,
  traits: DeviceTraits,
  plan: Plan,
  choose: ChooseCandidate = ruleOf(traits),
): Promise<WebGpuProgram> {
  watch.check();
  const memory = new PlanMemory(watch.device, plan, scratchOfPlan(plan, traits, choose));
  const prepare = (chosen: ChooseCandidate): Promise<Launches> => prepareAll(kernels, { memory, traits }, chosen);
  try {
    const launches = await prepare(choose);
    watch.check();
    return new WebGpuProgram(watch, memory, launches, {
      prepare,
      scratch: (chosen) => scratchOfPlan(plan, traits, chosen),
    });
  } catch (error) {
    memory.close();
    throw error;
  }
}

/** What compiling once more takes, with other kernels for the same plan. */
interface Compiler {
  readonly prepare: (choose: ChooseCandidate) => Promise<Launches>;
  readonly scratch: (choose: ChooseCandidate) => ScratchElements;
}

/** Operations use the scratch buffers one after another. */
function scratchOfPlan(plan: Plan, traits: DeviceTraits, choose: ChooseCandidate): ScratchElements {
  const operations = [...plan.forward, ...plan.backward, ...plan.evaluation];
  const scratch = operations.map((operation) => scratchOf(operation, traits, choose));
  return {
    lowered: Math.max(...scratch.map(({ lowered }) => lowered)),
    products: Math.max(...scratch.map(({ products }) => products)),
  };
}

async function prepareAll(kernels: Kernels, around: Surroundings, choose: ChooseCandidate): Promise<Launches> {
  const { memory } = around;
  const { plan } = memory;
  const { layout } = plan;
  const { parameters, gradient, velocity, base, sent, difference } = memory.vectors;
  const each = (operations: readonly Operation[]): Promise<PreparedDispatch[][]> =>
    Promise.all(operations.map((operation) => kernels.prepare(dispatchesOf(operation, around, choose))));
  const vectors = (shader: string, elements: number, ...buffers: GPUBuffer[]): Promise<PreparedDispatch[]> =>
    kernels.prepare([
      overVectors(
        shader,
        shader,
        elements,
        buffers.map((buffer) => ({ buffer })),
      ),
    ]);
  // Asked for together, so that the browser compiles them together.
  const [forward, evaluation, total, backward, update, taking, settle] = await Promise.all([
    each(plan.forward),
    each(plan.evaluation),
    kernels.prepare([lossTotal(memory)]),
    each(plan.backward),
    vectors("update", layout.trainableElements, memory.settings, gradient, velocity, parameters),
    vectors("elastic_difference", layout.elements, parameters, base, sent, difference),
    vectors("elastic_settle", layout.elements, memory.pull, sent, base, parameters),
  ]);
  return { forward, evaluation, lossTotal: total, backward, update, difference: taking, settle };
}

export class WebGpuProgram implements Program {
  readonly plan: Plan;
  /** For tests and measurements: buffers and launches of this program. */
  readonly memory: PlanMemory;
  launches: Launches;
  readonly #watch: DeviceWatch;
  readonly #compiler: Compiler;
  readonly #queue: GPUQueue;
  readonly #readback: Readback;
  readonly #evaluation: Readback;
  #gradientStep: readonly PreparedDispatch[] = [];
  #step: readonly PreparedDispatch[] = [];
  readonly #taken: Float32Array<ArrayBuffer>;
  readonly #settings = new Float32Array(3).fill(Number.NaN);
  #steps = 0;
  #closed = false;

  constructor(watch: DeviceWatch, memory: PlanMemory, launches: Launches, compiler: Compiler) {
    this.plan = memory.plan;
    this.memory = memory;
    this.launches = launches;
    this.#compiler = compiler;
    this.#useLaunches(launches);
    this.#watch = watch;
    this.#queue = watch.device.queue;
    this.#readback = new Readback(memory.readback);
    this.#evaluation = new Readback(memory.evaluation);
    this.#taken = new Float32Array(memory.plan.layout.elements);
  }

  loadExamples(first: number, images: Uint8Array, labels: Uint8Array): void {
    this.#check();
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
    if (label >= 0)
      throw new Error(`Example ${first + label} has label ${labels[label]}; there are ${model.classes} classes.`);
    const rowBytes = imageWords(this.plan) * 4;
    this.#queue.writeBuffer(this.memory.images, first * rowBytes, wholeWords(images, imageBytes, rowBytes));
    this.#queue.writeBuffer(this.memory.labels, first * 4, Uint32Array.from(labels));
  }

  writeParameters(parameters: Float32Array): void {
    this.#checkVector("parameters", parameters);
    this.#write(this.memory.vectors.parameters, parameters);
    this.#write(this.memory.vectors.base, parameters);
    this.#clear(this.memory.vectors.velocity);
  }

  readParameters(): Promise<Float32Array<ArrayBuffer>> {
    const { parameters } = this.memory.vectors;
    return this.#readBack(
      (encoder, staging) => encoder.copyBufferToBuffer(parameters, 0, staging, 0, parameters.size),
      (words) => words.slice(0, this.plan.layout.elements),
    );
  }

  step(examples: Uint32Array, settings: StepSettings): void {
    this.#check();
    this.#writeExamples(examples);
    this.#writeSettings(settings);
    this.#submit((encoder) => runPass(encoder, this.#step));
    this.#steps += 1;
  }

  gradientStep(examples: Uint32Array): void {
    this.#check();
    this.#writeExamples(examples);
    this.#submit((encoder) => runPass(encoder, this.#gradientStep));
    this.#steps += 1;
  }

  takeDifference(): Promise<Taken> {
    return this.#take(this.memory.vectors.difference, this.launches.difference);
  }

  takeGradient(): Promise<Taken> {
    return this.#take(this.memory.vectors.gradient, []);
  }

  settle(center: Float32Array, movingRate: number): void {
    this.#checkVector("center", center);
    this.#write(this.memory.vectors.base, center);
    this.#queue.writeBuffer(this.memory.pull, 0, Float32Array.of(movingRate));
    this.#submit((encoder) => runPass(encoder, this.launches.settle));
  }

  rebase(center: Float32Array, keepParameters: boolean): void {
    this.#checkVector("center", center);
    this.#write(this.memory.vectors.base, center);
    if (keepParameters) return;
    this.#write(this.memory.vectors.parameters, center);
    this.#clear(this.memory.vectors.velocity);
  }

  async evaluate(examples: Uint32Array): Promise<Evaluation> {
    this.#check();
    const { batch, losses, correct } = this.plan;
    const evaluation = await this.#evaluation.take(
      (staging) => {
        this.#writeExamples(examples);
        this.#submit((encoder) => {
          runPass(encoder, this.launches.evaluation.flat());
          for (const [index, tensor] of [losses, correct].entries()) {
            encoder.copyBufferToBuffer(this.memory.tensor(tensor).buffer, 0, staging, index * batch * 4, batch * 4);
          }
        });
      },
      (words) => ({ correct: sum(words.subarray(batch, 2 * batch)), meanLoss: sum(words.subarray(0, batch)) / batch }),
    );
    this.#check();
    return evaluation;
  }

  async exercise(examples: Uint32Array, exercise: Exercise, take: TakeWords): Promise<void> {
    this.#check();
    this.#writeExamples(examples);
    const { memory, launches } = this;
    await doExercise({ device: this.#watch.device, memory, launches, runPass }, exercise, take);
    this.#check();
  }

  async idle(): Promise<void> {
    this.#check();
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
      this.#useLaunches(launches);
      exchange.keepNew();
    } catch (error) {
      exchange.keepOld();
      throw error;
    }
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.memory.close();
  }

  #useLaunches(launches: Launches): void {
    this.launches = launches;
    this.#gradientStep = [...launches.forward.flat(), ...launches.lossTotal, ...launches.backward.flat()];
    this.#step = [...this.#gradientStep, ...launches.update];
  }

  async #take(vector: GPUBuffer, before: readonly PreparedDispatch[]): Promise<Taken> {
    const { total } = this.memory;
    const { elements } = this.plan.layout;
    let steps = 0;
    const lossSum = await this.#readBack(
      (encoder, staging) => {
        steps = this.#steps;
        this.#steps = 0;
        if (before.length > 0) runPass(encoder, before);
        encoder.copyBufferToBuffer(vector, 0, staging, 0, elements * 4);
        encoder.copyBufferToBuffer(total, 0, staging, elements * 4, TOTAL_WORDS * 4);
        encoder.clearBuffer(total);
      },
      (words) => {
        this.#taken.set(words.subarray(0, elements));
        return words[elements]!;
      },
    );
    return { values: this.#taken, steps, meanLoss: steps === 0 ? 0 : lossSum / steps };
  }

  async #readBack<T>(
    encode: (encoder: GPUCommandEncoder, staging: GPUBuffer) => void,
    use: (words: Float32Array<ArrayBuffer>) => T,
  ): Promise<T> {
    this.#check();
    const result = await this.#readback.take((staging) => this.#submit((encoder) => encode(encoder, staging)), use);
    this.#check();
    return result;
  }

  #submit(encode: (encoder: GPUCommandEncoder) => void): void {
    const encoder = this.#watch.device.createCommandEncoder();
    encode(encoder);
    this.#queue.submit([encoder.finish()]);
  }

  #clear(buffer: GPUBuffer): void {
    this.#submit((encoder) => encoder.clearBuffer(buffer));
  }

  #write(buffer: GPUBuffer, vector: Float32Array): void {
    this.#queue.writeBuffer(buffer, 0, vector);
  }

  /** writeBuffer and submit keep their order on the queue, so one buffer serves every step. */
  #writeExamples(examples: Uint32Array): void {
    const { batch, datasetExamples } = this.plan;
    if (examples.length !== batch) {
      throw new Error(`A batch of ${examples.length} examples came; the plan was compiled for ${batch}.`);
    }
    const outside = examples.find((example) => example >= datasetExamples);
    if (outside !== undefined) throw new Error(`Example ${outside} is outside the data set of ${datasetExamples}.`);
    this.#queue.writeBuffer(this.memory.examples, 0, examples);
  }

  #writeSettings({ learningRate, momentum, weightDecay }: StepSettings): void {
    const settings = Float32Array.of(learningRate, momentum, weightDecay);
    if (settings.every((value, index) => value === this.#settings[index])) return;
    this.#settings.set(settings);
    this.#queue.writeBuffer(this.memory.settings, 0, settings);
  }

  #checkVector(name: string, vector: Float32Array): void {
    this.#check();
    const { elements } = this.plan.layout;
    if (vector.length !== elements) {
      throw new Error(`The ${name} given have ${vector.length} elements; the layout has ${elements}.`);
    }
  }

  #check(): void {
    this.#watch.check();
    if (this.#closed) throw new Error("The program is closed.");
  }
}

/** Encodes launches into one compute pass. WebGPU orders their memory accesses. */
export function runPass(
  encoder: GPUCommandEncoder,
  launches: readonly PreparedDispatch[],
  timestampWrites?: GPUComputePassTimestampWrites,
): void {
  const pass = encoder.beginComputePass(timestampWrites && { timestampWrites });
  for (const { pipeline, bindGroup, workgroups } of launches) {
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, bindGroup);
    pass.dispatchWorkgroups(...workgroups);
  }
  pass.end();
}

/** Images with each row padded to whole words, as the device holds them. */
function wholeWords(images: Uint8Array, imageBytes: number, rowBytes: number): Uint8Array {
  if (imageBytes === rowBytes) return images;
  const count = images.length / imageBytes;
  const padded = new Uint8Array(count * rowBytes);
  for (let image = 0; image < count; image++) {
    padded.set(images.subarray(image * imageBytes, (image + 1) * imageBytes), image * rowBytes);
  }
  return padded;
}

function sum(words: Float32Array): number {
  return words.reduce((total, value) => total + value, 0);
}
