/**
 * Messages for another process, several at a time: each by itself costs as much as the 16 KiB that it carries. What is added until the
 * flush that the first one asked for goes out as one message, in order.
 */

export class Batch<M> {
  readonly #send: (messages: M[]) => void;
  readonly #soon: (flush: () => void) => void;
  #waiting: M[] = [];

  constructor(send: (messages: M[]) => void, soon: (flush: () => void) => void) {
    this.#send = send;
    this.#soon = soon;
  }

  add(message: M): void {
    this.#waiting.push(message);
    if (this.#waiting.length === 1) this.#soon(() => this.#flush());
  }

  #flush(): void {
    const messages = this.#waiting;
    this.#waiting = [];
    this.#send(messages);
  }
}
