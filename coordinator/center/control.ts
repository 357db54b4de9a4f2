/**
 * The control block at the start of the center's memory: the few words that all threads change with Atomics. Version,
 * the locked twin's mutex, the count of passes that ran at the same time, and what the momentum vectors hold. Each thread holds its own `Control` over
 * the same words; they never move, so a view that was made before the memory grew stays good.
 */

/** Room for the words, each on a cache line of its own so that waiting for one does not slow another. */
export const CONTROL_BYTES = 4096;

const LOCK_BYTE = 0;
const PASSES_BYTE = 64;
const VERSION_BYTE = 128;
const OVERLAPPED_BYTE = 192;
const VELOCITY_BYTE = 256;
const DEPOSITS_BYTE = 320;

const UNLOCKED = 0;
const LOCKED = 1;
/** Locked, and someone sleeps until it is not. */
const CONTENDED = 2;

/** The passes word: passes that are active now in the low byte, passes begun ever (modulo 2^24) above it. */
const ACTIVE_MASK = 0xff;
const ONE_PASS_BEGUN_AND_ACTIVE = 0x101;

export class Control {
  readonly #lock: Int32Array;
  readonly #passes: Uint32Array;
  readonly #version: BigInt64Array;
  readonly #overlapped: BigInt64Array;
  readonly #velocity: Int32Array;
  readonly #deposits: Int32Array;

  constructor(buffer: SharedArrayBuffer) {
    this.#lock = new Int32Array(buffer, LOCK_BYTE, 1);
    this.#passes = new Uint32Array(buffer, PASSES_BYTE, 1);
    this.#version = new BigInt64Array(buffer, VERSION_BYTE, 1);
    this.#overlapped = new BigInt64Array(buffer, OVERLAPPED_BYTE, 1);
    this.#velocity = new Int32Array(buffer, VELOCITY_BYTE, 1);
    this.#deposits = new Int32Array(buffer, DEPOSITS_BYTE, 1);
  }

  /** Completed applies. */
  get version(): number {
    return Number(Atomics.load(this.#version, 0));
  }

  /** Before any thread runs. */
  startAt(version: number): void {
    Atomics.store(this.#version, 0, BigInt(version));
  }

  /** Counts an apply whose last element is written, and returns the version that it made. */
  completeApply(): number {
    return Number(Atomics.add(this.#version, 0, 1n)) + 1;
  }

  get overlappedApplies(): number {
    return Number(Atomics.load(this.#overlapped, 0));
  }

  /** Whether the velocity may be other than zero: a step without momentum then has one to forget. */
  get hasVelocity(): boolean {
    return Atomics.load(this.#velocity, 0) !== 0;
  }

  set hasVelocity(hasVelocity: boolean) {
    Atomics.store(this.#velocity, 0, Number(hasVelocity));
  }

  /** Pseudo-gradients in the accumulator. Changed under the lock. */
  get deposits(): number {
    return Atomics.load(this.#deposits, 0);
  }

  set deposits(count: number) {
    Atomics.store(this.#deposits, 0, count);
  }

  /** Returns a ticket for `endPass`: the passes word as it was. */
  beginPass(): number {
    return Atomics.add(this.#passes, 0, ONE_PASS_BEGUN_AND_ACTIVE);
  }

  /** Whether another pass was active when this one began, or began before this one ended. */
  endPass(ticket: number): boolean {
    const word = Atomics.sub(this.#passes, 0, 1);
    const anotherWasActive = (ticket & ACTIVE_MASK) !== 0;
    const anotherBegan = word >>> 8 !== (ticket + ONE_PASS_BEGUN_AND_ACTIVE) >>> 8;
    const overlapped = anotherWasActive || anotherBegan;
    if (overlapped) Atomics.add(this.#overlapped, 0, 1n);
    return overlapped;
  }

  /**
   * Waits its turn at the mutex (asleep, so not for a thread that must stay responsive for longer than one apply). A
   * holder can only vanish with its thread; that shows as a turn that never comes.
   */
  lock(timeoutMs = 60_000): void {
    if (Atomics.compareExchange(this.#lock, 0, UNLOCKED, LOCKED) === UNLOCKED) return;
    while (Atomics.exchange(this.#lock, 0, CONTENDED) !== UNLOCKED) {
      if (Atomics.wait(this.#lock, 0, CONTENDED, timeoutMs) === "timed-out") {
        throw new Error(`invariant violation: the center's lock was not released within ${timeoutMs} ms`);
      }
    }
  }

  unlock(): void {
    if (Atomics.exchange(this.#lock, 0, UNLOCKED) === CONTENDED) Atomics.notify(this.#lock, 0, 1);
  }
}
