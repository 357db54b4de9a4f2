/**
 * The slices of one push on their way through a channel that may lose some (SPEC T6). They wait here while the channel is full; what
 * is said after them is said once the last one has been handed over.
 */

import type { Channel } from "../../shared/wire/channel.ts";

/** Half a second of a fast line; beyond it packets would be lost in queues, not on the way. */
const WINDOW_BYTES = 1 << 20;
/** Where the stack has no event for a channel that empties: it takes 16 MiB, and what is beyond this is lost. */
const MOST_WAITING_BYTES = 8 << 20;

export class LossySender {
  readonly #channel: Channel;
  #slices: readonly Uint8Array[] = [];
  #next = 0;
  #handedOver: () => void = () => {};

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Forgets what is left of the last ones. */
  send(slices: readonly Uint8Array[], handedOver: () => void): void {
    this.#slices = slices;
    this.#next = 0;
    this.#handedOver = handedOver;
    this.#flush();
  }

  #flush(): void {
    for (let slice = this.#slices[this.#next]; slice; slice = this.#slices[++this.#next]) {
      if (!this.#channel.isOpen) return;
      if (this.#channel.onceLow && this.#channel.bufferedBytes >= WINDOW_BYTES) {
        return this.#channel.onceLow(() => this.#flush());
      }
      if (this.#channel.bufferedBytes < MOST_WAITING_BYTES) this.#channel.send(slice);
    }
    this.#slices = [];
    const handedOver = this.#handedOver;
    this.#handedOver = () => {};
    handedOver();
  }
}
