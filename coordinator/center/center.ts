/**
 * The center: the shared parameters, in one memory that several applier threads change at the same time. The run asks
 * it on the main thread; here only bytes are copied and jobs handed out, the arithmetic is in `applier.ts`.
 *
 * One elastic exchange: the payload x - base is copied into a free area; a thread turns it into x, checks it, and swaps
 * it with the center element by element (center = old + rate * (x - old), area = old). The area then holds the center
 * that was used: it becomes the replica's new base, and its old one returns to the pool.
 */

import { ApplierThreads } from "./applier_threads.ts";
import type { Applier, Outcome, PushJob, PushResult, Refusal, StepSettings } from "./applier.ts";
import { CenterMemory } from "./center_memory.ts";
import { Control } from "./control.ts";
import { compileKernels } from "./kernels.ts";
import { AreaSlot, type CenterSlot } from "./slot.ts";

export type { Applier, PushJob, PushResult, StepSettings } from "./applier.ts";
export type { CenterSlot } from "./slot.ts";

export interface CenterOptions {
  readonly elements: number;
  /** A step moves these, and takes the mean of what follows (SPEC E9): a multiple of 16. All where left out. */
  readonly trainableElements?: number;
  readonly initial: Float32Array;
  readonly version?: number;
  readonly velocity?: Float32Array;
  readonly applier: Applier;
  readonly threads: number;
  /** What a parameter, a difference or a gradient may reach in magnitude. */
  readonly maxMagnitude: number;
}

export interface Snapshot {
  readonly version: number;
  readonly parameters: Float32Array<ArrayBuffer>;
  readonly velocity: Float32Array<ArrayBuffer>;
}

/** Beyond this the difference of two allowed values could overflow to infinity. */
const GREATEST_MAX_MAGNITUDE = 1e38;

export class Center {
  readonly elements: number;
  readonly #memory: CenterMemory;
  readonly #control: Control;
  readonly #threads: ApplierThreads;
  readonly #firstVersion: number;

  private constructor(memory: CenterMemory, control: Control, threads: ApplierThreads) {
    this.elements = memory.elements;
    this.#memory = memory;
    this.#control = control;
    this.#threads = threads;
    this.#firstVersion = control.version;
  }

  static async create(options: CenterOptions): Promise<Center> {
    checkOptions(options);
    const { elements, initial, velocity, version, applier, threads, maxMagnitude } = options;
    const module = await compileKernels();
    const memory = new CenterMemory(elements, options.trainableElements);
    memory.values(memory.layout.center).set(initial);
    if (velocity) memory.values(memory.layout.velocity).set(velocity);
    const control = new Control(memory.memory.buffer);
    control.startAt(version ?? 0);
    const started = await ApplierThreads.start({
      module,
      memory: memory.memory,
      layout: memory.layout,
      applier,
      maxMagnitude,
      threads,
    });
    return new Center(memory, control, started);
  }

  /** Completed applies. */
  get version(): number {
    return this.#control.version;
  }

  /** A replica's place, filled with the current center (under lock-free appliers the copy may mix versions). */
  openSlot(): CenterSlot {
    const area = this.#memory.takeArea();
    this.#whileCenterRests(() => this.#memory.values(area).set(this.#memory.values(this.#memory.layout.center)));
    return new AreaSlot(this.#memory, area);
  }

  /** `payload`: f32 values at any alignment; it is copied before this returns. One push in flight for each slot. */
  async push(slot: CenterSlot, payload: Uint8Array, push: PushJob): Promise<PushResult> {
    const place = areaSlot(slot);
    checkRate(push);
    this.#checkPayload(payload);
    place.begin();
    let area: number | undefined;
    let answer: number | undefined;
    try {
      area = this.#filledArea(payload);
      const outcome = await this.#threads.run({ kind: "push", base: place.area, area, push });
      if (outcome.verdict === "applied") answer = area;
      else if (outcome.verdict !== "too-stale" && !isRefusal(outcome)) throw unexpected(outcome);
      return outcome;
    } finally {
      if (area !== undefined && answer === undefined) this.#memory.returnArea(area);
      place.end(answer);
    }
  }

  /** Copies the current center into the slot: for a pull or a re-base. Lock-free, the copy may mix versions. */
  async refresh(slot: CenterSlot): Promise<{ version: number }> {
    const place = areaSlot(slot);
    place.begin();
    try {
      const outcome = await this.#threads.run({ kind: "refresh", area: place.area });
      if (outcome.verdict !== "refreshed") throw unexpected(outcome);
      return { version: outcome.version };
    } finally {
      place.end();
    }
  }

  /** Adds one gradient to the sum that the next step uses, in order of arrival. */
  async accumulate(payload: Uint8Array): Promise<{ verdict: "accumulated" } | Refusal> {
    this.#checkPayload(payload);
    const area = this.#filledArea(payload);
    try {
      const outcome = await this.#threads.run({ kind: "accumulate", area });
      if (outcome.verdict === "accumulated" || isRefusal(outcome)) return outcome;
      throw unexpected(outcome);
    } finally {
      this.#memory.returnArea(area);
    }
  }

  /** velocity = momentum * velocity - learningRate * mean gradient; center += velocity; statistics -= their mean. After all gradients accumulated before. */
  async step(settings: StepSettings): Promise<{ version: number }> {
    if (!(settings.count > 0)) throw broken("a step without gradients");
    const outcome = await this.#threads.run({ kind: "step", settings });
    if (outcome.verdict !== "stepped") throw unexpected(outcome);
    return { version: outcome.version };
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
      applies: this.#control.version - this.#firstVersion,
      overlappedApplies: this.#control.overlappedApplies,
    };
  }

  /** Ends the threads; what is in flight is finished first. */
  async close(): Promise<void> {
    await this.#threads.close();
  }

  /**
   * Under the mutex: a locked apply or a step waits, and so may this thread, for one apply (at 431,080 elements less
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

  #filledArea(payload: Uint8Array): number {
    const area = this.#memory.takeArea();
    this.#memory.bytes(area).set(payload);
    return area;
  }

  #checkPayload(payload: Uint8Array): void {
    const expectedBytes = this.elements * 4;
    if (payload.byteLength !== expectedBytes) {
      throw broken(`a payload of ${payload.byteLength} bytes instead of ${expectedBytes}`);
    }
  }
}

function broken(what: string): Error {
  return new Error(`invariant violation: ${what}`);
}

function checkOptions(options: CenterOptions): void {
  const { elements, trainableElements = elements, initial, velocity, threads, maxMagnitude } = options;
  if (!Number.isInteger(elements) || elements < 1) throw broken(`a center of ${elements} elements`);
  const isWhole = trainableElements === elements || (trainableElements % 16 === 0 && trainableElements < elements);
  if (!isWhole || trainableElements < 0) throw broken(`${trainableElements} trained elements of ${elements}`);
  if (initial.length !== elements) throw broken(`${initial.length} initial values for ${elements} elements`);
  if (velocity && velocity.length !== elements) throw broken(`${velocity.length} velocities for ${elements} elements`);
  if (!Number.isInteger(threads) || threads < 1 || threads > 64) throw broken(`a center with ${threads} threads`);
  if (!(maxMagnitude > 0 && maxMagnitude <= GREATEST_MAX_MAGNITUDE))
    throw broken(`a greatest magnitude of ${maxMagnitude}`);
  if (!initial.every((value) => Math.abs(value) <= maxMagnitude)) throw broken("an initial value out of bounds");
}

/** An elastic move beyond [0, 1] would carry the center out of the bounds that x and the center are in. */
function checkRate({ kind, movingRate }: PushJob): void {
  const allowed = kind === "elastic" ? movingRate >= 0 && movingRate <= 1 : Number.isFinite(movingRate);
  if (!allowed) throw broken(`a moving rate of ${movingRate} for a push of kind ${kind}`);
}

function areaSlot(slot: CenterSlot): AreaSlot {
  if (!(slot instanceof AreaSlot)) throw broken("a slot that no center opened");
  return slot;
}

function isRefusal(outcome: Outcome): outcome is Refusal {
  return outcome.verdict === "not-finite" || outcome.verdict === "out-of-bounds";
}

function unexpected(outcome: Outcome): Error {
  return broken(`an applier thread answered ${outcome.verdict} to another kind of job`);
}
