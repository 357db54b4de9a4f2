/**
 * A simulation's vectors, on real data: one center, applied by the appliers' own core, and one program of the WASM backend that
 * trains all virtual replicas in turn. Every vector is an area of the center's memory: what a replica holds between two events is
 * its parameters, a velocity where it has momentum, and the center that it was answered with, which others may hold too.
 */

import type { Kernels } from "../center/kernels.ts";
import type { ApplierCore } from "../center/applier.ts";
import type { CenterMemory } from "../center/center_memory.ts";
import type { Control } from "../center/control.ts";
import { SOUND, NOT_FINITE } from "../center/kernels.ts";
import type { VirtualProgram, ReplicaState } from "../../shared/engine/wasm/replica_states.ts";
import { hasSecondMoment } from "../../shared/engine/optimizer.ts";
import { randomFor, Sampler } from "../../shared/sampler.ts";
import type { ReplicaRule } from "../../shared/solver/replica_rule.ts";
import {
  OBJECT_BYTES,
  type Arithmetic,
  type CenterJob,
  type CenterState,
  type Judgement,
  type Pass,
  type TooStale,
} from "./arithmetic.ts";
import type { Judge } from "./judge.ts";
import type { Parcel, Push } from "./messages.ts";
import type { OwnVectors, VirtualReplica } from "./virtual_replica.ts";

export interface VectorOptions {
  readonly memory: CenterMemory;
  readonly kernels: Kernels;
  readonly control: Control;
  readonly core: ApplierCore;
  readonly program: VirtualProgram;
  readonly judge: Judge;
  readonly rule: ReplicaRule;
  readonly seed: number;
  readonly weightDecay: number;
  readonly maxMagnitude: number;
  readonly replicas: number;
}

const NO_VECTOR = new Float32Array(0);
/** What a sampler keeps for each example. */
const SAMPLER_BYTES = 4;

export class VectorArithmetic implements Arithmetic {
  readonly #options: VectorOptions;
  readonly #padded: number;
  readonly #live = new Set<number>();
  #mostLive = 0;
  /** The last copy that was made of the center. */
  #copy: { readonly parcel: Parcel; readonly version: number } | undefined;

  constructor(options: VectorOptions) {
    this.#options = options;
    this.#padded = options.memory.layout.paddedElements;
  }

  get version(): number {
    return this.#options.control.version;
  }

  get memory(): Arithmetic["memory"] {
    const { program, judge, replicas, memory } = this.#options;
    const vectorBytes = 4 * memory.layout.paddedElements;
    const order = SAMPLER_BYTES * program.plan.datasetExamples;
    return {
      bytesPerReplica: Math.round((this.#mostLive * vectorBytes) / replicas) + order + OBJECT_BYTES,
      sharedBytes: program.memoryBytes + judge.memoryBytes + 3 * vectorBytes,
    };
  }

  centerCopy(): Parcel {
    if (this.#copy?.version === this.version && this.#copy.parcel.users > 0) return this.retain(this.#copy.parcel);
    const parcel = this.#newParcel();
    this.#options.kernels.copy(parcel.area, this.#options.memory.layout.center, this.#padded);
    this.#copy = { parcel, version: this.version };
    return parcel;
  }

  retain(parcel: Parcel): Parcel {
    parcel.users++;
    return parcel;
  }

  release(parcel: Parcel): void {
    if (parcel.users < 1) throw new Error("invariant violation: a vector was let go twice");
    parcel.users--;
    if (parcel.users === 0) this.#return(parcel.area);
  }

  begin(replica: VirtualReplica, center: Parcel): void {
    const { rule, kernels } = this.#options;
    if (rule.takesGradients) {
      replica.base = center;
      return;
    }
    const parameters = this.#take();
    kernels.copy(parameters, center.area, this.#padded);
    replica.vectors = {
      parameters,
      velocity: undefined,
      secondMoment: undefined,
      sent: undefined,
      updates: 0,
      draws: 0,
    };
    this.#keepBase(replica, center);
  }

  forget(replica: VirtualReplica): void {
    const { vectors } = replica;
    if (vectors) {
      for (const area of [vectors.parameters, vectors.velocity, vectors.secondMoment, vectors.sent]) {
        if (area !== undefined) this.#return(area);
      }
    }
    replica.vectors = undefined;
    if (replica.base) this.release(replica.base);
    replica.base = undefined;
  }

  train(replica: VirtualReplica): void {
    const { untrainedSteps: steps, assignment } = replica;
    if (steps === 0) return;
    replica.untrainedSteps = 0;
    const { program, weightDecay } = this.#options;
    const { learningRate, momentum, samples } = assignment;
    const state = this.#stateOf(vectorsOf(replica), momentum !== 0);
    program.loadReplica(state);
    for (let step = 0; step < steps; step++) {
      program.step(this.#samplerOf(replica).draw(samples), { learningRate, momentum, weightDecay });
    }
    program.saveReplica(state);
    const { updates, draws } = state;
    Object.assign(vectorsOf(replica), { updates, draws });
    replica.lossSum += state.lossSum;
  }

  examplesFor(replica: VirtualReplica): Uint32Array {
    return this.#samplerOf(replica).draw(replica.assignment.samples);
  }

  take(replica: VirtualReplica, pulled: Parcel | undefined, rate: number): Parcel {
    const { kernels, rule } = this.#options;
    const vector = this.#newParcel();
    kernels.copy(vector.area, vectorsOf(replica).parameters, this.#padded);
    const from = pulled ?? (rule.content === "update" ? replica.base : undefined);
    if (from) kernels.addWeighted(vector.area, from.area, this.#padded, -1);
    if (pulled) kernels.divide(vector.area, this.#padded, 1 / rate);
    return vector;
  }

  settle(replica: VirtualReplica, center: Parcel, pull: number): void {
    if (this.#options.rule.takesGradients) {
      if (replica.base) this.release(replica.base);
      replica.base = center;
      return;
    }
    const vectors = vectorsOf(replica);
    const { kernels } = this.#options;
    if (replica.untrainedSteps > 0) {
      vectors.sent = this.#take();
      kernels.copy(vectors.sent, vectors.parameters, this.#padded);
      this.train(replica);
    }
    this.#moveTowards(vectors, center, pull);
    this.#keepBase(replica, center);
  }

  complete(push: Push): "sound" | "not-finite" | "out-of-bounds" {
    const { program, memory, kernels, maxMagnitude } = this.#options;
    const { base, examples } = push;
    if (base && examples && push.vector === undefined) {
      const vector = this.#newParcel();
      const { gradient, meanLoss } = program.gradientAt(memory.values(base.area), examples);
      memory.values(vector.area).set(gradient);
      push.vector = vector;
      push.lossSum = meanLoss * examples.length;
    }
    if (!push.vector) throw new Error("invariant violation: a push of nothing");
    if (!Number.isFinite(push.lossSum)) return "not-finite";
    const found = kernels.check(push.vector.area, this.#padded, maxMagnitude);
    if (found === SOUND) return "sound";
    return found === NOT_FINITE ? "not-finite" : "out-of-bounds";
  }

  openSum(): Parcel {
    const sum = this.#newParcel();
    this.#options.core.clear(sum.area);
    return sum;
  }

  addToSum(sum: Parcel, { vector }: Push, weight: number): void {
    if (vector) this.#options.core.addToSum(sum.area, vector.area, weight);
  }

  divideSum(sum: Parcel, weight: number): void {
    this.#options.kernels.divide(sum.area, this.#padded, weight);
  }

  beginApply({ area }: Parcel, { base, ...job }: CenterJob): Pass | TooStale {
    const { core } = this.#options;
    const pass = core.beginApply(area, base ? { ...job, base: base.area } : job);
    if ("verdict" in pass) return pass;
    const padded = this.#padded;
    const edge = (range: number, ranges: number): number => Math.floor((padded * range) / ranges / 16) * 16;
    return {
      applyRange: (range, ranges) => core.applyRange(pass, edge(range, ranges), edge(range + 1, ranges)),
      complete: () => core.completeApply(pass),
    };
  }

  judge(): Judgement {
    const { judge, memory } = this.#options;
    return judge.judge(memory.values(memory.layout.center));
  }

  snapshot(): CenterState {
    const { memory } = this.#options;
    return {
      parameters: new Float32Array(memory.values(memory.layout.center)),
      velocity: new Float32Array(memory.values(memory.layout.velocity)),
    };
  }

  restore({ parameters, velocity }: CenterState): void {
    const { memory, core, control } = this.#options;
    for (const area of this.#live) memory.returnArea(area);
    this.#live.clear();
    this.#copy = undefined;
    memory.values(memory.layout.center).set(parameters);
    memory.values(memory.layout.velocity).set(velocity);
    core.clear(memory.layout.accumulator);
    control.deposits = 0;
    control.hasVelocity = true;
    control.completeApply();
  }

  /** x <- x - p (x_sent - y), in the order of the engine's kernel. */
  #moveTowards(vectors: OwnVectors, { area, users }: Parcel, pull: number): void {
    const { kernels } = this.#options;
    const { parameters } = vectors;
    if (vectors.sent === undefined && pull === 1) return kernels.copy(parameters, area, this.#padded);
    if (vectors.sent === undefined && users === 1 && this.#options.rule.content === "parameters") {
      // Nobody needs the answer any more.
      return kernels.swapElastic(parameters, area, this.#padded, pull);
    }
    const sent = vectors.sent ?? this.#take();
    if (vectors.sent === undefined) kernels.copy(sent, parameters, this.#padded);
    kernels.addWeighted(sent, area, this.#padded, -1);
    kernels.addWeighted(parameters, sent, this.#padded, -pull);
    vectors.sent = undefined;
    this.#return(sent);
  }

  /** Updates are the way from the base: it is kept until the next push. */
  #keepBase(replica: VirtualReplica, center: Parcel): void {
    if (replica.base) this.release(replica.base);
    replica.base = undefined;
    if (this.#options.rule.content === "update") replica.base = center;
    else this.release(center);
  }

  #stateOf(vectors: OwnVectors, hasMomentum: boolean): ReplicaState {
    const { memory, program } = this.#options;
    const isAdaptive = hasSecondMoment(program.plan.optimizer);
    if ((hasMomentum || isAdaptive) && vectors.velocity === undefined) vectors.velocity = this.#zeros();
    if (isAdaptive && vectors.secondMoment === undefined) vectors.secondMoment = this.#zeros();
    const view = (area: number | undefined): Float32Array => (area === undefined ? NO_VECTOR : memory.values(area));
    return {
      parameters: view(vectors.parameters),
      base: NO_VECTOR,
      sent: NO_VECTOR,
      velocity: view(vectors.velocity),
      secondMoment: view(vectors.secondMoment),
      updates: vectors.updates,
      draws: vectors.draws,
      steps: 0,
      examples: 0,
      lossSum: 0,
    };
  }

  #samplerOf(replica: VirtualReplica): Sampler {
    if (!replica.sampler) {
      replica.sampler = new Sampler(randomFor(this.#options.seed, replica.id));
      replica.sampler.add({ first: 0, count: this.#options.program.plan.datasetExamples });
    }
    return replica.sampler;
  }

  #zeros(): number {
    const area = this.#take();
    this.#options.core.clear(area);
    return area;
  }

  #newParcel(): Parcel {
    return { area: this.#take(), users: 1 };
  }

  #take(): number {
    const area = this.#options.memory.takeArea();
    this.#live.add(area);
    this.#mostLive = Math.max(this.#mostLive, this.#live.size);
    return area;
  }

  #return(area: number): void {
    this.#live.delete(area);
    this.#options.memory.returnArea(area);
  }
}

function vectorsOf({ vectors, id }: VirtualReplica): OwnVectors {
  if (!vectors) throw new Error(`invariant violation: replica ${id} has no parameters`);
  return vectors;
}
