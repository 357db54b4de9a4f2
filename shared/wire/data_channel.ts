/** An `RTCDataChannel`, wherever it lives (a worker, a page, Node), as a `Channel`. */

import type { Channel, ChannelEvents, ChannelKind } from "./channel.ts";

/** What is used of an `RTCDataChannel`. */
export interface DataChannelLike {
  readonly readyState: string;
  readonly bufferedAmount: number;
  /** Missing in Node's stack, which has no event for it either. */
  bufferedAmountLowThreshold?: number;
  binaryType: string;
  send(message: Uint8Array<ArrayBuffer> | string): void;
  close(): void;
  addEventListener(type: string, listener: (event: object) => void): void;
}

/** Half of what a link lets wait (channel_link.ts): the other half keeps the network busy until this thread gets around to it. */
const LOW_BYTES = 512 * 1024;

/** Both ends make their channels by themselves, with these numbers: nothing has to be announced, and each end may move its own into a worker. */
const CHANNELS = {
  reliable: { id: 10, negotiated: true, ordered: true },
  lossy: { id: 11, negotiated: true, ordered: false, maxRetransmits: 0 },
} as const satisfies Record<ChannelKind, object>;

export function channelOptions(kind: ChannelKind): (typeof CHANNELS)[ChannelKind] {
  return CHANNELS[kind];
}

export function wrapDataChannel(channel: DataChannelLike, events: ChannelEvents): Channel {
  channel.binaryType = "arraybuffer";
  let whenLow: (() => void) | undefined;
  let isOver = false;
  const over = (reason: string): void => {
    if (isOver) return;
    isOver = true;
    events.closed(reason);
  };
  channel.addEventListener("open", () => events.opened());
  channel.addEventListener("message", (event) => {
    if (!isOver && "data" in event) receive(event.data, events);
  });
  channel.addEventListener("close", () => over("the channel closed"));
  const hasEvent = channel.bufferedAmountLowThreshold !== undefined;
  if (hasEvent) {
    channel.bufferedAmountLowThreshold = LOW_BYTES;
    channel.addEventListener("bufferedamountlow", () => {
      const call = whenLow;
      whenLow = undefined;
      call?.();
    });
  }
  return {
    get isOpen() {
      return channel.readyState === "open";
    },
    get bufferedBytes() {
      return channel.bufferedAmount;
    },
    // A data channel copies what it is given; the type says that it takes no shared memory.
    send: (message) => channel.send(typeof message === "string" ? message : unshared(message)),
    close: () => {
      isOver = true;
      channel.close();
    },
    ...(hasEvent ? { onceLow: (call: () => void) => (whenLow = call) } : {}),
  };
}

function receive(data: unknown, events: ChannelEvents): void {
  if (typeof data === "string") events.received(data);
  else if (data instanceof ArrayBuffer) events.received(new Uint8Array(data));
}

/** Browsers refuse views of shared memory. */
function unshared(message: Uint8Array): Uint8Array<ArrayBuffer> {
  return message.buffer instanceof ArrayBuffer ? (message as Uint8Array<ArrayBuffer>) : message.slice();
}
