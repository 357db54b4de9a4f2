/**
 * The replica's part in a group that averages among itself (SPEC G8): connects to the members that the coordinator names, says
 * whether all are connected, and averages where the coordinator's last answer permits it. Whatever goes wrong ends in "no
 * average" within the answer's deadline: the replica pushes for itself then, and the coordinator decides what counted. Exists
 * only where the volunteer allows direct connections.
 */

import type { RunSettings } from "../../../shared/run_settings.ts";
import type { Header } from "../../../shared/wire/messages.ts";
import type { OpenPeer } from "../peer_port.ts";
import { DirectAverage, type AverageOutcome } from "./direct_average.ts";
import { Mesh } from "./mesh.ts";
import { peerHead, readFromPeer, type PeerMessage } from "./peer_messages.ts";

export interface PeerGroupOptions {
  readonly openPeer: OpenPeer;
  readonly iceServers: RunSettings["iceServers"];
  readonly nowMs: () => number;
  /** Of the layout. */
  readonly elements: number;
  /** By the WebSocket. */
  readonly signal: (header: Header<"signal">) => void;
  readonly joined: (header: Header<"joined">) => void;
}

export interface AverageRequest {
  /** That the vector is relative to, or a gradient at. */
  readonly baseVersion: number;
  readonly weight: number;
  /** Is called once, where there is something to average, and is changed. */
  readonly vector: () => Float32Array<ArrayBuffer>;
}

/** What the coordinator is told of it. */
export interface Averaged {
  readonly mean: Float32Array<ArrayBuffer>;
  readonly epoch: number;
  /** One of the members pushes the mean for all. */
  readonly isLeader: boolean;
}

interface Running {
  readonly average: DirectAverage;
  readonly baseVersion: number;
  readonly giveUpMs: number;
}

/** Where no way between two members is found by then, none will be. */
const CONNECT_MS = 30_000;
/** For so long after an average that came to nothing members are asked whether they are there. */
const DOUBT_MS = 10_000;

export class PeerGroup {
  readonly #options: PeerGroupOptions;
  readonly #mesh: Mesh;
  #epoch: number | undefined;
  #members: readonly string[] = [];
  #self = "";
  /** What the coordinator was last told of this epoch. */
  #isConnected: boolean | undefined;
  #connectUntilMs = 0;
  /** For the next exchange. */
  #permitUntilMs: number | undefined;
  #running: Running | undefined;
  #doubtsUntilMs = 0;
  /** Who is further than this replica. */
  readonly #early = new Map<string, PeerMessage>();

  constructor(options: PeerGroupOptions) {
    const { openPeer, iceServers, nowMs, elements, signal } = options;
    this.#options = options;
    this.#mesh = new Mesh({
      openPeer,
      iceServers,
      nowMs,
      longestPayloadBytes: 4 * elements,
      signal,
      received: (from, frame) => this.#receive(from, frame),
      opened: () => this.#tellIfComplete(),
      lost: (member) => this.#lost(member),
    });
  }

  /** The coordinator's newest group, of which this replica is `self`. */
  grouped(header: Header<"group">, self: string): void {
    this.#giveUp("the group changed");
    this.#early.clear();
    this.#permitUntilMs = undefined;
    this.#epoch = header.epoch;
    this.#members = header.members;
    this.#self = self;
    this.#isConnected = undefined;
    this.#connectUntilMs = this.#options.nowMs() + CONNECT_MS;
    try {
      this.#mesh.regroup(header, self);
      this.#tellIfComplete();
    } catch {
      // There is no WebRTC here: the group averages through the coordinator.
      this.#tell(false);
    }
  }

  signalled(header: Header<"signal">): void {
    try {
      this.#mesh.signalled(header);
    } catch {
      this.#tell(false);
    }
  }

  /** What the answer to the last exchange says of the next one. */
  permitted(permit: Header<"answer">["average"]): void {
    const isCurrent = permit !== undefined && permit.epoch === this.#epoch;
    this.#permitUntilMs = isCurrent ? this.#options.nowMs() + permit.deadlineMs : undefined;
  }

  /** Calls `ended` once, with the mean or without; false, without a call, where there is nothing to begin. */
  average(request: AverageRequest, ended: (averaged: Averaged | undefined) => void): boolean {
    const [epoch, giveUpMs] = [this.#epoch, this.#permitUntilMs];
    this.#permitUntilMs = undefined;
    this.#giveUp("another exchange began");
    if (epoch === undefined || giveUpMs === undefined) return false;
    const { baseVersion } = request;
    if (!this.#mesh.isComplete || this.#options.nowMs() >= giveUpMs) {
      // Those who can need not wait.
      for (const id of this.#members) this.#mesh.send(id, peerHead("quit", { epoch, baseVersion }));
      return false;
    }
    this.#begin(request, epoch, giveUpMs, ended);
    return true;
  }

  /** Several times a second. */
  tick(): void {
    const nowMs = this.#options.nowMs();
    // A member between two slow steps may be silent for seconds: it is asked where there is reason to.
    if (this.#isConnected !== true || nowMs < this.#doubtsUntilMs) this.#mesh.tick();
    if (this.#running && nowMs >= this.#running.giveUpMs) {
      this.#doubtsUntilMs = nowMs + DOUBT_MS;
      this.#giveUp("its deadline is over");
    }
    if (this.#members.length === 0 || this.#isConnected !== undefined) return;
    // A channel may have heard of its other end before it says that it is open.
    this.#tellIfComplete();
    if (nowMs >= this.#connectUntilMs) this.#tell(false);
  }

  /** Without the coordinator there is no group. */
  disconnected(): void {
    this.#giveUp("the coordinator is out of reach");
    this.#epoch = undefined;
    this.#members = [];
    this.#permitUntilMs = undefined;
    this.#early.clear();
    this.#mesh.close();
  }

  #begin(
    { baseVersion, weight, vector }: AverageRequest,
    epoch: number,
    giveUpMs: number,
    ended: (averaged: Averaged | undefined) => void,
  ): void {
    const members = this.#members;
    const rank = members.indexOf(this.#self);
    const at = (other: number): string => members[other] ?? "";
    const average = new DirectAverage({
      epoch,
      baseVersion,
      rank,
      members: members.length,
      weight,
      vector: vector(),
      send: {
        ready: (to, header) => this.#mesh.send(at(to), peerHead("ready", header)),
        part: (to, header, payload) => this.#mesh.send(at(to), peerHead("part", header, payload.byteLength), payload),
        quit: (to, header) => this.#mesh.send(at(to), peerHead("quit", header)),
      },
      ended: (outcome) => {
        this.#running = undefined;
        ended(averagedOf(outcome, epoch, rank));
      },
    });
    this.#running = { average, baseVersion, giveUpMs };
    // A channel may have closed just now, at the first word.
    if (!this.#mesh.isComplete) return average.giveUp("a connection is lost");
    const early = [...this.#early];
    this.#early.clear();
    for (const [from, message] of early) {
      if (message.header.baseVersion === baseVersion) average.receive(members.indexOf(from), message);
    }
  }

  #receive(from: string, frame: Uint8Array): void {
    const message = readFromPeer(frame, 4 * this.#options.elements);
    const rank = this.#members.indexOf(from);
    // Whatever else it is, it is no average of this group.
    if (!message || rank < 0 || message.header.epoch !== this.#epoch) return;
    if (this.#running?.baseVersion === message.header.baseVersion) this.#running.average.receive(rank, message);
    else if (message.kind !== "part") this.#early.set(from, message);
  }

  #lost(member: string): void {
    this.#giveUp(`the connection to ${member} is lost`);
    if (this.#members.includes(member)) this.#tell(false);
  }

  #giveUp(why: string): void {
    this.#running?.average.giveUp(why);
  }

  #tellIfComplete(): void {
    if (this.#mesh.isComplete) this.#tell(true);
  }

  #tell(isConnected: boolean): void {
    const epoch = this.#epoch;
    // One that was given up is not taken up again: the coordinator begins a new epoch.
    if (epoch === undefined || this.#isConnected === isConnected || this.#isConnected === false) return;
    this.#isConnected = isConnected;
    this.#options.joined({ epoch, isConnected });
  }
}

function averagedOf(outcome: AverageOutcome, epoch: number, rank: number): Averaged | undefined {
  return "mean" in outcome ? { mean: outcome.mean, epoch, isLeader: rank === 0 } : undefined;
}
