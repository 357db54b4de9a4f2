/** Leases of a run (SPEC K), through real sessions over the real worker-thread center, with a clock moved by hand. */

import { afterEach, describe, expect, test } from "vitest";
import { restoredLeases } from "../../coordinator/leases/lease_journal.ts";
import { leaseLength, type Lease } from "../../shared/lease.ts";
import type { RunEvent } from "../../shared/run_log.ts";
import type { RunSettings } from "../../shared/run_settings.ts";
import { LIMITS } from "../../shared/wire/codes.ts";
import type { Header } from "../../shared/wire/messages.ts";
import { auditLeases } from "../support/lease_audit.ts";
import { pushHeader, RunFixture, type FixtureOptions, type Peer } from "../support/run_fixture.ts";
import { TINY_LAYOUT, TINY_SETTINGS } from "../support/tiny_run.ts";

const SHARDS = [1200, 1200, 600];
const EXAMPLES = 3000;
const DATA: RunSettings["data"] = {
  ...TINY_SETTINGS.data,
  trainExamples: EXAMPLES,
  shards: SHARDS.map((examples, index) => ({ url: `data/${index}.bin`, examples })),
};
const DIFFERENCE = new Float32Array(TINY_LAYOUT.elements).fill(0.125);

let open: RunFixture[] = [];

async function fixture({ settings, ...options }: FixtureOptions = {}): Promise<RunFixture> {
  const created = await RunFixture.create({ ...options, settings: { data: DATA, ...settings } });
  open.push(created);
  return created;
}

afterEach(async () => {
  const closing = open;
  open = [];
  await Promise.all(closing.map((each) => each.close()));
  expect(closing.flatMap((each) => each.failures)).toEqual([]);
});

interface Pushed {
  readonly exchange: number;
  readonly baseVersion: number;
  readonly incarnation?: number;
  readonly samples?: number;
  readonly leased?: Header<"push">["leased"];
}

function push(peer: Peer, pushed: Pushed, vector = DIFFERENCE): void {
  peer.send("push", pushHeader({ samples: 100, ...pushed }), vector);
}

async function answered(peer: Peer, pushed: Pushed): Promise<Header<"answer">> {
  push(peer, pushed);
  return (await peer.receive("answer")).header;
}

function firstOf({ leases }: { readonly leases?: readonly Lease[] | undefined }): Lease {
  const [lease] = leases ?? [];
  if (!lease) throw new Error("there is no lease");
  return lease;
}

function resumeOf({ replica, token, incarnation }: Header<"welcome">): Header<"hello">["resume"] {
  return { replica, token, incarnation };
}

function auditOf({ logged, ledger }: RunFixture): ReturnType<typeof auditLeases> {
  return auditLeases(EXAMPLES, logged, ledger);
}

async function* eventsOf({ logged }: RunFixture): AsyncGenerator<RunEvent> {
  for (const event of logged) yield { at: "", seconds: 0, ...event };
}

describe("Giving", () => {
  test("[K2] A welcome carries leases, of the replica's shard first, and answers carry more before they are used up", async () => {
    const run = await fixture();
    const { peer, welcome } = await run.join(undefined, 1, { shards: [1] });
    const lease = firstOf(welcome.header);
    for (const { first, count } of lease.ranges) {
      expect(first).toBeGreaterThanOrEqual(1200);
      expect(first + count).toBeLessThanOrEqual(2400);
    }
    expect(run.logged).toContainEqual({ kind: "leased", replica: welcome.header.replica, lease });
    let at = lease.from;
    let ahead = leaseLength(lease);
    for (let exchange = 1; ahead === leaseLength(lease); exchange++) {
      at += 100;
      const answer = await answered(peer, {
        exchange,
        baseVersion: exchange - 1,
        leased: [{ lease: lease.id, upTo: at }],
      });
      ahead += (answer.leases ?? []).reduce((sum, given) => sum + leaseLength(given), 0);
      expect(ahead - at).toBeGreaterThanOrEqual(200);
    }
    expect(auditOf(run)).toMatchObject({ duplicates: 0, problems: [], used: at });
  });

  test("[K4] What an applied push says is in the ledger's line; a retry gets the same answer, leases and all, and counts once", async () => {
    const run = await fixture();
    const { peer, welcome } = await run.join();
    const lease = firstOf(welcome.header);
    const leased = [
      { lease: lease.id, upTo: 90 },
      { lease: 999, upTo: 5 },
    ];
    const pushed = { exchange: 1, baseVersion: 0, leased, samples: 640 };
    const first = await answered(peer, pushed);
    const again = await answered(peer, pushed);
    expect(again).toEqual({ ...first, repeated: true });
    expect(first.leases).not.toBeUndefined();
    expect(run.ledger).toHaveLength(1);
    expect(run.ledger[0]).toMatchObject({ leased: [{ lease: lease.id, upTo: 90 }] });
    expect(run.run.view().epoch).toMatchObject({ epoch: 1, examples: EXAMPLES, used: 90 });
  });

  test("[K1] When all examples of an epoch are used the log says so, and the next has begun", async () => {
    const run = await fixture();
    const { peer, welcome } = await run.join(undefined, 1, { shards: [0, 1, 2] });
    const held = [...(welcome.header.leases ?? [])];
    for (let exchange = 1; run.run.view().epoch.epoch < 3; exchange++) {
      const lease = held.shift();
      if (!lease) throw new Error("the replica has nothing left");
      const leased = [{ lease: lease.id, upTo: leaseLength(lease) }];
      const samples = leaseLength(lease);
      held.push(...((await answered(peer, { exchange, baseVersion: exchange - 1, leased, samples })).leases ?? []));
    }
    expect(run.logged.filter(({ kind }) => kind === "epoch")).toHaveLength(2);
    expect(auditOf(run)).toMatchObject({ epochs: 2, duplicates: 0, missing: 0, problems: [] });
  });
});

describe("Coming back", () => {
  test("[K5] What a leaver had not used goes to the next who comes, and its late claims count for nothing", async () => {
    const run = await fixture();
    const first = await run.join();
    const lease = firstOf(first.welcome.header);
    await answered(first.peer, { exchange: 1, baseVersion: 0, leased: [{ lease: lease.id, upTo: 70 }] });
    first.peer.send("leave", {});
    const second = await run.join();
    expect(run.logged).toContainEqual({ kind: "returned", lease: lease.id, from: 70 });
    expect(second.welcome.header.leases).toContainEqual({ ...lease, id: expect.any(Number), from: 70 });
    await answered(second.peer, { exchange: 1, baseVersion: 1, leased: [{ lease: lease.id, upTo: 100 }] });
    expect(run.ledger[1]).not.toHaveProperty("leased");
    expect(auditOf(run)).toMatchObject({ duplicates: 0, problems: [] });
  });

  test("[K5] [L4] A replica that is silent for a lease's time loses its leases; coming back it gets others", async () => {
    const run = await fixture();
    const { welcome } = await run.join();
    const ids = (welcome.header.leases ?? []).map(({ id }) => id);
    run.nowMs += LIMITS.leaseMs + 1;
    run.run.tick();
    for (const id of ids) expect(run.logged).toContainEqual({ kind: "returned", lease: id, from: 0 });
    const back = await run.join(resumeOf(welcome.header));
    expect(back.welcome.header.resumed).toBe(false);
    const given = back.welcome.header.leases ?? [];
    expect(given.length).toBeGreaterThan(0);
    for (const { id } of given) expect(ids).not.toContain(id);
  });

  test("[K2] [H5] Who resumes is told all leases that it holds, from where they were used up to", async () => {
    const run = await fixture();
    const { peer, welcome } = await run.join();
    const lease = firstOf(welcome.header);
    const answer = await answered(peer, { exchange: 1, baseVersion: 0, leased: [{ lease: lease.id, upTo: 40 }] });
    peer.cut();
    const back = await run.join(resumeOf(welcome.header));
    expect(back.welcome.header.resumed).toBe(true);
    const others = [...(welcome.header.leases ?? []).slice(1), ...(answer.leases ?? [])];
    expect(back.welcome.header.leases).toEqual([{ ...lease, from: 40 }, ...others]);
  });

  test("[K4] A refusal from which the replica restarts counts for nothing: the same examples may be used and claimed again", async () => {
    const run = await fixture();
    const { peer, welcome } = await run.join();
    const lease = firstOf(welcome.header);
    const leased = [{ lease: lease.id, upTo: 60 }];
    push(
      peer,
      { exchange: 1, baseVersion: 0, leased },
      DIFFERENCE.map(() => Number.NaN),
    );
    expect((await peer.receive("refusal")).header.code).toBe("NOT_FINITE");
    expect(run.run.view().epoch.used).toBe(0);
    expect(run.ledger[0]).not.toHaveProperty("leased");
    await answered(peer, { exchange: 2, baseVersion: 0, leased });
    expect(run.ledger[1]).toMatchObject({ leased });
    expect(run.run.view().epoch.used).toBe(60);
  });

  test("[K5] A replica that lives and does not train loses its leases after minutes, but not while the run is paused", async () => {
    const run = await fixture();
    const { peer, welcome } = await run.join();
    const pass = (minutes: number): void => {
      for (let second = 0; second < 60 * minutes; second += 10) {
        run.nowMs += 10_000;
        peer.send("heartbeat", { samplesPerSecond: 0, steps: 0 });
        run.run.tick();
      }
    };
    pass(4);
    run.run.clock.pause();
    pass(10);
    run.run.clock.resume();
    expect(run.logged.filter(({ kind }) => kind === "returned")).toEqual([]);
    pass(2);
    for (const { id } of welcome.header.leases ?? []) {
      expect(run.logged).toContainEqual({ kind: "returned", lease: id, from: 0 });
    }
    const answer = await answered(peer, { exchange: 1, baseVersion: 0 });
    expect(answer.leases?.length).toBeGreaterThan(0);
  });
});

describe("Orders", () => {
  test("[K4] [X15] At a barrier every member's claims count with its own push", async () => {
    const run = await fixture({ settings: { solver: "sync-easgd" } });
    const [one, other] = [await run.join(), await run.join()];
    const claims = [one, other].map(({ welcome }) => [{ lease: firstOf(welcome.header).id, upTo: 80 }]);
    push(one.peer, { exchange: 1, baseVersion: 0, leased: claims[0] });
    push(other.peer, { exchange: 1, baseVersion: 0, leased: claims[1] });
    await Promise.all([one.peer.receive("answer"), other.peer.receive("answer")]);
    expect(run.ledger.map(({ leased }) => leased)).toEqual(expect.arrayContaining(claims));
    expect(run.run.view().epoch.used).toBe(160);
  });

  test("[K4] [S3] A gradient that is too stale uses nothing", async () => {
    const run = await fixture({ settings: { solver: "sync-sgd" } });
    const { peer, welcome } = await run.join();
    const { id } = firstOf(welcome.header);
    const gradient = { content: "gradient", steps: 1, samples: 10 } as const;
    const send = (exchange: number, baseVersion: number, upTo: number): void =>
      peer.send("push", pushHeader({ exchange, baseVersion, ...gradient, leased: [{ lease: id, upTo }] }), DIFFERENCE);
    send(1, 0, 10);
    expect((await peer.receive("answer")).header.version).toBe(1);
    const late = await run.join();
    push(late.peer, { exchange: 1, baseVersion: 0 });
    send(2, 0, 20);
    expect((await peer.receive("refusal")).header.code).toBe("UNKNOWN_BASE");
    expect(run.run.view().epoch.used).toBe(10);
  });
});

describe("After a restart", () => {
  test("[K6] [H6] A new incarnation takes back what was out, gives it first, and never uses a number again", async () => {
    const before = await fixture();
    const { peer, welcome } = await before.join();
    const held = welcome.header.leases ?? [];
    const lease = firstOf(welcome.header);
    await answered(peer, { exchange: 1, baseVersion: 0, leased: [{ lease: lease.id, upTo: 33 }] });
    const options = { shards: SHARDS, seed: TINY_SETTINGS.seed };
    const leases = await restoredLeases(options, eventsOf(before), before.ledger);
    const ledger = [...before.ledger];
    const after = await fixture({ incarnation: 2, ledger, leases, version: 1 });
    expect(after.logged).toContainEqual({ kind: "returned", lease: lease.id, from: 33 });
    const back = await after.join(resumeOf(welcome.header));
    const given = back.welcome.header.leases ?? [];
    expect(given).toContainEqual({ ...lease, id: expect.any(Number), from: 33 });
    for (const { id } of given) expect(held.map((one) => one.id)).not.toContain(id);
    // Of the incarnation before.
    const stale = [{ lease: lease.id, upTo: 50 }];
    await answered(back.peer, { exchange: 2, baseVersion: 1, incarnation: 2, leased: stale });
    expect(after.ledger.at(-1)).not.toHaveProperty("leased");
    const audit = auditLeases(EXAMPLES, [...before.logged, ...after.logged], after.ledger);
    expect(audit).toMatchObject({ duplicates: 0, problems: [], used: 33 });
  });
});
