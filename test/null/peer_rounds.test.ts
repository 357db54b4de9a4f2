/**
 * Direct averages as coordinator and members decide them together, in virtual time: real members' averages, the real decision, and
 * between them a network that delays, loses and doubles, and members that vanish at any moment.
 */

import { describe, expect, test } from "vitest";
import { DirectAverage } from "../../client/replica/peers/direct_average.ts";
import type { PeerMessage } from "../../client/replica/peers/peer_messages.ts";
import { PeerRounds, type PeerCounts } from "../../coordinator/order/peer_rounds.ts";
import type { PeerMember } from "../../coordinator/order/peer_epoch.ts";
import { Random } from "../../shared/random.ts";
import type { Header } from "../../shared/wire/messages.ts";

const ASSIGNMENT = { communicationPeriod: 1, samples: 4, learningRate: 1, momentum: 0, movingRate: 0.5 };
const EXPECTED_MS = 100;

/** What happens, in order of time and, at the same time, of having been planned. */
class Agenda {
  readonly #events: { readonly atMs: number; readonly act: () => void }[] = [];
  nowMs = 0;

  in(delayMs: number, act: () => void): void {
    const atMs = this.nowMs + delayMs;
    const at = this.#events.findIndex((event) => event.atMs > atMs);
    this.#events.splice(at < 0 ? this.#events.length : at, 0, { atMs, act });
  }

  async runTo(endMs: number): Promise<void> {
    for (let next = this.#events[0]; next && next.atMs <= endMs; next = this.#events[0]) {
      this.#events.shift();
      this.nowMs = next.atMs;
      next.act();
      // Promises take no time.
      for (let turns = 0; turns < 12; turns++) await Promise.resolve();
    }
    this.nowMs = endMs;
  }
}

interface Faults {
  /** That a claim or a push is lost with its connection, and repeated as a push after a while. */
  readonly loss: number;
  readonly doubling: number;
  /** That a member vanishes during one of its exchanges. */
  readonly death: number;
  /** Of a part of an all-reduce: its channel is silent from then on. */
  readonly silence: number;
  readonly slowness: number;
}

type Answer = Header<"answer">;

/** What a member is told of a push. */
type Told =
  | { readonly kind: "answer"; readonly header: Answer }
  | { readonly kind: "not-averaged"; readonly exchange: number };

class World {
  readonly agenda = new Agenda();
  readonly random: Random;
  readonly faults: Faults;
  readonly counts: PeerCounts = { averaged: 0, fallen: 0 };
  readonly coordinator: Coordinator;
  readonly members: Member[] = [];
  /** How often each exchange moved the center. */
  readonly counted = new Map<string, number>();

  constructor(random: Random, faults: Faults, members: number) {
    this.random = random;
    this.faults = faults;
    this.coordinator = new Coordinator(this);
    for (let index = 0; index < members; index++) this.members.push(new Member(this, index));
    for (const member of this.members) this.coordinator.join(member);
  }

  happens(chance: number): boolean {
    return this.random.uniform() < chance;
  }

  delayMs(): number {
    return 1 + this.random.below(10) + (this.happens(this.faults.slowness) ? this.random.below(3000) : 0);
  }
}

/** A barrier of one group, with the gate's rules for numbers. */
class Coordinator {
  readonly #world: World;
  readonly #rounds: PeerRounds<Member, number>;
  readonly #present = new Set<Member>();
  readonly #settled = new Map<Member, Answer>();
  readonly #inFlight = new Map<Member, { readonly exchange: number; readonly told: Promise<Told> }>();
  #open = { pushed: new Set<Member>(), result: Promise.withResolvers<number>() };
  #permit: Answer["average"];
  #epochs = 0;
  version = 0;

  constructor(world: World) {
    this.#world = world;
    this.#rounds = new PeerRounds({
      newEpoch: () => ++this.#epochs,
      nowMs: () => world.agenda.nowMs,
      counts: world.counts,
      vectorBytes: 64,
    });
    const tick = (): void => {
      this.#rounds.tick();
      world.agenda.in(50, tick);
    };
    tick();
  }

  join(member: Member): void {
    this.#present.add(member);
    this.#rounds.changed(this.#present);
  }

  leave(member: Member): void {
    this.#present.delete(member);
    this.#rounds.changed(this.#present);
    this.#closeIfDue();
  }

  joined(member: Member, header: Header<"joined">): void {
    this.#rounds.joined(member, header);
  }

  async push(member: Member, header: Header<"push">, payload: Uint8Array): Promise<Told | undefined> {
    const settled = this.#settled.get(member);
    const inFlight = this.#inFlight.get(member);
    if (inFlight) return inFlight.exchange === header.exchange ? inFlight.told : undefined;
    if (settled && header.exchange <= settled.exchange) {
      return header.exchange === settled.exchange ? { kind: "answer", header: settled } : undefined;
    }
    const told = this.#exchange(member, header, payload);
    this.#inFlight.set(member, { exchange: header.exchange, told });
    try {
      return await told;
    } finally {
      this.#inFlight.delete(member);
    }
  }

  async #exchange(member: Member, header: Header<"push">, payload: Uint8Array): Promise<Told> {
    const { exchange } = header;
    let version: number | undefined;
    if (header.average) {
      version = await this.#rounds.claim(member, header, payload, async ({ claims, mean }) => {
        // Every member's element holds its exchange's number: the mean is of exactly the exchanges that were claimed.
        const sums = new Float32Array(mean.slice().buffer).map((value) => value * claims.length);
        for (const claim of claims) expect(sums[claim.member.index]).toBeCloseTo(claim.header.exchange, 2);
        const applied = await this.#count(claims.map((claim) => [claim.member, claim.header.exchange]));
        this.#rounds.decided(true);
        return applied;
      });
      if (version === undefined) return { kind: "not-averaged", exchange };
    } else {
      this.#rounds.pushedAlone(member);
      version = await this.#count([[member, exchange]]);
    }
    const permit = this.#permit;
    const average = permit ? { average: permit } : {};
    const answer: Answer = {
      exchange,
      version,
      staleness: 0,
      pull: 1,
      repeated: false,
      assignment: ASSIGNMENT,
      ...average,
    };
    this.#settled.set(member, answer);
    return { kind: "answer", header: answer };
  }

  #count(pushed: readonly (readonly [Member, number])[]): Promise<number> {
    const open = this.#open;
    for (const [member, exchange] of pushed) {
      open.pushed.add(member);
      const key = `${member.id} ${exchange}`;
      this.#world.counted.set(key, (this.#world.counted.get(key) ?? 0) + 1);
    }
    this.#closeIfDue();
    return open.result.promise;
  }

  #closeIfDue(): void {
    const { pushed, result } = this.#open;
    if (pushed.size === 0 || ![...this.#present].every((member) => pushed.has(member))) return;
    this.#open = { pushed: new Set(), result: Promise.withResolvers() };
    this.version++;
    this.#permit = this.#rounds.permit(pushed, EXPECTED_MS);
    result.resolve(this.version);
  }
}

class Member implements PeerMember {
  readonly index: number;
  readonly id: string;
  readonly allowsPeers = true;
  isAlive = true;
  exchange = 0;
  settled = 0;
  readonly #world: World;
  #baseVersion = 0;
  #epoch = 0;
  #permit: Answer["average"];
  #peers: readonly Member[] = [];
  #average: DirectAverage | undefined;
  /** Messages of averages that this member has not begun. */
  readonly #early: { readonly from: number; readonly message: PeerMessage }[] = [];
  readonly #busyUntilMs = new Map<Member, number>();
  readonly #silent = new Set<Member>();

  constructor(world: World, index: number) {
    this.#world = world;
    this.index = index;
    this.id = `r${index}`;
    world.agenda.in(world.delayMs(), () => this.#begin());
  }

  tellGroup({ epoch, members }: Header<"group">): void {
    this.#world.agenda.in(this.#world.delayMs(), () => {
      if (!this.isAlive || epoch < this.#epoch) return;
      this.#average?.giveUp("the group changed");
      this.#epoch = epoch;
      this.#peers = members.map((id) => this.#world.members.find((member) => member.id === id)!);
      this.#silent.clear();
      this.#early.length = 0;
      if (members.length > 0) this.#world.coordinator.joined(this, { epoch, isConnected: true });
    });
  }

  tellSignal(): void {}

  /** The next exchange, after some local steps. */
  #begin(): void {
    if (!this.isAlive) return;
    this.exchange++;
    if (this.#world.happens(this.#world.faults.death)) {
      this.#world.agenda.in(this.#world.random.below(60), () => this.#die());
    }
    const permit = this.#permit;
    this.#permit = undefined;
    if (permit?.epoch !== this.#epoch || this.#peers.length === 0) return this.#push();
    this.#startAverage(permit.deadlineMs);
  }

  #startAverage(deadlineMs: number): void {
    const vector = new Float32Array(16);
    vector[this.index] = this.exchange;
    const [epoch, baseVersion, peers] = [this.#epoch, this.#baseVersion, this.#peers];
    const rank = peers.indexOf(this);
    const send = (to: number, message: PeerMessage): void => this.#say(peers[to]!, rank, message);
    const empty = new Uint8Array(0);
    const average = new DirectAverage({
      epoch,
      baseVersion,
      rank,
      members: peers.length,
      weight: 1,
      vector,
      send: {
        ready: (to, header) => send(to, { kind: "ready", header, payload: empty }),
        part: (to, header, payload) => send(to, { kind: "part", header, payload }),
        quit: (to, header) => send(to, { kind: "quit", header, payload: empty }),
      },
      ended: (outcome) => {
        this.#average = undefined;
        if (!this.isAlive) return;
        if ("failure" in outcome) return this.#push();
        const isLeader = rank === 0;
        this.#push({ epoch, isLeader }, isLeader ? new Uint8Array(outcome.mean.buffer) : empty);
      },
    });
    this.#average = average;
    this.#world.agenda.in(deadlineMs, () => average.giveUp("its deadline is over"));
    for (const { from, message } of this.#early.splice(0)) this.hear(from, message);
  }

  /** In order, as a data channel delivers. */
  #say(to: Member, rank: number, message: PeerMessage): void {
    if (this.#world.happens(this.#world.faults.silence)) this.#silent.add(to);
    if (this.#silent.has(to)) return;
    const { agenda } = this.#world;
    const atMs = Math.max(agenda.nowMs + this.#world.delayMs(), this.#busyUntilMs.get(to) ?? 0);
    this.#busyUntilMs.set(to, atMs);
    agenda.in(atMs - agenda.nowMs, () => {
      if (to.isAlive) to.hear(rank, message);
    });
  }

  hear(from: number, message: PeerMessage): void {
    const { epoch, baseVersion } = message.header;
    if (epoch !== this.#epoch) return;
    if (this.#average && baseVersion === this.#baseVersion) this.#average.receive(from, message);
    else if (message.kind !== "part" && !this.#average && baseVersion >= this.#baseVersion)
      this.#early.push({ from, message });
  }

  /** Until somebody says what became of it. */
  #push(average?: Header<"push">["average"], payload = new Uint8Array(64)): void {
    const { agenda, faults } = this.#world;
    const { exchange } = this;
    const header: Header<"push"> = {
      exchange,
      incarnation: 1,
      baseVersion: this.#baseVersion,
      content: "parameters",
      steps: 1,
      samples: 1,
      meanLoss: 0,
      ...(average ? { average } : {}),
    };
    for (let copies = this.#world.happens(faults.doubling) ? 2 : 1; copies > 0; copies--) {
      agenda.in(this.#world.delayMs(), () => {
        void this.#sent(header, payload);
      });
    }
    // Without an answer it is repeated, as after a lost connection.
    if (faults.loss > 0) agenda.in(20_000, () => this.#repeat(exchange));
  }

  async #sent(header: Header<"push">, payload: Uint8Array): Promise<void> {
    const told = await this.#world.coordinator.push(this, header, payload);
    if (!told || this.#world.happens(this.#world.faults.loss)) return;
    this.#world.agenda.in(this.#world.delayMs(), () => this.#hearBack(told));
  }

  #repeat(exchange: number): void {
    if (this.isAlive && this.exchange === exchange && this.settled < exchange) this.#push();
  }

  #hearBack(told: Told): void {
    if (!this.isAlive) return;
    if (told.kind === "not-averaged") {
      if (told.exchange === this.exchange && this.settled < this.exchange) this.#push();
      return;
    }
    const { header } = told;
    if (header.exchange !== this.exchange || this.settled === header.exchange) return;
    this.settled = header.exchange;
    this.#baseVersion = header.version;
    this.#permit = header.average;
    this.#world.agenda.in(this.#world.random.below(EXPECTED_MS), () => this.#begin());
  }

  /** The coordinator sees it at once, or only when the lease is over. */
  #die(): void {
    if (!this.isAlive) return;
    this.isAlive = false;
    this.#world.agenda.in(this.#world.happens(0.5) ? 20 : 30_000, () => this.#world.coordinator.leave(this));
  }
}

const NONE: Faults = { loss: 0, doubling: 0, death: 0, silence: 0, slowness: 0 };

function expectOnce(world: World): void {
  for (const [key, times] of world.counted) expect(times, key).toBe(1);
  for (const member of world.members) {
    // Whatever was answered was counted, every number of it.
    for (let exchange = 1; exchange <= member.settled; exchange++) {
      expect(world.counted.get(`${member.id} ${exchange}`), `${member.id} ${exchange}`).toBe(1);
    }
  }
}

describe("Direct averages of a group", () => {
  test.each([2, 3, 4, 8])("[G8] go on round after round with %i members, all of them counted once", async (members) => {
    const world = new World(new Random(members), NONE, members);
    await world.agenda.runTo(10_000);
    expectOnce(world);
    expect(world.counts.averaged).toBeGreaterThan(20);
    expect(world.counts.fallen).toBe(0);
  });

  test("[G8] Members vanish one by one, and the others go on averaging among themselves", async () => {
    const world = new World(new Random(9), { ...NONE, death: 0.002 }, 8);
    await world.agenda.runTo(60_000);
    const alive = world.members.filter(({ isAlive }) => isAlive);
    expect(alive.length).toBeLessThan(8);
    expect(alive.length).toBeGreaterThan(2);
    const before = world.counts.averaged;
    expect(before).toBeGreaterThan(50);
    await world.agenda.runTo(100_000);
    expectOnce(world);
    expect(world.counts.averaged).toBeGreaterThan(before);
  });

  test("[G8] [X12] Whatever is lost, late, doubled or silent: no exchange counts twice, none that was answered is missing, and the group goes on", async () => {
    const totals = { direct: 0, fallen: 0 };
    for (let seed = 0; seed < 40; seed++) {
      const random = new Random(1000 + seed);
      const faults = {
        loss: 0.02 * random.uniform(),
        doubling: 0.1 * random.uniform(),
        death: seed % 3 === 0 ? 0.003 : 0,
        silence: 0.005 * random.uniform(),
        slowness: 0.01 * random.uniform(),
      };
      const world = new World(random, faults, 2 + random.below(7));
      await world.agenda.runTo(30_000);
      const halfway = world.members.map(({ settled }) => settled);
      await world.agenda.runTo(150_000);
      expectOnce(world);
      for (const [at, member] of world.members.entries()) {
        if (member.isAlive) expect(member.settled, `seed ${seed}, ${member.id}`).toBeGreaterThan(halfway[at]!);
      }
      totals.direct += world.counts.averaged;
      totals.fallen += world.counts.fallen;
    }
    expect(totals.direct).toBeGreaterThan(100);
    expect(totals.fallen).toBeGreaterThan(20);
  });
});
