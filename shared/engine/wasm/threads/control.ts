/**
 * The few shared words by which a program's thread sets its helpers to work and learns that they are done, without
 * messages: a turn costs microseconds. Used by `team.ts` on the one side and `helper.ts` on the other.
 */

/** Grows by one with each turn; helpers wait on it. */
const TURN = 0;
/** Which list of calls this turn runs; -1 ends the helpers. */
const LIST = 1;
/** Helpers that have finished this turn; the program's thread waits on it. */
const DONE = 2;
/** Not 0 once a helper has failed. */
const FAILED = 3;

const WORDS = 4;
const END = -1;
/** Looks before a thread goes to sleep: about as long as a wake-up takes. */
const SPINS = 4000;
/** A helper that is silent for so long has died. */
const PATIENCE_MS = 30_000;

export class Control {
  /** Hand this to the helpers. */
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array<SharedArrayBuffer>;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(WORDS * 4)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
  }

  /** Of the program's thread: begins a turn. */
  begin(list: number): void {
    this.#words[LIST] = list;
    Atomics.store(this.#words, DONE, 0);
    Atomics.add(this.#words, TURN, 1);
    Atomics.notify(this.#words, TURN);
  }

  /** Of the program's thread: returns when `helpers` helpers have finished the turn; throws a sentence where one has not. */
  finish(helpers: number): void {
    const done = this.#waitWhile(DONE, (count) => count < helpers);
    if (Atomics.load(this.#words, FAILED) !== 0) {
      throw new Error("A thread of the WASM backend failed; open the backend again.");
    }
    if (done < helpers) {
      throw new Error(
        `A thread of the WASM backend gave no answer for ${PATIENCE_MS / 1000} s; open the backend again.`,
      );
    }
  }

  /** Of the program's thread: ends all helpers. */
  end(): void {
    this.begin(END);
  }

  /** Of a helper: the list of the turn after `turn`, or undefined when it is over. */
  next(turn: number): { readonly turn: number; readonly list: number } | undefined {
    let now = turn;
    while (now === turn) now = this.#waitWhile(TURN, (current) => current === turn);
    const list = this.#words[LIST]!;
    return list === END ? undefined : { turn: now, list };
  }

  /** Of a helper. */
  done(): void {
    Atomics.add(this.#words, DONE, 1);
    Atomics.notify(this.#words, DONE);
  }

  /** Of a helper that cannot go on. */
  fail(): void {
    Atomics.store(this.#words, FAILED, 1);
    this.done();
  }

  /** The present turn, for a helper that begins. */
  get turn(): number {
    return Atomics.load(this.#words, TURN);
  }

  /** The word once `waits` is false for it, or as it is after the patience. */
  #waitWhile(word: number, waits: (value: number) => boolean): number {
    let value = Atomics.load(this.#words, word);
    for (let spin = 0; spin < SPINS && waits(value); spin++) value = Atomics.load(this.#words, word);
    while (waits(value)) {
      if (Atomics.wait(this.#words, word, value, PATIENCE_MS) === "timed-out") return Atomics.load(this.#words, word);
      value = Atomics.load(this.#words, word);
    }
    return value;
  }
}
