/** Two channels joined by two queues, in place of a peer connection: the test decides what arrives and when, and how much room there is. */

import type { Channel, ChannelEvents } from "../../shared/wire/channel.ts";

type Message = Uint8Array | string;

export class ChannelEnd implements Channel {
  isOpen = false;
  /** What was given and is not taken off the wire yet. */
  bufferedBytes = 0;
  readonly sent: Message[] = [];
  readonly onceLow?: (call: () => void) => void;
  events: ChannelEvents | undefined;
  #whenLow: (() => void) | undefined;
  #peer: ChannelEnd | undefined;

  constructor(hasLowEvent: boolean) {
    if (hasLowEvent) this.onceLow = (call) => (this.#whenLow = call);
  }

  join(peer: ChannelEnd): void {
    this.#peer = peer;
  }

  send(message: Message): void {
    if (!this.isOpen) throw new Error("invariant violation: something was sent over a closed channel");
    this.bufferedBytes += message.length;
    this.sent.push(typeof message === "string" ? message : message.slice());
  }

  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.#peer?.closeByOther();
  }

  closeByOther(): void {
    this.isOpen = false;
    this.events?.closed("the channel closed");
  }

  /** Brings the next message to the other end. */
  deliver(): Message | undefined {
    const message = this.sent.shift();
    if (message === undefined) return undefined;
    this.bufferedBytes -= message.length;
    this.#peer?.events?.received(message);
    if (this.bufferedBytes === 0) {
      const call = this.#whenLow;
      this.#whenLow = undefined;
      call?.();
    }
    return message;
  }
}

export class ChannelPair {
  readonly near: ChannelEnd;
  readonly far: ChannelEnd;

  constructor(hasLowEvent = true) {
    this.near = new ChannelEnd(hasLowEvent);
    this.far = new ChannelEnd(hasLowEvent);
    this.near.join(this.far);
    this.far.join(this.near);
  }

  open(): void {
    this.near.isOpen = true;
    this.far.isOpen = true;
    this.near.events?.opened();
    this.far.events?.opened();
  }

  /** Until nothing is under way any longer. */
  deliverAll(): void {
    while (this.near.deliver() !== undefined || this.far.deliver() !== undefined);
  }
}
