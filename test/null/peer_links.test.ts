/** Real peer connections in Node, through simple-peer: two sides that signal, the coordinator's end, and what bad signals cause. */

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterEach, describe, expect, test } from "vitest";
import { nodePeers } from "../../client/node/node_peer.ts";
import type { PeerPort } from "../../client/replica/peer_port.ts";
import { Peers, type ChannelFaults } from "../../coordinator/server/peers.ts";
import type { SidePath } from "../../coordinator/side_path.ts";
import type { ChannelKind } from "../../shared/wire/channel.ts";
import { ChannelLink } from "../../shared/wire/channel_link.ts";
import { encodeHead } from "../../shared/wire/frame.ts";
import type { Link } from "../../shared/wire/link.ts";
import { readSignal } from "../../shared/wire/peer.ts";
import { Random } from "../../shared/random.ts";

const LONGEST_PAYLOAD_BYTES = 8_000_000;
const openPeer = nodePeers((sentence) => {
  throw new Error(sentence);
});

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** The coordinator's end, with a session that sends every frame back by the way it came. */
class FarEnd {
  readonly frames: Uint8Array[] = [];
  readonly slices: Uint8Array[] = [];
  readonly refusals: string[] = [];
  readonly failures: unknown[] = [];
  readonly signals: string[] = [];
  readonly path: SidePath;
  toNear: (data: string) => void = (data) => this.signals.push(data);

  constructor({ lossy = false, transport = "webrtc", faults }: FarEndOptions = {}) {
    const peers = new Peers({
      settings: { iceServers: [], lossy, transport },
      longestPayloadBytes: LONGEST_PAYLOAD_BYTES,
      longestQueueBytes: 2 * LONGEST_PAYLOAD_BYTES,
      countRefusal: (code) => this.refusals.push(code),
      onFailure: (error) => this.failures.push(error),
      faults,
    });
    closing.push(() => peers.close());
    this.path = peers.pathFor({
      receive: (frame: Uint8Array, link: Link) => {
        this.frames.push(frame);
        const head = encodeHead(69, { number: this.frames.length }, frame.byteLength);
        link.send(head, frame.subarray(0, 50_000), frame.subarray(50_000));
      },
      slice: (message) => this.slices.push(message),
      signal: (data) => this.toNear(data),
    });
  }
}

interface FarEndOptions {
  readonly lossy?: boolean;
  readonly transport?: "webrtc" | "websocket";
  readonly faults?: ChannelFaults;
}

class NearEnd {
  readonly frames: Uint8Array[] = [];
  readonly closings: string[] = [];
  readonly port: PeerPort;
  readonly link: ChannelLink;

  constructor(far: FarEnd, channels: readonly ChannelKind[] = ["reliable"]) {
    this.port = openPeer({
      isInitiator: true,
      channels,
      iceServers: [],
      signal: (data) => far.path.signalled(data),
      closed: (reason) => this.closings.push(reason),
    });
    closing.push(() => this.port.close());
    far.toNear = (data) => this.port.signal(data);
    this.link = new ChannelLink({
      open: (events) => this.port.channel("reliable", events),
      longestPayloadBytes: LONGEST_PAYLOAD_BYTES,
      nowMs: () => performance.now(),
      received: (frame) => this.frames.push(frame),
      closed: (reason) => this.closings.push(reason),
    });
    const timer = setInterval(() => this.link.tick(), 50);
    closing.push(() => clearInterval(timer));
  }

  async opened(): Promise<this> {
    await expect.poll(() => this.link.isOpen, { timeout: 20_000 }).toBe(true);
    return this;
  }
}

/** Of this process: what a fault in native code does to them. */
async function killWebRtcProcesses(): Promise<void> {
  const { stdout } = await promisify(execFile)("pgrep", ["-P", String(process.pid), "-f", "webrtc_process"]);
  for (const id of stdout.trim().split("\n")) process.kill(Number(id), "SIGKILL");
}

function frameOf(bytes: number, seed = 1): readonly [Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>] {
  const random = new Random(seed);
  const words = Uint32Array.from({ length: bytes / 4 }, () => random.bits());
  return [encodeHead(3, {}, bytes), new Uint8Array(words.buffer)];
}

describe("A peer connection between a volunteer in Node and a coordinator", () => {
  test("[T1] [T4] opens by signals alone, and carries frames of every size there and back unchanged", async () => {
    const far = new FarEnd();
    const near = await new NearEnd(far).opened();
    const sent = [frameOf(0), frameOf(400), frameOf(1_700_000, 2), frameOf(6_000_000, 3)];
    for (const [head, payload] of sent) near.link.send(head, payload);
    await expect.poll(() => near.frames.length, { timeout: 30_000 }).toBe(sent.length);
    expect(far.frames.map((got, at) => Buffer.compare(got, Buffer.concat(sent[at]!)))).toEqual([0, 0, 0, 0]);
    // Back comes each frame behind a head of its own, of 32 bytes.
    expect(near.frames.map((got, at) => Buffer.compare(got.subarray(32), Buffer.concat(sent[at]!)))).toEqual([
      0, 0, 0, 0,
    ]);
    expect([far.failures, far.refusals, near.closings]).toEqual([[], [], []]);
  });

  test("[T5] One that the coordinator closes is known as closed at once, and a new offer opens another", async () => {
    const far = new FarEnd();
    const near = await new NearEnd(far).opened();
    far.path.giveUp();
    await expect.poll(() => near.closings.length, { timeout: 10_000 }).toBeGreaterThan(0);
    const again = await new NearEnd(far).opened();
    const [head, payload] = frameOf(100_000);
    again.link.send(head, payload);
    await expect.poll(() => again.frames.length, { timeout: 10_000 }).toBe(1);
  });

  test("[T5] One whose far end says nothing any longer is known as stalled, though its connection stands", async () => {
    let isMuted = false;
    const far = new FarEnd({ faults: { isMuted: () => isMuted } });
    const near = await new NearEnd(far).opened();
    isMuted = true;
    const [head, payload] = frameOf(400);
    near.link.send(head, payload);
    await expect.poll(() => near.closings[0], { timeout: 15_000 }).toBe("nothing moved on it any longer");
    expect(far.frames).toEqual([]);
  });

  test("[T5] One whose process is killed is known as closed, and the next one is made by another process", async () => {
    const far = new FarEnd();
    const near = await new NearEnd(far).opened();
    await killWebRtcProcesses();
    await expect.poll(() => near.closings.length, { timeout: 10_000 }).toBeGreaterThan(0);
    expect([near.link.isOpen, far.failures]).toEqual([false, []]);
    await new NearEnd(far).opened();
  });

  test("[T6] A lossy channel brings slices beside the frames, as they were sent", async () => {
    const far = new FarEnd({ lossy: true, faults: { losesSlice: (message) => message[0] === 3 } });
    const near = new NearEnd(far, ["reliable", "lossy"]);
    const lossy = near.port.channel("lossy", { opened: () => {}, received: () => {}, closed: () => {} });
    await near.opened();
    await expect.poll(() => lossy.isOpen, { timeout: 10_000 }).toBe(true);
    for (let first = 0; first < 10; first++) lossy.send(new Uint8Array(1136).fill(first));
    await expect.poll(() => far.slices.length, { timeout: 10_000 }).toBe(9);
    const firsts = far.slices.map((message) => (new Set(message).size === 1 ? message[0] : undefined));
    expect(firsts.toSorted((a = -1, b = -1) => a - b)).toEqual([0, 1, 2, 4, 5, 6, 7, 8, 9]);
  });

  test("What breaks the rules ends the channel with a named refusal, and the next one opens", async () => {
    const far = new FarEnd();
    const near = new NearEnd(far);
    await near.opened();
    near.port.channel("reliable", { opened: () => {}, received: () => {}, closed: () => {} }).send(new Uint8Array(500));
    await expect.poll(() => far.refusals, { timeout: 10_000 }).toEqual(["NOT_A_FRAME"]);
    await expect.poll(() => near.closings.length, { timeout: 10_000 }).toBeGreaterThan(0);
    await new NearEnd(far).opened();
  });
});

describe("Signals", () => {
  test("of any content end nothing but the connection that they are about", async () => {
    const far = new FarEnd();
    for (const data of ["", "{}", "null", "[1]", '{"type":"offer"}', '{"type":"renegotiate","renegotiate":true}']) {
      far.path.signalled(data);
    }
    const random = new Random(5);
    const good = JSON.stringify({ type: "offer", sdp: `v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n` });
    for (let round = 0; round < 40; round++) {
      const at = random.below(good.length);
      far.path.signalled(good.slice(0, at) + String.fromCharCode(32 + random.below(90)) + good.slice(at + 1));
      far.path.signalled(
        JSON.stringify({
          type: "candidate",
          candidate: { candidate: `candidate:${round} 1 udp 1 nowhere`, sdpMid: "0" },
        }),
      );
    }
    expect(far.failures).toEqual([]);
  });

  test("that ask for connection after connection are declined after a few", async () => {
    const far = new FarEnd();
    const offer = JSON.stringify({ type: "offer", sdp: "v=0\r\n" });
    for (let asked = 0; asked < 30; asked++) far.path.signalled(offer);
    const declined = (): unknown[] => far.signals.map(readSignal).filter((signal) => signal?.type === "none");
    await expect.poll(() => declined().length, { timeout: 10_000 }).toBe(22);
  });

  test("to a coordinator whose run goes by WebSocket are declined with a reason", async () => {
    const far = new FarEnd({ transport: "websocket" });
    const near = new NearEnd(far);
    await expect.poll(() => near.closings[0], { timeout: 10_000 }).toBe("This run's exchanges go by WebSocket.");
  });
});
