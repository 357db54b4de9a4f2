/** What the coordinator makes of groups that average among themselves, frame by frame: whom it names, what it permits, which claims count. */

import { afterEach, describe, expect, test } from "vitest";
import type { Header } from "../../shared/wire/messages.ts";
import { pushHeader, RunFixture, type Peer } from "../support/run_fixture.ts";
import { TINY_LAYOUT } from "../support/tiny_run.ts";

const { elements } = TINY_LAYOUT;

interface Member {
  readonly peer: Peer;
  readonly id: string;
  /** The newest one that it was told. */
  group: Header<"group">;
  baseVersion: number;
  exchange: number;
}

let run: RunFixture | undefined;

afterEach(async () => {
  const failures = run?.failures;
  await run?.close();
  run = undefined;
  expect(failures ?? []).toEqual([]);
});

/** That allow direct connections, in one group. */
async function members(count: number, solver: "sync-easgd" | "async-easgd" = "sync-easgd"): Promise<Member[]> {
  const settings = { solver, peers: true } as const;
  run = await RunFixture.create({
    settings,
    rule: { groups: 1, movingRate: 0.5 },
    initial: new Float32Array(elements),
  });
  const joined: Member[] = [];
  for (let at = 0; at < count; at++) {
    const { peer, welcome } = await run.join(undefined, 1000, { allowsPeers: true });
    const { replica: id, version: baseVersion } = welcome.header;
    joined.push({ peer, id, group: { epoch: -1, members: [], isAnew: false }, baseVersion, exchange: 0 });
    // Everybody is told of a group from two on.
    if (at > 0) for (const member of joined) member.group = (await member.peer.receive("group")).header;
  }
  return joined;
}

function connected(all: readonly Member[]): void {
  for (const { peer, group } of all) peer.send("joined", { epoch: group.epoch, isConnected: true });
}

function push(member: Member, value: number, header: Partial<Header<"push">> = {}): void {
  const { baseVersion } = member;
  member.exchange++;
  member.peer.send("push", pushHeader({ exchange: member.exchange, baseVersion, ...header }), filled(value));
}

/** For the average of the newest epoch; the first member is the leader. */
function claim(member: Member, mean: number | undefined, header: Partial<Header<"push">> = {}): void {
  const { baseVersion, group } = member;
  member.exchange++;
  const average = { epoch: group.epoch, isLeader: mean !== undefined };
  const told = pushHeader({ exchange: member.exchange, baseVersion, average, ...header });
  member.peer.send("push", told, mean === undefined ? undefined : filled(mean));
}

async function answered(member: Member): Promise<Header<"answer">> {
  const answer = await member.peer.receive("answer");
  member.baseVersion = answer.header.version;
  return answer.header;
}

async function notAveraged(member: Member): Promise<void> {
  const { header } = await member.peer.receive("refusal");
  expect(header).toMatchObject({ code: "NOT_AVERAGED", recovery: "none", exchange: member.exchange });
  // The number is not used up.
  member.exchange--;
}

/** A round through the coordinator, after which all have the same base and may average. */
async function permitted(all: readonly Member[]): Promise<void> {
  for (const member of all) push(member, 0);
  for (const member of all) expect((await answered(member)).average?.epoch).toBe(member.group.epoch);
}

function filled(value: number): Float32Array {
  return new Float32Array(elements).fill(value);
}

function center(): number {
  return run!.center.snapshot().parameters[0]!;
}

describe("A group's direct averages at the coordinator", () => {
  test("[G8] Members that allow it are named to each other in one order, and nobody else is", async () => {
    const all = await members(3);
    expect(all.map(({ group }) => group.members)).toEqual([0, 1, 2].map(() => all.map(({ id }) => id)));
    const stranger = await run!.join();
    // It was told nothing but its welcome, and the others nothing of it: their next messages are these answers.
    for (const member of all) push(member, 0);
    stranger.peer.send("push", pushHeader({ exchange: 1, baseVersion: stranger.welcome.header.version }), filled(0));
    expect((await stranger.peer.receive("answer")).header.average).toBeUndefined();
    for (const member of all) await answered(member);
  });

  test("[G8] Claims of all members count as a push of each: one version, an answer and a line for everybody", async () => {
    const all = await members(3);
    connected(all);
    await permitted(all);
    const { version } = run!.run;
    claim(all[1]!, undefined);
    claim(all[2]!, undefined);
    claim(all[0]!, 0.2);
    const answers = await Promise.all(all.map(answered));
    expect(answers.map((answer) => answer.version)).toEqual([version + 1, version + 1, version + 1]);
    // x + 0.5 (x1 + x2 + x3 - 3 x), as if each had pushed its own.
    expect(center()).toBeCloseTo(0.3, 5);
    const lines = run!.ledger.filter((line) => line.version === version + 1);
    expect(lines.map(({ replica }) => replica).toSorted()).toEqual(all.map(({ id }) => id).toSorted());
    expect(lines.every(({ verdict, exchange }) => verdict === "applied" && exchange === 2)).toBe(true);
    expect(run!.run.view().directRounds).toEqual({ averaged: 1, fallen: 0 });
    expect(answers.every(({ average }) => average !== undefined)).toBe(true);
  });

  test("[G8] [X12] A claim that comes again gets the same answer, and so does a push under its number", async () => {
    const all = await members(2);
    connected(all);
    await permitted(all);
    claim(all[0]!, 0.2);
    claim(all[1]!, undefined);
    const [first] = await Promise.all(all.map(answered));
    const before = center();
    const { peer, group } = all[0]!;
    const repeated = pushHeader({ exchange: 2, baseVersion: 1 });
    for (const average of [{ epoch: group.epoch, isLeader: true }, undefined]) {
      peer.send("push", { ...repeated, ...(average ? { average } : {}) }, filled(9));
      const again = await peer.receive("answer");
      expect(again.header).toEqual({ ...first, repeated: true, assignment: again.header.assignment });
    }
    expect(center()).toBe(before);
  });

  test("[G8] Where one pushes for itself the others' claims do not count, and all push under the same numbers", async () => {
    const all = await members(3);
    connected(all);
    await permitted(all);
    const before = center();
    claim(all[0]!, 0.2);
    claim(all[1]!, undefined);
    push(all[2]!, 0.3);
    await Promise.all(all.slice(0, 2).map(notAveraged));
    expect(center()).toBe(before);
    push(all[0]!, 0.1);
    push(all[1]!, 0.2);
    await Promise.all(all.map(answered));
    expect(center()).toBeCloseTo(0.3, 5);
    for (const { id } of all) {
      expect(run!.ledger.filter((line) => line.replica === id && line.exchange === 2)).toHaveLength(1);
    }
    expect(run!.run.view().directRounds).toEqual({ averaged: 0, fallen: 1 });
  });

  test("[G8] A member that leaves ends the average and the epoch, and the rest are named anew", async () => {
    const all = await members(3);
    connected(all);
    await permitted(all);
    claim(all[0]!, 0.2);
    claim(all[1]!, undefined);
    all[2]!.peer.cut();
    for (const member of all.slice(0, 2)) {
      const { header } = await member.peer.receive("group");
      expect(header.members).toEqual(all.slice(0, 2).map(({ id }) => id));
      expect(header.epoch).toBeGreaterThan(member.group.epoch);
      await notAveraged(member);
    }
    push(all[0]!, 0.1);
    push(all[1]!, 0.1);
    await Promise.all(all.slice(0, 2).map(answered));
    expect(center()).toBeCloseTo(0.1, 5);
  });

  test("[G8] Whoever waits for a claim that never comes is told when the time is over", async () => {
    const all = await members(2);
    connected(all);
    await permitted(all);
    claim(all[0]!, 0.2);
    // Less than a lease.
    tick(all, 20_000);
    await notAveraged(all[0]!);
    expect(run!.run.view().directRounds).toEqual({ averaged: 0, fallen: 1 });
  });

  test("[G8] [L3] A mean that is not finite moves nothing, and is found out when everybody pushes", async () => {
    const all = await members(2);
    connected(all);
    await permitted(all);
    claim(all[0]!, Number.NaN);
    claim(all[1]!, undefined);
    await Promise.all(all.map(notAveraged));
    expect(center()).toBe(0);
    push(all[0]!, 0.1);
    push(all[1]!, Number.NaN);
    expect((await answered(all[0]!)).exchange).toBe(2);
    expect((await all[1]!.peer.receive("refusal")).header.code).toBe("NOT_FINITE");
  });

  test("[G8] Claims without a permit, for another epoch, for two leaders or for none do not count", async () => {
    const all = await members(2, "async-easgd");
    claim(all[0]!, 0.2);
    await notAveraged(all[0]!);
    connected(all);
    const wrong: ((leader: Member, other: Member) => void)[] = [
      (leader, other) => {
        claim(leader, undefined);
        claim(other, undefined);
      },
      (leader, other) => {
        claim(leader, 0.2);
        claim(other, 0.2);
      },
      (leader, other) => {
        claim(leader, 0.2);
        claim(other, undefined, { average: { epoch: other.group.epoch + 1, isLeader: false } });
      },
      (leader, other) => {
        claim(leader, 0.2);
        claim(other, undefined, { content: "parameters", average: { epoch: 0, isLeader: false } });
      },
    ];
    for (const attempt of wrong) {
      // Failed ones are tried again more and more seldom.
      for (let permit: Header<"answer">["average"]; !permit;) {
        for (const member of all) push(member, 0);
        const answers = await Promise.all(all.map(answered));
        permit = answers[0]?.average;
      }
      const before = center();
      attempt(all[0]!, all[1]!);
      await Promise.all(all.map(notAveraged));
      expect(center()).toBe(before);
    }
  });

  test("[G8] [F5] A leader's payload is a whole vector in f32 and the others' is empty; anything else ends the connection", async () => {
    const all = await members(2);
    connected(all);
    await permitted(all);
    const header = pushHeader({ exchange: 2, baseVersion: 1 });
    const { epoch } = all[0]!.group;
    all[0]!.peer.send("push", { ...header, average: { epoch, isLeader: true } }, new Float32Array(3));
    all[1]!.peer.send("push", { ...header, average: { epoch, isLeader: false } }, filled(0));
    for (const { peer } of all) {
      let code: string | undefined;
      while (code === undefined) {
        const message = await peer.receiveAny();
        if (message.kind === "refusal") ({ code } = message.header);
      }
      expect(code).toBe("WRONG_PAYLOAD");
    }
  });

  test("[G8] [T1] Signals go from member to member, and to nobody else", async () => {
    const all = await members(2);
    const stranger = await run!.join();
    const [first, second] = all;
    first!.peer.send("signal", { peer: stranger.welcome.header.replica, data: "psst" });
    first!.peer.send("signal", { peer: "r9-9", data: "psst" });
    first!.peer.send("signal", { peer: first!.id, data: "psst" });
    stranger.peer.send("signal", { peer: first!.id, data: "psst" });
    first!.peer.send("signal", { peer: second!.id, data: "offer", epoch: first!.group.epoch });
    const { header } = await second!.peer.receive("signal");
    expect(header).toEqual({ peer: first!.id, data: "offer", epoch: first!.group.epoch });
    // Nothing else was said: the answers to pushes come next.
    for (const member of all) push(member, 0);
    stranger.peer.send("push", pushHeader({ exchange: 1, baseVersion: stranger.welcome.header.version }), filled(0));
    await stranger.peer.receive("answer");
    for (const member of all) await answered(member);
  });

  test("[G8] A group that cannot connect is tried again later, each time with twice the patience, from the beginning", async () => {
    const all = await members(2);
    for (const expectedMs of [5000, 10_000, 20_000]) {
      all[0]!.peer.send("joined", { epoch: all[0]!.group.epoch, isConnected: true });
      all[1]!.peer.send("joined", { epoch: all[1]!.group.epoch, isConnected: false });
      const before = all.map(({ group }) => group.epoch);
      for (let waitedMs = 0; waitedMs < expectedMs - 100; waitedMs += 100) tick(all);
      for (const member of all) push(member, 0);
      for (const member of all) expect((await answered(member)).average).toBeUndefined();
      tick(all, 200);
      for (const [at, member] of all.entries()) {
        member.group = (await member.peer.receive("group")).header;
        expect(member.group.epoch).toBeGreaterThan(before[at]!);
        expect(member.group.isAnew).toBe(true);
      }
    }
  });

  test("[G8] Without --peers nobody is named, whatever volunteers allow", async () => {
    run = await RunFixture.create({ settings: { solver: "sync-easgd" }, rule: { groups: 1 } });
    const joined = [
      await run.join(undefined, 1, { allowsPeers: true }),
      await run.join(undefined, 1, { allowsPeers: true }),
    ];
    for (const { peer, welcome } of joined) {
      peer.send("push", pushHeader({ exchange: 1, baseVersion: welcome.header.version }), filled(0));
    }
    for (const { peer } of joined) expect((await peer.receive("answer")).header.average).toBeUndefined();
    expect(run.run.view().directRounds).toBeNull();
  });
});

/** Time goes by, and everybody is heard of. */
function tick(all: readonly Member[], ms = 100): void {
  run!.nowMs += ms;
  for (const { peer } of all) peer.send("heartbeat", { samplesPerSecond: 1, steps: 1 });
  run!.run.tick();
}
