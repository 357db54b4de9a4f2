/**
 * The center: the shared parameters, in one memory that several applier threads change at the same time. The run asks
 * it on the main thread; here only bytes are copied and jobs handed out, the arithmetic is in `applier.ts`.
 *
 * One elastic exchange: the payload x - base is copied into a free area; a thread turns it into x, checks it, and swaps
 * it with the center element by element (center = old + rate * (x - old), area = old). The area then holds the center
 * that was used: it becomes the replica's new base, and its old one returns to the pool. Other moves leave their answer in the
 * area likewise (`moves.ts`). Where several replicas move the center together, their vectors are added up first (`sum.ts`).
 * Where the center comes down as a stream of changes, a published version is the base of all who hold it, and the answer is
 * the next one (`versions.ts`).
 */

import { ApplierThreads } from "./applier_threads.ts";
import type { Applier } from "./applier.ts";
import { CenterMemory, type CenterShape } from "./center_memory.ts";
import { broken, checkMove, checkOptions, checkState, checkWeight } from "./center_checks.ts";
import { Control } from "./control.ts";
import type { Contribution, Outcome, PushJob, PushResult, Refusal, SumJob } from "./jobs.ts";
import { compileKernels } from "./kernels.ts";
import { payloadBytes, payloadShape, wordsAt, type Coverage, type PayloadShape } from "./payload.ts";
import { PublishedSlot } from "./published_version.ts";
import { AreaSlot, type CenterSlot, type ClaimedPlace, type Place } from "./slot.ts";
import { AreaSum, type CenterSum } from "./sum.ts";
import { CenterVersions, PLAIN_STREAM, type StreamOptions, type Versions } from "./versions.ts";

export type { Applier } from "./applier.ts";
export type { Contribution, PushJob, PushResult, Refusal, SumJob } from "./jobs.ts";
export type { PublishedVersion } from "./published_version.ts";
export type { CenterSlot } from "./slot.ts";
export type { CenterSum } from "./sum.ts";
export type { StreamOptions, Versions } from "./versions.ts";

export interface CenterOptions {
  /** The model's parameter layout. Its trained part ends at a multiple of 16, or is all of it. */
  readonly layout: CenterShape;
  readonly initial: Float32Array;
  readonly version?: number;
  readonly velocity?: Float32Array;
  readonly applier: Applier;
  readonly threads: number;
  /** What a parameter, a difference or a gradient may reach in magnitude. */
  readonly maxMagnitude: number;
  /** How the center is published; as copies where left out. */
  readonly stream?: StreamOptions;
}

export interface Snapshot {
  readonly version: number;
  readonly parameters: Float32Array<ArrayBuffer>;
  readonly velocity: Float32Array<ArrayBuffer>;
}

/** What `restore` makes of the center. */
export interface CenterState {
  readonly parameters: Float32Array;
  /** Zero where left out. */
  readonly velocity?: Float32Array;
}

export class Center {
  readonly elements: number;
  readonly #memory: CenterMemory;
  readonly #control: Control;
  readonly #threads: ApplierThreads;
  readonly #firstVersion: number;
  readonly #threadCount: number;
  readonly #versions: CenterVersions;
  #restores = 0;
  #sumsOpened = 0;

  private constructor(memory: CenterMemory, control: Control, threads: ApplierThreads, options: CenterOptions) {
    this.elements = memory.elements;
    this.#memory = memory;
    this.#control = control;
    this.#threads = threads;
    this.#firstVersion = control.version;
    this.#threadCount = options.threads;
    this.#versions = new CenterVersions({ memory, control, threads }, options.stream ?? PLAIN_STREAM);
  }

  static async create(options: CenterOptions): Promise<Center> {
    checkOptions(options);
    const { layout, initial, velocity, version, applier, threads, maxMagnitude } = options;
    const module = await compileKernels();
    const memory = new CenterMemory(layout);
    const control = new Control(memory.memory.buffer);
    fill(memory, control, { parameters: initial, ...(velocity ? { velocity } : {}) });
    control.startAt(version ?? 0);
    const started = await ApplierThreads.start({
      module,
      memory: memory.memory,
      layout: memory.layout,
      applier,
      maxMagnitude,
      threads,
    });
    return new Center(memory, control, started, options);
  }

  /** Completed applies. */
  get version(): number {
    return this.#control.version;
  }

  get versions(): Versions {
    return this.#versions;
  }

  /** A replica's place, filled with the current center (under lock-free appliers the copy may mix versions). */
  openSlot(): CenterSlot {
    const area = this.#memory.takeArea();
    this.#whileCenterRests(() => this.#memory.values(area).set(this.#memory.values(this.#memory.layout.center)));
    return new AreaSlot(this.#memory, area);
  }

  /** `payload`: as the job says, at any alignment; it is copied before this returns. One push in flight for each slot of one's own. */
  async push(slot: CenterSlot, payload: Uint8Array, push: PushJob): Promise<PushResult> {
    const place = placeOf(slot);
    checkMove(push);
    const shape = this.#shapeOf(payload, push);
    const claimed = place.begin();
    if (!claimed) return { verdict: "unknown-base" };
    let area: number | undefined;
    let answer: number | undefined;
    try {
      area = this.#filledArea(payload, shape);
      const movesBase = claimed.isOwn && !shape.isWhole;
      const outcome = await this.#threads.run({
        kind: "push",
        base: place.area,
        area,
        payload: shape,
        push,
        movesBase,
      });
      if (outcome.verdict === "applied") answer = claimed.isOwn && shape.isWhole ? area : undefined;
      else if (outcome.verdict !== "too-stale" && !isRefusal(outcome)) throw unexpected(outcome);
      return outcome;
    } finally {
      if (area !== undefined && answer === undefined) this.#memory.returnArea(area);
      claimed.end(answer);
    }
  }

  /** Copies the current center into the slot: for a pull or a re-base. Lock-free, the copy may mix versions. */
  async refresh(slot: CenterSlot): Promise<{ version: number }> {
    const place = ownSlot(slot);
    place.begin();
    try {
      const outcome = await this.#threads.run({ kind: "refresh", area: place.area });
      if (outcome.verdict !== "refreshed") throw unexpected(outcome);
      return { version: outcome.version };
    } finally {
      place.end();
    }
  }

  /** An empty sum: of one compute group, or of one round of a barrier. */
  openSum(): CenterSum {
    const area = this.#memory.takeArea();
    this.#memory.values(area).fill(0);
    return new AreaSum(this.#memory, area, this.#sumsOpened++ % this.#threadCount);
  }

  /** sum += weight * what the replica pushed, in order of these calls; `parameters` are decoded against the slot's base. */
  async contribute(
    sum: CenterSum,
    slot: CenterSlot,
    payload: Uint8Array,
    contribution: Contribution,
  ): Promise<{ verdict: "accumulated" } | Refusal> {
    const [total, place] = [areaSum(sum), placeOf(slot)];
    checkWeight(contribution.weight);
    const { codec } = contribution;
    const shape = this.#shapeOf(payload, codec ? { codec } : {});
    const claimed = place.begin();
    if (!claimed) return { verdict: "unknown-base" };
    let area: number | undefined;
    let hasBegun = false;
    try {
      total.begin();
      hasBegun = true;
      area = this.#filledArea(payload, shape);
      const job = {
        kind: "contribute",
        sum: total.area,
        base: place.area,
        area,
        payload: shape,
        contribution,
      } as const;
      const outcome = await this.#threads.run(job, total.thread);
      if (outcome.verdict === "accumulated" || isRefusal(outcome)) return outcome;
      throw unexpected(outcome);
    } finally {
      if (area !== undefined) this.#memory.returnArea(area);
      if (hasBegun) total.end();
      claimed.end();
    }
  }

  /**
   * Moves the center once, by the mean of all contributions before this call, and answers every slot of one's own with the same
   * vector. The sum is empty afterwards, after a refusal too; the slots then hold what they held.
   */
  async applySum(sum: CenterSum, slots: readonly CenterSlot[], job: SumJob): Promise<PushResult> {
    const [total, places] = [areaSum(sum), slots.map(placeOf)];
    checkMove(job);
    checkWeight(job.weight);
    if (!(job.count > 0)) throw broken(`a mean of ${job.count} contributions`);
    total.begin();
    const begun: ClaimedPlace[] = [];
    const areas: number[] = [];
    let base: number | undefined;
    try {
      for (const place of places) {
        const claimed = place.begin();
        if (!claimed) continue;
        begun.push(claimed);
        base ??= place.area;
        if (claimed.isOwn) areas.push(place.area);
      }
      const outcome = await this.#threads.run({ kind: "apply-sum", sum: total.area, areas, base, job }, total.thread);
      if (outcome.verdict === "applied" || outcome.verdict === "too-stale") return outcome;
      throw unexpected(outcome);
    } finally {
      for (const claimed of begun) claimed.end();
      total.end();
    }
  }

  /** The center becomes `state`, between two applies: what is in flight comes before it, later pushes after it. One version more. */
  async restore(state: CenterState): Promise<{ version: number }> {
    checkState(state, this.elements);
    return this.#threads.whileIdle(() => {
      fill(this.#memory, this.#control, state);
      this.#restores++;
      this.#versions.restored();
      return { version: this.#control.completeApply() };
    });
  }

  /** A copy of its own. Locked, exactly the center of `version`; lock-free, `version` is a lower bound. */
  snapshot(): Snapshot {
    const { center, velocity } = this.#memory.layout;
    return this.#whileCenterRests(() => ({
      version: this.version,
      parameters: new Float32Array(this.#memory.values(center)),
      velocity: new Float32Array(this.#memory.values(velocity)),
    }));
  }

  statistics(): { applies: number; overlappedApplies: number } {
    return {
      applies: this.#control.version - this.#firstVersion - this.#restores,
      overlappedApplies: this.#control.overlappedApplies,
    };
  }

  /** Of all areas, in use or free: it grows and never shrinks. */
  get memoryBytes(): number {
    return this.#memory.memory.buffer.byteLength;
  }

  /** Ends the threads; what is in flight is finished first. */
  async close(): Promise<void> {
    await this.#threads.close();
  }

  /**
   * Under the mutex: a locked apply waits, and so may this thread, for one apply (at 431,080 elements less
   * than a millisecond). Lock-free appliers do not take it and are not held up. After a failure nobody holds it rightly.
   */
  #whileCenterRests<T>(read: () => T): T {
    if (this.#threads.failure) return read();
    this.#control.lock();
    try {
      return read();
    } finally {
      this.#control.unlock();
    }
  }

  #filledArea(payload: Uint8Array, shape: PayloadShape): number {
    const area = this.#memory.takeArea();
    this.#memory.room(wordsAt(area, shape, shape.fragment.fromElement), payload.byteLength).set(payload);
    return area;
  }

  #shapeOf(payload: Uint8Array, coverage: Coverage): PayloadShape {
    const shape = payloadShape(this.elements, coverage);
    const expectedBytes = payloadBytes(shape);
    if (payload.byteLength !== expectedBytes) {
      throw broken(`a payload of ${payload.byteLength} bytes instead of ${expectedBytes}`);
    }
    return shape;
  }
}

function fill(memory: CenterMemory, control: Control, { parameters, velocity }: CenterState): void {
  const { layout } = memory;
  memory.values(layout.center).set(parameters);
  if (velocity) memory.values(layout.velocity).set(velocity);
  else memory.values(layout.velocity).fill(0);
  control.hasVelocity = velocity !== undefined;
  memory.values(layout.accumulator).fill(0);
  control.deposits = 0;
}

function placeOf(slot: CenterSlot): Place {
  if (slot instanceof PublishedSlot) return slot;
  if (slot instanceof AreaSlot) return slot;
  throw broken("a slot that no center opened");
}

function ownSlot(slot: CenterSlot): AreaSlot {
  if (!(slot instanceof AreaSlot)) throw broken("a slot that cannot be written into");
  return slot;
}

function areaSum(sum: CenterSum): AreaSum {
  if (!(sum instanceof AreaSum)) throw broken("a sum that no center opened");
  return sum;
}

function isRefusal(outcome: Outcome): outcome is Refusal {
  const { verdict } = outcome;
  return verdict === "not-finite" || verdict === "out-of-bounds" || verdict === "unknown-base";
}

function unexpected(outcome: Outcome): Error {
  return broken(`an applier thread answered ${outcome.verdict} to another kind of job`);
}
