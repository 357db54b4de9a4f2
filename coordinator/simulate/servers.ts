/**
 * One or several equal servers with one queue, first come, first served, in virtual time: the lock, the applier threads, a link
 * that carries one message at a time. How long each job takes is known when it comes, so its start is too.
 */

export class Servers {
  readonly #freeAtSeconds: number[];

  constructor(count: number) {
    this.#freeAtSeconds = Array.from({ length: count }, () => 0);
  }

  /** When a job that comes at `nowSeconds` and takes `seconds` begins. Jobs come in order of time. */
  begin(nowSeconds: number, seconds: number): number {
    let earliest = 0;
    for (let server = 1; server < this.#freeAtSeconds.length; server++) {
      if (this.#freeAtSeconds[server]! < this.#freeAtSeconds[earliest]!) earliest = server;
    }
    const start = Math.max(nowSeconds, this.#freeAtSeconds[earliest]!);
    this.#freeAtSeconds[earliest] = start + seconds;
    return start;
  }
}
