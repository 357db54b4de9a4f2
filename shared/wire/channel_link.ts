/**
 * A data channel as a `Link` (SPEC T): frames go out in parts, never more of them at once than the channel can hold well, and come in
 * whole. Beside the parts, which are binary, both ends speak in texts: `ping` and `pong`, by which the end that ticks knows
 * whether the other one is there, and `ack N`, how many bytes of parts have arrived in all. The acknowledgements are the
 * back-pressure where the sender's stack has no event for it.
 */

import type { Channel, ChannelEvents } from "./channel.ts";
import { LIMITS, type RefusalCode } from "./codes.ts";
import type { Link } from "./link.ts";
import { PartJoiner, partsOf } from "./parts.ts";

export interface ChannelLinkOptions {
  readonly open: (events: ChannelEvents) => Channel;
  readonly longestPayloadBytes: number;
  /** Who lets more than this wait reads too slowly, and is closed (SPEC L2). No limit where left out. */
  readonly longestQueueBytes?: number;
  readonly nowMs: () => number;
  /** The other end has said something: both directions are known to work. */
  readonly opened?: () => void;
  readonly received: (frame: Uint8Array) => void;
  /** Once, also where it never opened. `refusal`: the other end broke the rules. */
  readonly closed: (reason: string, refusal?: RefusalCode) => void;
}

/** Given to the channel and not sent yet, or, where it cannot say that, not acknowledged. */
const WINDOW_BYTES = 1 << 20;
const ACK_EVERY_BYTES = WINDOW_BYTES / 4;
/** Until the other end has said something: messages may be lost while a channel moves into a worker (w3c/webrtc-pc#3058). */
const GREET_EVERY_MS = 250;
const PING_AFTER_MS = 1000;
/** SPEC T5. */
const STALL_MS = 3000;
/** A tick that comes later than this was kept by other work: what arrived meanwhile may wait behind it. */
const LONGEST_TICK_MS = 500;

export class ChannelLink implements Link {
  readonly #options: ChannelLinkOptions;
  readonly #channel: Channel;
  readonly #joiner: PartJoiner;
  readonly #words: WordBudget;
  readonly #parts: Generator<Uint8Array, undefined>[] = [];
  #queuedBytes = 0;
  #sentBytes = 0;
  #ackedBytes = 0;
  #receivedBytes = 0;
  #toldBytes = 0;
  #isWaitingForLow = false;
  #isGreeted = false;
  #isEnded = false;
  #tickedMs: number;
  #quietMs = 0;
  #pingedMs = Number.NEGATIVE_INFINITY;
  #bufferedBytes = 0;

  constructor(options: ChannelLinkOptions) {
    this.#options = options;
    this.#joiner = new PartJoiner(options.longestPayloadBytes);
    this.#tickedMs = options.nowMs();
    this.#words = new WordBudget(this.#tickedMs);
    this.#channel = options.open({
      opened: () => {},
      received: (message) => this.#receive(message),
      closed: (reason) => this.#end(reason),
    });
  }

  /** Whether both ends have heard of each other. */
  get isOpen(): boolean {
    return this.#isGreeted && !this.#isEnded && this.#channel.isOpen;
  }

  /** Of frames. What a channel takes it copies, so that what it holds is nobody's concern here. */
  get bufferedBytes(): number {
    return this.#queuedBytes;
  }

  send(head: Uint8Array<ArrayBuffer>, ...payload: readonly Uint8Array[]): void {
    if (!this.isOpen) return;
    const { longestQueueBytes = Number.POSITIVE_INFINITY } = this.#options;
    if (this.#queuedBytes > longestQueueBytes) return this.#end("it reads too slowly");
    const pieces = [head, ...payload];
    for (const { byteLength } of pieces) this.#queuedBytes += byteLength;
    this.#parts.push(partsOf(pieces));
    this.#flush();
  }

  close(_code: number, reason: string): void {
    this.#end(reason);
  }

  /** Looks whether the other end is still there. Called several times a second by the end that wants to know. */
  tick(): void {
    if (this.#isEnded) return;
    const nowMs = this.#options.nowMs();
    const elapsedMs = Math.min(LONGEST_TICK_MS, nowMs - this.#tickedMs);
    this.#tickedMs = nowMs;
    if (!this.#channel.isOpen) return;
    const { bufferedBytes } = this.#channel;
    const isMoving = bufferedBytes < this.#bufferedBytes;
    this.#bufferedBytes = bufferedBytes;
    this.#quietMs = isMoving ? 0 : this.#quietMs + elapsedMs;
    if (this.#quietMs >= STALL_MS) return this.#end("nothing moved on it any longer");
    const isPingDue = this.#isGreeted
      ? this.#quietMs >= PING_AFTER_MS && nowMs - this.#pingedMs >= PING_AFTER_MS
      : nowMs - this.#pingedMs >= GREET_EVERY_MS;
    if (!isPingDue) return;
    this.#pingedMs = nowMs;
    this.#hand("ping");
  }

  #receive(message: Uint8Array | string): void {
    if (this.#isEnded) return;
    this.#quietMs = 0;
    if (!this.#isGreeted) {
      this.#isGreeted = true;
      this.#options.opened?.();
      if (this.#isEnded) return;
    }
    if (typeof message === "string") return this.#receiveWord(message);
    this.#receivedBytes += message.byteLength;
    const joined = this.#joiner.take(message);
    if (joined && "refusal" in joined) return this.#refuse(joined.refusal);
    if (this.#receivedBytes - this.#toldBytes >= ACK_EVERY_BYTES) {
      this.#toldBytes = this.#receivedBytes;
      this.#hand(`ack ${this.#receivedBytes}`);
    }
    if (joined) this.#options.received(joined);
  }

  #receiveWord(word: string): void {
    if (!this.#words.spend(this.#options.nowMs())) return this.#refuse("TOO_FAST");
    if (word === "pong") return;
    if (word === "ping") {
      // Who does not read gets no more to read.
      if (this.#channel.bufferedBytes < WINDOW_BYTES) this.#hand("pong");
      return;
    }
    const acked = /^ack (\d{1,15})$/.exec(word);
    if (!acked) return this.#refuse("NOT_A_FRAME");
    const bytes = Number(acked[1]);
    if (bytes < this.#ackedBytes || bytes > this.#sentBytes) return this.#refuse("BAD_HEADER");
    this.#ackedBytes = bytes;
    this.#flush();
  }

  /** Hands parts to the channel while it has room for them. */
  #flush(): void {
    while (this.#parts.length > 0 && !this.#isEnded) {
      if (!this.#hasRoom) return this.#waitForLow();
      const part = this.#parts[0]?.next().value;
      if (part) {
        this.#queuedBytes -= part.byteLength;
        this.#sentBytes += part.byteLength;
        this.#hand(part);
      } else {
        this.#parts.shift();
      }
    }
  }

  get #hasRoom(): boolean {
    if (this.#channel.onceLow) return this.#channel.bufferedBytes < WINDOW_BYTES;
    return this.#sentBytes - this.#ackedBytes < WINDOW_BYTES;
  }

  #waitForLow(): void {
    if (this.#isWaitingForLow || !this.#channel.onceLow) return;
    this.#isWaitingForLow = true;
    this.#channel.onceLow(() => {
      this.#isWaitingForLow = false;
      this.#flush();
    });
  }

  #hand(message: Uint8Array | string): void {
    try {
      this.#channel.send(message);
    } catch (error) {
      // It closed just now, and says so only later.
      this.#end(error instanceof Error ? error.message : String(error));
    }
  }

  #refuse(refusal: RefusalCode): void {
    this.#end(refusal, refusal);
  }

  #end(reason: string, refusal?: RefusalCode): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#parts.length = 0;
    this.#queuedBytes = 0;
    this.#channel.close();
    this.#options.closed(reason, refusal);
  }
}

/** Texts pass below the session's limit on frames, so they have their own. */
class WordBudget {
  #words: number = LIMITS.frameBurst;
  #atMs: number;

  constructor(nowMs: number) {
    this.#atMs = nowMs;
  }

  spend(nowMs: number): boolean {
    const earned = ((nowMs - this.#atMs) / 1000) * LIMITS.framesPerSecond;
    this.#atMs = nowMs;
    this.#words = Math.min(LIMITS.frameBurst, this.#words + earned) - 1;
    return this.#words >= 0;
  }
}
