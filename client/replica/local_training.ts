/**
 * The replica's own training on its device: which examples, what the coordinator assigned, how many steps may be queued, and
 * what was done since the last exchange. Survives the device: `useDevice` puts a new one in the place of a lost one.
 */

import type { BackendName } from "../../shared/backends.ts";
import type { CenterNews, Program, TakenPayload } from "../../shared/engine/backend.ts";
import type { RunSettings } from "../../shared/run_settings.ts";
import { LeasedSampler } from "../../shared/leased_sampler.ts";
import type { Lease, LeaseClaim } from "../../shared/lease.ts";
import { randomFor, type ExampleRange } from "../../shared/sampler.ts";
import type { Assignment } from "../../shared/solver/assignment.ts";
import type { ReplicaRule } from "../../shared/solver/replica_rule.ts";
import { LIMITS } from "../../shared/wire/codes.ts";
import type { CodecName, Fragment } from "../../shared/wire/codec/codec.ts";
import type { Work } from "./exchange.ts";

/** A compiled program on a device, with its examples. */
export interface Device {
  readonly backend: BackendName;
  /** In words. */
  readonly description: string;
  /** Measured before joining. */
  readonly samplesPerSecond: number;
  readonly program: Program;
  /** Resolves with a sentence when the device is lost. */
  readonly lost: Promise<string>;
  /** At most twice as many steps are queued on the device; with 0 one at most, where a step is slow, so that Stop is prompt. */
  readonly stepsPerLook: number;
  /** The examples in the program, shard by shard; grows while shards arrive, and holds at least one. */
  readonly loaded: readonly ExampleRange[];
  /** Has the shards of these loaded too, in this order. */
  readonly load: (wanted: readonly ExampleRange[]) => void;
}

/** What was read back for a push. */
export interface Took extends Pick<TakenPayload, "payload" | "isFinite"> {
  readonly codec: CodecName;
  readonly work: Work;
  /** How far leases were used until then. */
  readonly leased: readonly LeaseClaim[];
}

export class LocalTraining {
  readonly #settings: RunSettings;
  readonly #rule: ReplicaRule;
  #assignment: Assignment | undefined;
  #device: Device;
  #sampler: LeasedSampler;
  #replicaId = "";
  #rangesSeen = 0;
  /** Of leases. */
  #isLoading = false;
  /** The first examples of shards. */
  readonly #everLoaded = new Set<number>();
  #stepsSinceLook = 0;
  /** When the device will have done the steps before the last look. */
  #look: Promise<void> = Promise.resolve();
  #room: Promise<void> | undefined;
  /** Since the last `take`. */
  #steps = 0;
  #samples = 0;

  constructor(settings: RunSettings, rule: ReplicaRule, device: Device) {
    this.#settings = settings;
    this.#rule = rule;
    this.#device = device;
    this.#sampler = this.#newSampler();
  }

  get device(): Device {
    return this.#device;
  }

  get #program(): Program {
    return this.#device.program;
  }

  /** What the coordinator asked for last. */
  get assignment(): Assignment | undefined {
    return this.#assignment;
  }

  /** Steps since the last `take`. */
  get steps(): number {
    return this.#steps;
  }

  /** Whether shards are still to come. */
  get isLoading(): boolean {
    return this.#isLoading;
  }

  /** Those that it has, or had on another device: by their places in the run's list (SPEC K2). */
  get shards(): readonly number[] {
    for (const { first } of this.#device.loaded) this.#everLoaded.add(first);
    let first = 0;
    const places: number[] = [];
    for (const [place, { examples }] of this.#settings.data.shards.entries()) {
      if (this.#everLoaded.has(first)) places.push(place);
      first += examples;
    }
    return places.slice(0, LIMITS.knownShards);
  }

  /** From the next step on. */
  assign(assignment: Assignment): void {
    this.#assignment = assignment;
  }

  /** Why this device cannot do what is assigned, as a sentence. */
  get misassignment(): string | undefined {
    if (!this.#assignment) return undefined;
    const { samples } = this.#assignment;
    const { batch, microBatch } = this.#program.plan;
    if (samples <= batch && samples % microBatch === 0) return undefined;
    return (
      `The coordinator asks for steps of ${samples} samples, but this device does whole parts of ${microBatch}, up to ${batch}. ` +
      "Reload the page to get the current client; if it happens again, the operator can choose a batch that more numbers divide."
    );
  }

  /** A new replica with the center as its parameters. */
  begin(replicaId: string, center: Float32Array): void {
    this.#replicaId = replicaId;
    this.#sampler = this.#newSampler();
    this.#program.writeParameters(center);
    this.forgetWork();
  }

  /** A new device in place of a lost one. What was trained since the last exchange is gone with the old one. */
  useDevice(device: Device): void {
    this.#device = device;
    this.#sampler = this.#newSampler();
    this.#stepsSinceLook = 0;
    this.#look = Promise.resolve();
    this.#room = undefined;
    this.forgetWork();
  }

  /** One step of the solver's, a local one or a gradient alone; returns its samples. */
  step(): number {
    if (!this.#assignment) throw new Error("invariant violation: a step before the welcome");
    const { samples, learningRate, momentum } = this.#assignment;
    const { weightDecay } = this.#settings;
    const examples = this.#draw(samples);
    if (this.#rule.takesGradients) this.#program.gradientStep(examples);
    else this.#program.step(examples, { learningRate, momentum: this.#rule.hasMomentum ? momentum : 0, weightDecay });
    this.#stepped(samples);
    return samples;
  }

  /** When the next step may be queued; undefined: now. */
  get room(): Promise<void> | undefined {
    const room = this.#room;
    this.#room = undefined;
    return room;
  }

  /** Resolves when the device has done all steps. */
  idle(): Promise<void> {
    return this.#program.idle();
  }

  /** Of this fragment what is to be pushed, encoded, and the work behind it. */
  async take(codec: CodecName, fragment: Fragment): Promise<Took> {
    const { steps, samples } = this.forgetWork();
    const leased = this.#sampler.claims;
    const what = this.#rule.takesGradients ? "gradient" : "difference";
    const { payload, isFinite, meanLoss } = await this.#program.takeEncoded({ what, codec, fragment });
    return { codec, payload, isFinite, leased, work: { steps, samples, lossSum: meanLoss * steps } };
  }

  /** Takes the losses alone, for nobody. */
  async dropLosses(): Promise<void> {
    await this.#program.takeLoss();
  }

  /** These parts of what was taken last did not arrive (SPEC T6). */
  unsend(fragments: readonly Fragment[]): void {
    for (const fragment of fragments) this.#program.unsend(fragment);
  }

  /** SPEC X4: towards the new base, which what was taken last met at the center. */
  settle(news: CenterNews, pull: number): void {
    this.#program.settleOnto(news, pull);
  }

  /** SPEC X11: a new base, and the parameters kept. */
  rebase(news: CenterNews): void {
    this.#program.rebaseOnto(news, true);
  }

  /** SPEC X11 for updates: a new base, and the steps since the old one kept, as if nothing of them had been sent. */
  carryOnto(news: CenterNews): void {
    this.#program.unsend(news.fragment);
    this.#program.settleOnto(news, 1);
  }

  /** SPEC X11: the center as base and parameters. */
  restart(news: CenterNews): void {
    this.#program.rebaseOnto(news, false);
  }

  /** A welcome's leases: all that the coordinator knows of. */
  keepLeases(leases: readonly Lease[]): void {
    this.#sampler.keep(leases);
    this.#loadMissing();
  }

  /** An answer: what its push said of leases is settled, others are given. */
  settleLeases(claims: readonly LeaseClaim[], given: readonly Lease[]): void {
    this.#sampler.settle(claims);
    this.#sampler.give(given);
    this.#loadMissing();
  }

  /** SPEC K4: what was trained since the last settled exchange is given up. */
  rollBackLeases(): void {
    this.#sampler.rollBack();
  }

  #loadMissing(): void {
    this.#see();
    const { missing } = this.#sampler;
    this.#isLoading = missing.length > 0;
    if (this.#isLoading) this.#device.load(missing);
  }

  /** What was loaded meanwhile. */
  #see(): void {
    const { loaded } = this.#device;
    if (this.#rangesSeen === loaded.length) return;
    for (; this.#rangesSeen < loaded.length; this.#rangesSeen++) this.#sampler.add(loaded[this.#rangesSeen]!);
    this.#isLoading = this.#sampler.missing.length > 0;
  }

  #draw(samples: number): Uint32Array {
    this.#see();
    return this.#sampler.draw(samples);
  }

  #stepped(samples: number): void {
    this.#steps++;
    this.#samples += samples;
    this.#stepsSinceLook++;
    const { stepsPerLook } = this.#device;
    if (this.#stepsSinceLook < stepsPerLook) return;
    this.#stepsSinceLook = 0;
    const look = this.#program.idle();
    // The look before this one: while it is waited for, the device has the newer steps to do.
    this.#room = stepsPerLook === 0 ? look : this.#look;
    this.#look = look;
    // Whoever waits for it sees the failure; nobody may be waiting.
    this.#look.catch(() => {});
  }

  /** Returns it. */
  forgetWork(): { readonly steps: number; readonly samples: number } {
    const work = { steps: this.#steps, samples: this.#samples };
    this.#steps = 0;
    this.#samples = 0;
    return work;
  }

  #newSampler(): LeasedSampler {
    this.#rangesSeen = 0;
    this.#isLoading = false;
    const { datasetExamples } = this.#program.plan;
    return new LeasedSampler(randomFor(this.#settings.seed, this.#replicaId), datasetExamples);
  }
}
