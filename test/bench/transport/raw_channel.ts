/**
 * A data channel of Node's WebRTC stack and nothing around it: one end of the raw peer. Messages of many parts, as long as Drove's,
 * go out as fast as the channel takes them; who waits for one counts bytes.
 */

import wrtc from "@roamhq/wrtc";
import { PART_BYTES } from "../../../shared/wire/parts.ts";

/** What is used of an `RTCDataChannel`. */
interface RawDataChannel {
  readonly bufferedAmount: number;
  binaryType: string;
  addEventListener(type: "open", listener: () => void): void;
  addEventListener(type: "message", listener: (event: { readonly data: ArrayBuffer }) => void): void;
  send(part: Uint8Array): void;
}

interface RawConnection {
  readonly iceGatheringState: string;
  readonly localDescription: object;
  addEventListener(type: "icegatheringstatechange", listener: () => void): void;
  createDataChannel(label: string, options: object): RawDataChannel;
  createOffer(): Promise<object>;
  createAnswer(): Promise<object>;
  setLocalDescription(description: object): Promise<void>;
  setRemoteDescription(description: object): Promise<void>;
  close(): void;
}

/** As much as a link of ours lets wait; beyond 16 MB the stack throws. */
const MOST_BUFFERED_BYTES = 1 << 20;
/** The stack has no event for it. */
const POLL_MS = 1;

export class RawChannel {
  readonly #connection: RawConnection;
  readonly #channel: RawDataChannel;
  readonly opened: Promise<void>;

  /** `received`: the length of each part. */
  constructor(received: (part: Uint8Array) => void) {
    const Connection = wrtc.RTCPeerConnection as unknown as new (options: object) => RawConnection;
    this.#connection = new Connection({ iceServers: [] });
    this.#channel = this.#connection.createDataChannel("echo", { negotiated: true, id: 1, ordered: true });
    this.#channel.binaryType = "arraybuffer";
    this.#channel.addEventListener("message", ({ data }) => received(new Uint8Array(data)));
    this.opened = new Promise((resolve) => this.#channel.addEventListener("open", resolve));
  }

  /** A description with all addresses in it, as JSON. */
  async offer(): Promise<string> {
    return this.#described(await this.#connection.createOffer());
  }

  async answer(offer: string): Promise<string> {
    await this.#connection.setRemoteDescription(JSON.parse(offer) as object);
    return this.#described(await this.#connection.createAnswer());
  }

  async accept(answer: string): Promise<void> {
    await this.#connection.setRemoteDescription(JSON.parse(answer) as object);
  }

  async send(message: Uint8Array): Promise<void> {
    for (let at = 0; at < message.byteLength; at += PART_BYTES) {
      while (this.#channel.bufferedAmount > MOST_BUFFERED_BYTES) {
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
      this.#channel.send(message.subarray(at, at + PART_BYTES));
    }
  }

  close(): void {
    this.#connection.close();
  }

  async #described(description: object): Promise<string> {
    await this.#connection.setLocalDescription(description);
    while (this.#connection.iceGatheringState !== "complete") {
      await new Promise<void>((resolve) => this.#connection.addEventListener("icegatheringstatechange", resolve));
    }
    return JSON.stringify(this.#connection.localDescription);
  }
}
