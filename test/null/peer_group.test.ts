/**
 * Groups that average among themselves, from the replicas' devices to the center: real replicas and a real run; channels in memory, which
 * tests can break as they like, and real WebRTC connections.
 */

import { afterEach, describe, expect, test } from "vitest";
import { nodePeers } from "../../client/node/node_peer.ts";
import { PeerGroup, type Averaged } from "../../client/replica/peers/peer_group.ts";
import { settled } from "../support/hand_clock.ts";
import { MemoryPeers } from "../support/memory_peers.ts";
import { PeerRun, type Joined, type PeerRunOptions } from "../support/peer_run.ts";

const TARGETS = [1, 2, 3, 6];

let run: PeerRun | undefined;

afterEach(async () => {
  await run?.close();
  run = undefined;
});

async function start(options: PeerRunOptions): Promise<PeerRun> {
  run = await PeerRun.create(options);
  return run;
}

function joinAll(begun: PeerRun, peers: MemoryPeers, targets = TARGETS): Joined[] {
  return targets.map((target, at) => begun.join({ target, openPeer: peers.openPeer(`m${at}`) }));
}

async function untilCenterIs(begun: PeerRun, value: number): Promise<void> {
  await begun.until(`a center of ${value}`, () => begun.center.every((one) => Math.abs(one - value) < 0.1));
}

/** Members without replicas, whose time the test moves, connected to each other. */
class HandGroup {
  readonly members: PeerGroup[];
  readonly told: boolean[] = [];
  readonly peers = new MemoryPeers();
  nowMs = 0;

  private constructor(count: number) {
    this.members = Array.from(
      { length: count },
      (_, at) =>
        new PeerGroup({
          openPeer: this.peers.openPeer(`m${at}`),
          iceServers: [],
          nowMs: () => this.nowMs,
          elements: 8,
          signal: ({ peer, ...rest }) => this.members[Number(peer)]?.signalled({ ...rest, peer: String(at) }),
          joined: ({ isConnected }) => (this.told[at] = isConnected),
        }),
    );
  }

  static async connected(count: number): Promise<HandGroup> {
    const group = new HandGroup(count);
    const members = group.members.map((_, at) => String(at));
    for (const [at, member] of group.members.entries())
      member.grouped({ epoch: 1, members, isAnew: false }, String(at));
    for (let turns = 0; turns < 20; turns++) await group.pass(50);
    return group;
  }

  async pass(ms: number): Promise<void> {
    this.nowMs += ms;
    for (const member of this.members) member.tick();
    for (let turns = 0; turns < 20; turns++) await settled();
  }

  /** What became of the member's average; undefined while it is under way. */
  begin(at: number, baseVersion: number, permitted = true): { outcome: Averaged | "none" | undefined } {
    const member = this.members[at]!;
    const result: { outcome: Averaged | "none" | undefined } = { outcome: undefined };
    if (permitted) member.permitted({ epoch: 1, deadlineMs: 2000 });
    const vector = (): Float32Array<ArrayBuffer> => new Float32Array(8).fill(at);
    const begun = member.average(
      { baseVersion, weight: 1, vector },
      (averaged) => (result.outcome = averaged ?? "none"),
    );
    if (!begun) result.outcome = "none";
    return result;
  }
}

const SOLVERS = [
  { name: "sync-easgd", settings: { solver: "sync-easgd" } },
  { name: "sync-sgd", settings: { solver: "sync-sgd", learningRate: 0.2 } },
  { name: "async-easgd", settings: { solver: "async-easgd" } },
  { name: "downpour", settings: { solver: "downpour", learningRate: 0.1 } },
] as const;

describe("A group that averages among itself", () => {
  test.each(SOLVERS)("[G8] $name moves the center to the mean of all its members", async ({ settings }) => {
    const begun = await start({ settings });
    joinAll(begun, new MemoryPeers());
    await begun.until("direct averages", ({ directRounds }) => (directRounds?.averaged ?? 0) > 10);
    // Gradients of newcomers may come too late for their round.
    const { refused, directRounds } = begun.view;
    await begun.until("more", (view) => (view.directRounds?.averaged ?? 0) > (directRounds?.averaged ?? 0) + 20);
    await untilCenterIs(begun, 3);
    expect(begun.appliedTwice()).toEqual([]);
    expect(begun.view.replicas.filter(({ averagesDirectly }) => averagesDirectly).length).toBeGreaterThan(1);
    expect(begun.view.refused).toBe(refused);
  });

  test("[G8] One push of the mean goes up for all, and the others say that they are in it", async () => {
    const begun = await start({ settings: { solver: "sync-sgd", learningRate: 0.1 } });
    joinAll(begun, new MemoryPeers());
    await begun.until("direct averages", ({ directRounds }) => (directRounds?.averaged ?? 0) > 5);
    const before = begun.view;
    await begun.until("more", ({ directRounds }) => (directRounds?.averaged ?? 0) > before.directRounds!.averaged + 20);
    const { bytesUp, exchanges } = begun.view;
    const vectorBytes = begun.fixture.run.payloadBytes;
    // Of four members one sends a vector; heads, heartbeats and signals are small change beside it, or here, with 512 bytes, about as much.
    expect((bytesUp - before.bytesUp) / (exchanges - before.exchanges)).toBeLessThan(vectorBytes);
  });

  test.each(["with a word", "without a word"])("[G8] goes on with three members when one vanishes %s", async (how) => {
    const begun = await start({ settings: { solver: "sync-easgd" } });
    const peers = new MemoryPeers();
    const joined = joinAll(begun, peers);
    await begun.until("direct averages", ({ directRounds }) => (directRounds?.averaged ?? 0) > 5);
    const before = begun.averaged;
    peers.silence("m3");
    if (how === "with a word") joined[3]!.replica.stop();
    else joined[3]!.vanish();
    await begun.until("averages of three", ({ directRounds }) => (directRounds?.averaged ?? 0) > before + 5);
    // The mean of 1, 2 and 3.
    await untilCenterIs(begun, 2);
    expect(begun.appliedTwice()).toEqual([]);
  });

  test("[G8] A member whose channels fall silent while its socket lives costs the round its deadline, and all push for themselves", async () => {
    const begun = await start({ settings: { solver: "sync-easgd" } });
    const peers = new MemoryPeers();
    joinAll(begun, peers);
    await begun.until("direct averages", ({ directRounds }) => (directRounds?.averaged ?? 0) > 5);
    peers.silence("m0");
    const { version } = begun.view;
    await begun.until("rounds through the coordinator", (view) => view.version > version + 20);
    expect(begun.view.directRounds?.fallen).toBeGreaterThan(0);
    await untilCenterIs(begun, 3);
    expect(begun.appliedTwice()).toEqual([]);
  });

  test("[G8] Whoever does not allow direct connections takes part through the coordinator, and is told of nobody", async () => {
    const begun = await start({ settings: { solver: "sync-easgd" } });
    const peers = new MemoryPeers();
    let opened = 0;
    const counted = peers.openPeer("m3");
    begun.join({ target: 6, allowsPeers: false, openPeer: (options) => (opened++, counted(options)) });
    joinAll(begun, peers, TARGETS.slice(0, 3));
    await begun.until("averages of three", ({ directRounds }) => (directRounds?.averaged ?? 0) > 5);
    await untilCenterIs(begun, 3);
    expect(opened).toBe(0);
    const directs = begun.view.replicas.map(({ averagesDirectly }) => averagesDirectly);
    expect(directs).toEqual([false, true, true, true]);
  });

  test("[G8] Where peers cannot connect, or there is no WebRTC, the group averages through the coordinator", async () => {
    const begun = await start({ settings: { solver: "sync-easgd" } });
    const peers = new MemoryPeers();
    peers.silence("m0");
    begun.join({ target: 1, openPeer: peers.openPeer("m0") });
    begun.join({ target: 2, openPeer: peers.openPeer("m1") });
    begun.join({
      target: 6,
      openPeer: () => {
        throw new Error("there is no WebRTC here");
      },
    });
    await untilCenterIs(begun, 3);
    expect(begun.averaged).toBe(0);
  });

  test("[G8] What codecs left out of the pushes is left out of the mean too: codecs and direct averages go together", async () => {
    const begun = await start({
      settings: { solver: "sync-sgd", learningRate: 0.2, codecUp: "int8", codecDown: "int8" },
    });
    joinAll(begun, new MemoryPeers());
    await begun.until("direct averages", ({ directRounds }) => (directRounds?.averaged ?? 0) > 10);
    await untilCenterIs(begun, 3);
    for (const { codecUp, codecDown } of begun.view.replicas) expect([codecUp, codecDown]).toEqual(["int8", "int8"]);
  });

  test("[G8] [X16] Where the run goes back to an earlier center, no mean from the one that is given up comes into it", async () => {
    const begun = await start({ settings: { solver: "sync-sgd", learningRate: 0.2 } });
    joinAll(begun, new MemoryPeers());
    await untilCenterIs(begun, 3);
    const { parameters, velocity } = begun.fixture.run.snapshot();
    for (let restarts = 0; restarts < 5; restarts++) {
      const before = begun.averaged;
      await begun.fixture.run.restart({ parameters: parameters.map((value) => -value), velocity });
      expect(begun.center.every((value) => value < -2)).toBe(true);
      await begun.until("direct averages", ({ directRounds }) => (directRounds?.averaged ?? 0) > before + 5);
      await untilCenterIs(begun, 3);
    }
    expect(begun.view.refusals["RESTARTED"]).toBe(20);
    expect(begun.appliedTwice()).toEqual([]);
  });

  test("[G8] Eight members, of whom one leaves and one comes, average all along", async () => {
    const begun = await start({ settings: { solver: "async-easgd" } });
    const peers = new MemoryPeers();
    const joined = joinAll(begun, peers, [3, 3, 3, 3, 3, 3, 3, 3]);
    await begun.until("averages of eight", ({ directRounds }) => (directRounds?.averaged ?? 0) > 3);
    joined[0]!.replica.stop();
    begun.join({ target: 3, openPeer: peers.openPeer("m8") });
    const before = begun.averaged;
    await begun.until("averages after that", ({ directRounds }) => (directRounds?.averaged ?? 0) > before + 5);
    await untilCenterIs(begun, 3);
    expect(begun.appliedTwice()).toEqual([]);
  });

  test("[G8] [T1] Three volunteers in Node average over WebRTC", async () => {
    const begun = await start({ settings: { solver: "sync-easgd" } });
    const openPeer = nodePeers(console.error);
    const joined = [1, 2, 3].map((target) => begun.join({ target, openPeer }));
    await begun.until("direct averages", ({ directRounds }) => (directRounds?.averaged ?? 0) > 5, 60_000);
    await untilCenterIs(begun, 2);
    const before = begun.averaged;
    joined[1]!.vanish();
    await begun.until("averages of two", ({ directRounds }) => (directRounds?.averaged ?? 0) > before + 5, 60_000);
    expect(begun.appliedTwice()).toEqual([]);
    for (const { replica } of joined) replica.stop();
  });
});

describe("A member", () => {
  test("[G8] says that it is connected, and has the mean as soon as all have begun", async () => {
    const group = await HandGroup.connected(3);
    expect(group.told).toEqual([true, true, true]);
    const results = [group.begin(2, 7), group.begin(0, 7)];
    await group.pass(10);
    expect(results.map(({ outcome }) => outcome)).toEqual([undefined, undefined]);
    results.push(group.begin(1, 7));
    await group.pass(10);
    for (const { outcome } of results) {
      expect(outcome).toMatchObject({ epoch: 1 });
      if (outcome && outcome !== "none") for (const value of outcome.mean) expect(value).toBeCloseTo(1, 6);
    }
    expect(results.map(({ outcome }) => outcome !== "none" && outcome?.isLeader)).toEqual([false, true, false]);
  });

  test("[G8] waits for one that has fallen silent until the deadline of the answer, and no longer", async () => {
    const group = await HandGroup.connected(3);
    group.peers.silence("m1");
    const results = [group.begin(0, 7), group.begin(2, 7)];
    await group.pass(1990);
    expect(results.map(({ outcome }) => outcome)).toEqual([undefined, undefined]);
    await group.pass(10);
    expect(results.map(({ outcome }) => outcome)).toEqual(["none", "none"]);
    // It is asked for a while then, and given up.
    for (let turns = 0; turns < 30; turns++) await group.pass(200);
    expect([group.told[0], group.told[2]]).toEqual([false, false]);
  });

  test("[G8] does not wait for one that cannot, has another base or is in another epoch", async () => {
    const group = await HandGroup.connected(2);
    const first = group.begin(0, 7);
    expect(group.begin(1, 7, false).outcome).toBe("none");
    await group.pass(10);
    expect(first.outcome).toBeUndefined();
    // It had a permit and came too late for it.
    group.members[1]!.permitted({ epoch: 1, deadlineMs: 0 });
    expect(group.begin(1, 7, false).outcome).toBe("none");
    await group.pass(10);
    expect(first.outcome).toBe("none");

    group.members[0]!.permitted({ epoch: 9, deadlineMs: 2000 });
    expect(group.begin(0, 8, false).outcome).toBe("none");
  });

  test("[G8] closes all its connections without a coordinator, and its peers learn of it", async () => {
    const group = await HandGroup.connected(2);
    const other = group.begin(1, 7);
    group.members[0]!.disconnected();
    await group.pass(10);
    expect(other.outcome).toBe("none");
    expect(group.told[1]).toBe(false);
  });
});
