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
import { fragmentOf, wholeOf, type Fragment } from "../../shared/wire/codec/codec.ts";
import type { Codecs } from "../../shared/wire/vectors.ts";
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
import { Coder } from "./coder.ts";
import type { OwnVectors, ReplicaBase, VirtualReplica } from "./virtual_replica.ts";

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
  readonly codecs: Codecs;
  readonly fragments: number;
}

/** For the center's kernels: `count` elements, a multiple of 16, that begin `at` bytes into every vector. */
interface ByteRange {
  readonly at: number;
  readonly count: number;
}

const NO_VECTOR = new Float32Array(0);
/** What a sampler keeps for each example. */
const SAMPLER_BYTES = 4;

export class VectorArithmetic implements Arithmetic {
  readonly #options: VectorOptions;
  readonly #padded: number;
  /** Of pushes, and of the center; undefined for f32. */
  readonly #coderUp: Coder | undefined;
  readonly #coderDown: Coder | undefined;
  readonly #live = new Set<number>();
  #mostLive = 0;
  /** Areas of what the encoded gradients of replicas left out. */
  readonly #residuals = new Map<VirtualReplica, number>();
  /** The last copy that was made of the center. */
  #copy: { readonly parcel: Parcel; readonly version: number } | undefined;

  constructor(options: VectorOptions) {
    this.#options = options;
    const { memory, kernels, codecs } = options;
    this.#padded = memory.layout.paddedElements;
    this.#coderUp = codecs.up === "f32" ? undefined : new Coder(memory, kernels, codecs.up);
    this.#coderDown = codecs.down === "f32" ? undefined : new Coder(memory, kernels, codecs.down);
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
    if (rule.takesGradients) return this.#keepBase(replica.bases, center);
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
    this.#keepBase(replica.bases, center);
  }

  forget(replica: VirtualReplica): void {
    const { vectors } = replica;
    if (vectors) {
      for (const area of [vectors.parameters, vectors.velocity, vectors.secondMoment, vectors.sent]) {
        if (area !== undefined) this.#return(area);
      }
    }
    replica.vectors = undefined;
    const residual = this.#residuals.get(replica);
    if (residual !== undefined) this.#return(residual);
    this.#residuals.delete(replica);
    for (const base of replica.bases) this.#letGo(base);
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
    if (this.#coderUp) return this.#takeEncoded(replica, this.#coderUp);
    const { kernels, rule } = this.#options;
    const vector = this.#newParcel();
    const base = replica.baseOf(replica.fragment).center;
    const { at, count } = this.#rangeOf(replica.fragment);
    kernels.copy(vector.area + at, vectorsOf(replica).parameters + at, count);
    const from = pulled ?? (rule.content === "update" ? base : undefined);
    if (from) kernels.addWeighted(vector.area + at, from.area + at, count, -1);
    if (pulled) kernels.divide(vector.area + at, count, 1 / rate);
    return vector;
  }

  settle(replica: VirtualReplica, center: Parcel, pull: number): void {
    const base = replica.baseOf(replica.fragment);
    if (this.#options.rule.takesGradients) return this.#keepBase([base], center);
    const vectors = vectorsOf(replica);
    if (replica.untrainedSteps > 0) {
      if (vectors.sent === undefined) {
        const { at, count } = this.#rangeOf(replica.fragment);
        vectors.sent = this.#take();
        this.#options.kernels.copy(vectors.sent + at, vectors.parameters + at, count);
      }
      this.train(replica);
    }
    this.#moveTowards(vectors, center, pull, this.#rangeOf(replica.fragment));
    this.#keepBase([base], center);
  }

  publish(from: Parcel): Parcel {
    const { memory } = this.#options;
    if (!this.#coderDown) throw new Error("invariant violation: a center in f32 is published");
    const parcel = this.#newParcel();
    this.#coderDown.addChange(parcel.area, from.area, memory.layout.center, wholeOf(memory.elements));
    return parcel;
  }

  complete(push: Push): "sound" | "not-finite" | "out-of-bounds" {
    const { program, memory, kernels, maxMagnitude } = this.#options;
    const { base, examples, fragment } = push;
    if (base && examples && push.vector === undefined) {
      const vector = this.#newParcel();
      const { gradient, meanLoss } = program.gradientAt(memory.values(base.area), examples);
      memory.values(vector.area).set(gradient);
      if (this.#coderUp) this.#encodeGradient(push, vector.area, this.#coderUp);
      push.vector = vector;
      push.lossSum = meanLoss * examples.length;
    }
    if (!push.vector) throw new Error("invariant violation: a push of nothing");
    if (!Number.isFinite(push.lossSum)) return "not-finite";
    const { at, count } = this.#rangeOf(fragment);
    const found = kernels.check(push.vector.area + at, count, maxMagnitude);
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

  beginApply({ area }: Parcel, { base, fragment, ...job }: CenterJob): Pass | TooStale {
    const { core } = this.#options;
    const pass = core.beginApply(area, base ? { ...job, base: base.area } : job);
    if ("verdict" in pass) return pass;
    const { fromElement } = fragment;
    const elements = this.#paddedEnd(fragment) - fromElement;
    const edge = (range: number, ranges: number): number =>
      fromElement + Math.floor((elements * range) / ranges / 16) * 16;
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
    this.#residuals.clear();
    this.#copy = undefined;
    memory.values(memory.layout.center).set(parameters);
    memory.values(memory.layout.velocity).set(velocity);
    core.clear(memory.layout.accumulator);
    control.deposits = 0;
    control.hasVelocity = true;
    control.completeApply();
  }

  /** x <- x - p (x_sent - y), in the order of the engine's kernel. */
  #moveTowards(vectors: OwnVectors, { area, users }: Parcel, pull: number, { at, count }: ByteRange): void {
    const { kernels } = this.#options;
    const { parameters } = vectors;
    if (vectors.sent === undefined && pull === 1) return kernels.copy(parameters + at, area + at, count);
    if (vectors.sent === undefined && users === 1 && !this.#needsBase) {
      // Nobody needs the answer any more.
      return kernels.swapElastic(parameters + at, area + at, count, pull);
    }
    const sent = vectors.sent ?? this.#take();
    if (vectors.sent === undefined) kernels.copy(sent + at, parameters + at, count);
    kernels.addWeighted(sent + at, area + at, count, -1);
    kernels.addWeighted(parameters + at, sent + at, count, -pull);
    vectors.sent = undefined;
    this.#return(sent);
  }

  /** Updates, and what is encoded, are the way from the base: it is kept until the next push. Gradients are taken at it. */
  get #needsBase(): boolean {
    const { rule } = this.#options;
    return rule.takesGradients || rule.content === "update" || this.#coderUp !== undefined;
  }

  #keepBase(bases: readonly ReplicaBase[], center: Parcel): void {
    for (const base of bases) {
      this.#letGo(base);
      if (this.#needsBase) base.center = this.retain(center);
    }
    this.release(center);
  }

  #letGo(base: ReplicaBase): void {
    if (base.center) this.release(base.center);
    base.center = undefined;
  }

  /** SPEC C3: what counts as sent is the base and what was encoded, so that the rest stays in the parameters. */
  #takeEncoded(replica: VirtualReplica, coder: Coder): Parcel {
    const { kernels, rule } = this.#options;
    const vectors = vectorsOf(replica);
    const base = replica.baseOf(replica.fragment).center;
    if (!base) throw new Error(`invariant violation: replica ${replica.id} encodes without a base`);
    const vector = this.#newParcel();
    const sent = vectors.sent ?? this.#take();
    vectors.sent = sent;
    const fragment = this.#fragment(replica.fragment);
    coder.addChange(sent, base.area, vectors.parameters, fragment);
    if (rule.content === "update") {
      coder.lastSaid(vector.area, fragment);
      return vector;
    }
    const { at, count } = this.#rangeOf(replica.fragment);
    kernels.copy(vector.area + at, sent + at, count);
    return vector;
  }

  /** SPEC C3: what the code leaves out is added to the next one, as long as the replica is the same. */
  #encodeGradient({ replica, membership }: Push, gradient: number, coder: Coder): void {
    const isThere = replica.isStill(membership);
    const residual = (isThere ? this.#residuals.get(replica) : undefined) ?? this.#zeros();
    coder.encodeWithRest(gradient, residual);
    if (isThere) this.#residuals.set(replica, residual);
    else this.#return(residual);
  }

  #fragment(index: number): Fragment {
    return fragmentOf(this.#options.memory.elements, this.#options.fragments, index);
  }

  /** With the padding behind the last element. */
  #paddedEnd({ toElement }: Fragment): number {
    return toElement === this.#options.memory.elements ? this.#padded : toElement;
  }

  #rangeOf(index: number): ByteRange {
    const fragment = this.#fragment(index);
    return { at: 4 * fragment.fromElement, count: this.#paddedEnd(fragment) - fragment.fromElement };
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
