/**
 * Who takes part in a run: joins, comes back, chooses a name, falls silent, leaves (SPEC H, L4, O2, O3). What a replica then does at
 * the center is the exchanges' affair; here it gets its place, its order, its leases and its welcome, and gives them back.
 */

import type { RunSettings } from "../shared/run_settings.ts";
import type { LoggedEvent } from "../shared/run_log.ts";
import type { Assignment } from "../shared/solver/assignment.ts";
import type { CodecName } from "../shared/wire/codec/codec.ts";
import { LIMITS, type RefusalCode } from "../shared/wire/codes.ts";
import type { Header } from "../shared/wire/messages.ts";
import { agreedCodecs, type Codecs } from "../shared/wire/vectors.ts";
import type { RunLeases } from "./leases/run_leases.ts";
import type { StandingOrders } from "./operator/standing_orders.ts";
import type { ExchangeOrder } from "./order/order.ts";
import type { Places } from "./places.ts";
import type { Connection, Replica, Roster } from "./roster.ts";
import type { RunClock } from "./run_clock.ts";
import type { Joined } from "./session.ts";
import type { Stream } from "./stream.ts";

export interface MembershipOptions {
  readonly settings: RunSettings;
  /** Of the run's parameters. */
  readonly layoutHash: string;
  readonly incarnation: number;
  readonly clock: RunClock;
  readonly roster: Roster;
  readonly places: Places;
  readonly stream: Stream;
  readonly leases: RunLeases;
  readonly orders: StandingOrders;
  readonly order: () => ExchangeOrder;
  /** The run's moves wait for everybody. */
  readonly isBarrier: boolean;
  /** Of the center. */
  readonly version: () => number;
  readonly isOver: () => boolean;
  /** Resolves when the center is not being put back. */
  readonly restored: () => Promise<unknown>;
  readonly assignmentOf: (replica: Replica) => Assignment;
  readonly log: (event: LoggedEvent) => void;
}

/** Of one replica, in the log. */
const MOST_NAMES = 32;
/** Control characters, and those that turn the direction of the text around them. */
const UNSHOWN = /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

export class Membership {
  readonly #options: MembershipOptions;

  constructor(options: MembershipOptions) {
    this.#options = options;
  }

  async join(hello: Header<"hello">, connection: Connection): Promise<Joined | RefusalCode> {
    const { clock, restored, places, stream, order, log } = this.#options;
    const replica = this.#admitted(hello);
    if (typeof replica === "string") return replica;
    this.#connect(replica, hello, connection);
    // Whoever joins meanwhile must not begin with the center that is given up.
    await restored();
    // An older connection's push may still be applied: its place must not change under it, and may be freed after it.
    while (replica.inFlight) await replica.inFlight.settled;
    replica.isMember = true;
    log({ kind: "joined", replica: replica.id, backend: replica.backend, device: replica.device });
    const codecs = this.#codecsOf(replica, hello);
    const isKnown = replica.place !== undefined && hello.resume?.incarnation === this.#options.incarnation;
    // Of the same codecs too: those of another device may be others.
    const resumed = isKnown && isSame(codecs, replica.codecs);
    const fetched = this.#mayHold(hello.holds) ? stream.at(hello.holds.version) : undefined;
    replica.codecs = codecs;
    if (!resumed) await places.open(replica, codecs, fetched);
    order().join(replica);
    replica.freeSinceMs = clock.runMs();
    replica.lastPushMs = replica.freeSinceMs;
    const welcome = this.#welcome(replica, hello, resumed);
    const isWithCenter = !resumed && !fetched;
    return { replica, welcome, center: isWithCenter ? replica.place?.values() : undefined };
  }

  /** What its volunteer chose to be called, and how the volunteer lets it compute. */
  profiled(replica: Replica, { name: offered, isHidden, dutyCycle }: Header<"profile">): void {
    const { orders, log } = this.#options;
    replica.isHidden = isHidden;
    replica.dutyCycle = dutyCycle;
    const name = offered?.replaceAll(UNSHOWN, "").trim() || null;
    if (name === replica.name || replica.timesNamed >= MOST_NAMES || orders.isKicked(replica)) return;
    replica.name = name;
    replica.timesNamed++;
    log({ kind: "named", replica: replica.id, name });
  }

  /** It gave a sign of life. */
  heard(replica: Replica): void {
    replica.lastHeardMs = this.#options.clock.nowMs();
  }

  /** Time went by: whoever was silent for too long has left (SPEC L4). */
  tick(): void {
    const { roster, clock, places } = this.#options;
    for (const replica of roster) {
      if (!replica.isMember || replica.inFlight || clock.nowMs() - replica.lastHeardMs <= LIMITS.leaseMs) continue;
      replica.connection?.refuse("LEASE_EXPIRED");
      places.free(replica);
    }
  }

  /** A connection ended: the place is kept for the lease, or freed at once when the replica left `forGood`. */
  leave(replica: Replica, connection: Connection, forGood: boolean): void {
    const { order, places, log } = this.#options;
    if (replica.connection !== connection) return;
    replica.connection = undefined;
    order().leave(replica);
    if (forGood) places.freeSoon(replica);
    else log({ kind: "left", replica: replica.id, forGood: false });
  }

  /** Its place at the center is free: goodbye was said, its lease ran out, or it was kicked; nothing of it is in flight. */
  ended(replica: Replica): void {
    if (!replica.isMember) return;
    const { leases, log } = this.#options;
    replica.isMember = false;
    replica.isDraining = false;
    leases.ended(replica);
    log({ kind: "left", replica: replica.id, forGood: true });
  }

  /** Who it is, if it may join. */
  #admitted(hello: Header<"hello">): Replica | RefusalCode {
    const { layoutHash, roster, orders, clock, isOver } = this.#options;
    if (isOver()) return "RUN_OVER";
    if (hello.layoutHash !== layoutHash) return "WRONG_LAYOUT";
    const known = roster.proven(hello.resume, clock.runMs());
    const refusal = orders.refusalOf(known);
    if (refusal) return refusal;
    if (!known && roster.connected().length >= LIMITS.replicas) return "RUN_FULL";
    return known ?? roster.add(clock.runMs());
  }

  #connect(replica: Replica, hello: Header<"hello">, connection: Connection): void {
    const { settings, orders } = this.#options;
    replica.connection?.refuse("REPLACED");
    replica.connection = connection;
    orders.greet(replica);
    replica.backend = hello.backend;
    replica.device = hello.device;
    replica.allowsPeers = settings.peers && hello.allowsPeers === true;
    if (hello.samplesPerSecond > 0) replica.speed = hello.samplesPerSecond;
    this.heard(replica);
  }

  #welcome(replica: Replica, { shards = [] }: Header<"hello">, resumed: boolean): Header<"welcome"> {
    const { roster, incarnation, version, assignmentOf, leases: given } = this.#options;
    const assignment = assignmentOf(replica);
    const leases = given.welcomed(replica, shards, resumed);
    return {
      replica: replica.id,
      token: roster.tokenOf(replica.id),
      incarnation,
      version: replica.place?.baseVersion(0) ?? version(),
      resumed,
      lastExchange: replica.lastExchange,
      assignment,
      codecs: replica.codecs,
      ...(leases.length === 0 ? {} : { leases }),
    };
  }

  /** SPEC H8; the same again for who comes back and still has them. */
  #codecsOf(replica: Replica, { codecs: known = [] }: Header<"hello">): Codecs {
    const { settings } = this.#options;
    const { up, down } = replica.codecs;
    const has = (codec: CodecName): boolean => codec === "f32" || known.includes(codec);
    if (replica.place && has(up) && has(down)) return replica.codecs;
    return agreedCodecs({ up: settings.codecUp, down: settings.codecDown }, known);
  }

  /** SPEC D3: what a member of a barrier made of an older center would be too stale. */
  #mayHold(holds: Header<"hello">["holds"]): holds is NonNullable<Header<"hello">["holds"]> {
    const { incarnation, isBarrier, version } = this.#options;
    if (holds?.incarnation !== incarnation) return false;
    return !isBarrier || holds.version === version();
  }
}

function isSame(one: Codecs, other: Codecs): boolean {
  return one.up === other.up && one.down === other.down;
}
