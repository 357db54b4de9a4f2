/** One member of the benchmark's group, a process of its own: averages its vector as it is told, over WebRTC or through the relay. */

import { once } from "node:events";
import { WebSocket } from "ws";
import { nodePeers } from "../../../client/node/node_peer.ts";
import { AllReduce } from "../../../client/replica/peers/all_reduce.ts";
import { Mesh } from "../../../client/replica/peers/mesh.ts";
import { peerHead, readFromPeer } from "../../../client/replica/peers/peer_messages.ts";
import type { Algorithm } from "../../../client/replica/peers/schedule.ts";
import type { FromMember, ToMember } from "./messages.ts";

const TICK_MS = 50;
/** Elements of the mean that are looked at. */
const CHECKED = 64;

const openPeer = nodePeers(console.error);
let begun: { readonly self: string; readonly members: readonly string[]; readonly elements: number };
let mesh: Mesh;
let relay: WebSocket;
let reduction: { readonly round: number; readonly all: AllReduce } | undefined;
let sentBytes = 0;
/** Of rounds that this member has not begun. */
let early: { readonly from: string; readonly frame: Uint8Array }[] = [];
let cpuAtStart = process.cpuUsage();

/** One after the other. */
let handled: Promise<void> = Promise.resolve();
process.on("message", (message: ToMember) => {
  handled = handled.then(() => handle(message));
});

function say(message: FromMember): void {
  process.send?.(message);
}

async function handle(message: ToMember): Promise<void> {
  switch (message.kind) {
    case "begin":
      return begin(message);
    case "signal":
      return mesh.signalled(message.header);
    case "average":
      cpuAtStart = process.cpuUsage();
      if (message.way === "relay") return averageByRelay(message.round);
      return averageDirectly(message.round, message.way);
    default:
      message satisfies never;
  }
}

async function begin({ self, members, elements, relayUrl }: Extract<ToMember, { kind: "begin" }>): Promise<void> {
  begun = { self, members, elements };
  relay = new WebSocket(relayUrl, { perMessageDeflate: false, maxPayload: 1 << 30 });
  relay.binaryType = "nodebuffer";
  await once(relay, "open");
  mesh = new Mesh({
    openPeer,
    iceServers: [],
    nowMs: () => performance.now(),
    longestPayloadBytes: 4 * elements,
    signal: (header) => say({ kind: "signal", header }),
    received: (from, frame) => receive(from, frame),
    opened: () => {},
    lost: (member) => {
      throw new Error(`the connection to ${member} is lost`);
    },
  });
  mesh.regroup({ epoch: 1, members, isAnew: false }, self);
  const ticker = setInterval(() => {
    mesh.tick();
    if (!mesh.isComplete) return;
    clearInterval(ticker);
    say({ kind: "connected" });
  }, TICK_MS);
}

function ownVector(): Float32Array<ArrayBuffer> {
  return new Float32Array(begun.elements).fill(begun.members.indexOf(begun.self));
}

function averageDirectly(round: number, algorithm: Algorithm): void {
  const { members, self } = begun;
  sentBytes = 0;
  const vector = ownVector();
  const all = new AllReduce({
    algorithm,
    rank: members.indexOf(self),
    members: members.length,
    vector,
    send: (to, step, payload) => {
      sentBytes += payload.byteLength;
      const header = { epoch: 1, baseVersion: round, step };
      mesh.send(members[to] ?? "", peerHead("part", header, payload.byteLength), payload);
    },
  });
  reduction = { round, all };
  all.begin(1 / members.length);
  const waiting = early;
  early = [];
  for (const { from, frame } of waiting) receive(from, frame);
  endIfDone(vector);
}

function receive(from: string, frame: Uint8Array): void {
  const message = readFromPeer(frame, 4 * begun.elements);
  if (message?.kind !== "part") throw new Error("a member sent something else");
  if (reduction?.round !== message.header.baseVersion) {
    early.push({ from, frame });
    return;
  }
  const { all } = reduction;
  if (!all.receive(begun.members.indexOf(from), message.header.step, message.payload)) throw new Error("not due");
  endIfDone(all.vector);
}

function endIfDone(mean: Float32Array): void {
  if (!reduction?.all.isDone) return;
  const { round } = reduction;
  reduction = undefined;
  check(mean);
  tell(round);
}

async function averageByRelay(round: number): Promise<void> {
  const vector = ownVector();
  sentBytes = vector.byteLength;
  relay.send(new Uint8Array(vector.buffer));
  const [answer] = (await once(relay, "message")) as [Buffer];
  const aligned = answer.byteOffset % 4 === 0 ? answer : Buffer.from(answer);
  check(new Float32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4));
  tell(round);
}

function check(mean: Float32Array): void {
  const expected = (begun.members.length - 1) / 2;
  const wrong = mean.subarray(0, CHECKED).find((value) => Math.abs(value - expected) > 1e-4);
  if (wrong !== undefined) throw new Error(`a mean of ${wrong} instead of ${expected}`);
}

function tell(round: number): void {
  const { user, system } = process.cpuUsage(cpuAtStart);
  say({ kind: "averaged", round, sentBytes, cpuMs: (user + system) / 1000 });
}
