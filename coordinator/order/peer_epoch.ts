/**
 * Which members of a compute group may average among themselves (SPEC G8): those whose volunteers allow it, once all of them have
 * connected to each other. Every change of members begins a new epoch, and so does, after a while, a failed one. Pure: members are told
 * through what they are, and the time is handed in.
 */

import { LIMITS } from "../../shared/wire/codes.ts";
import type { Header } from "../../shared/wire/messages.ts";

export interface PeerMember {
  readonly id: string;
  /** Its volunteer does. */
  readonly allowsPeers: boolean;
  tellGroup(header: Header<"group">): void;
  tellSignal(header: Header<"signal">): void;
}

export interface PeerEpochOptions {
  /** Never given twice in a run. */
  readonly newEpoch: () => number;
  readonly nowMs: () => number;
}

const FEWEST_MEMBERS = 2;
/** After the first failure to connect; each further one doubles it. Most that fail stand behind routers that will not change. */
const FIRST_RETRY_MS = 5000;
const LONGEST_RETRY_MS = 300_000;

export class PeerEpoch<M extends PeerMember> {
  readonly #options: PeerEpochOptions;
  #number = 0;
  #members: readonly M[] = [];
  readonly #connected = new Set<M>();
  #failures = 0;
  /** It has failed, and a new one begins then. */
  #retryAtMs: number | undefined;

  constructor(options: PeerEpochOptions) {
    this.#options = options;
  }

  get number(): number {
    return this.#number;
  }

  /** In the order that all of them know; empty where nobody averages directly. */
  get members(): readonly M[] {
    return this.#members;
  }

  /** Each with all others. */
  get isConnected(): boolean {
    return this.#members.length > 0 && this.#connected.size === this.#members.length;
  }

  /** Who is in the group now. True where that begins another epoch. */
  changed(group: Iterable<M>): boolean {
    const allowing = [...group].filter(({ allowsPeers }) => allowsPeers).slice(0, LIMITS.peers);
    const members = allowing.length < FEWEST_MEMBERS ? [] : allowing;
    if (members.length === this.#members.length && members.every((one, at) => one === this.#members[at])) return false;
    const former = this.#members.filter((one) => !members.includes(one));
    this.#failures = 0;
    this.#begin(members, false);
    const header = { epoch: this.#number, members: [], isAnew: false };
    for (const one of former) one.tellGroup(header);
    return true;
  }

  /** True where the epoch has failed. */
  joined(member: M, { epoch, isConnected }: Header<"joined">): boolean {
    if (epoch !== this.#number || this.#retryAtMs !== undefined || !this.#members.includes(member)) return false;
    if (isConnected) {
      this.#connected.add(member);
      return false;
    }
    this.#connected.clear();
    this.#retryAtMs = this.#options.nowMs() + Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#failures);
    this.#failures++;
    return true;
  }

  /** From one member to another; whoever is not both is not heard. */
  signalled(from: M, { peer, data, epoch }: Header<"signal">): void {
    const to = this.#members.find(({ id }) => id === peer);
    if (!to || to === from || !this.#members.includes(from)) return;
    to.tellSignal({ peer: from.id, data, ...(epoch === undefined ? {} : { epoch }) });
  }

  /** The members have averaged. */
  proven(): void {
    this.#failures = 0;
  }

  tick(): void {
    if (this.#retryAtMs !== undefined && this.#options.nowMs() >= this.#retryAtMs) this.#begin(this.#members, true);
  }

  #begin(members: readonly M[], isAnew: boolean): void {
    this.#number = this.#options.newEpoch();
    this.#members = members;
    this.#connected.clear();
    this.#retryAtMs = undefined;
    const header = { epoch: this.#number, members: members.map(({ id }) => id), isAnew };
    for (const one of members) one.tellGroup(header);
  }
}
