/** What an operator orders (SPEC O), through real sessions over the real worker-thread center, with a clock moved by hand. */

import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { RealTrials } from "../../coordinator/autotune/real_trials.ts";
import type { Evaluator } from "../../coordinator/evaluation/evaluator.ts";
import type { RestoredRun } from "../../coordinator/run_record.ts";
import { REFUSALS } from "../../shared/wire/codes.ts";
import type { Header } from "../../shared/wire/messages.ts";
import { pushHeader, RunFixture, vectorOf, type FixtureOptions, type Peer } from "../support/run_fixture.ts";
import { TINY_LAYOUT } from "../support/tiny_run.ts";

let open: RunFixture[] = [];

async function fixture(options?: FixtureOptions): Promise<RunFixture> {
  const created = await RunFixture.create(options);
  open.push(created);
  return created;
}

afterEach(async () => {
  const closing = open;
  open = [];
  await Promise.all(closing.map((each) => each.close()));
  expect(closing.flatMap((each) => each.failures)).toEqual([]);
});

const DIFFERENCE = new Float32Array(TINY_LAYOUT.elements).fill(0.125);

function push(peer: Peer, exchange: number, baseVersion: number): void {
  peer.send("push", pushHeader({ exchange, baseVersion }), DIFFERENCE);
}

/** Time goes by in which every replica gives signs of life. */
function pass(run: RunFixture, ms: number, peers: readonly Peer[]): void {
  const endMs = run.nowMs + ms;
  while (run.nowMs < endMs) {
    run.nowMs = Math.min(endMs, run.nowMs + 5000);
    for (const peer of peers) peer.send("heartbeat", { samplesPerSecond: 1, steps: 0 });
    run.run.tick();
  }
}

/** Whatever is on its way through the center's threads and the ledger has come. */
async function settle(run: RunFixture): Promise<void> {
  await sleep(50);
  run.run.tick();
}

async function expectRefusal(peer: Peer, code: keyof typeof REFUSALS): Promise<void> {
  const refusal = await peer.receive("refusal");
  const rule: { closeCode?: number; sentence: string } = REFUSALS[code];
  expect(refusal.header).toMatchObject({ code, sentence: rule.sentence });
  expect(peer.closed?.code).toBe(rule.closeCode);
}

function resumeOf({ replica, token, incarnation }: Header<"welcome">): Header<"hello">["resume"] {
  return { replica, token, incarnation };
}

describe("Pause", () => {
  test("[O2] Everybody is asked to wait, who joins meanwhile right after the welcome, and everybody to go on", async () => {
    const run = await fixture();
    const { peer: first } = await run.join();
    expect(run.run.orders.pause()).toBe(true);
    expect(run.run.orders.pause()).toBe(false);
    expect((await first.receive("control")).header).toMatchObject({ order: "pause" });
    const { peer: second } = await run.join();
    expect((await second.receive("control")).header).toMatchObject({ order: "pause" });
    expect(run.run.view().isPaused).toBe(true);
    expect(run.run.orders.resume()).toBe(true);
    for (const peer of [first, second]) {
      expect((await peer.receive("control")).header).toMatchObject({ order: "resume" });
    }
    expect(run.run.view().isPaused).toBe(false);
    expect(run.logged.map(({ kind }) => kind)).toEqual(["joined", "paused", "joined", "resumed"]);
  });

  test("[O2] An exchange that is in flight when everybody waits is answered", async () => {
    const run = await fixture();
    const { peer, welcome } = await run.join();
    push(peer, 1, welcome.header.version);
    run.run.orders.pause();
    const kinds = [(await peer.receiveAny()).kind, (await peer.receiveAny()).kind];
    expect(kinds.toSorted()).toEqual(["answer", "control"]);
    expect(run.run.view()).toMatchObject({ applied: 1, version: 1 });
  });

  test("[O2] The run's clock, its throughput and the deadlines of groups stand still, and leases do not", async () => {
    const run = await fixture({ rule: { groups: 1, batch: 1 } });
    // Each is asked for ten samples at one a second: a round is overdue after 15.25 s.
    const [early, late, asleep] = [await run.join(), await run.join(), await run.join()];
    push(early.peer, 1, early.welcome.header.version);
    await settle(run);
    pass(run, 5000, [early.peer, late.peer, asleep.peer]);
    run.run.orders.pause();
    expect((await early.peer.receive("control")).header.order).toBe("pause");
    const { seconds } = run.run.view();
    pass(run, 20_000, [early.peer, late.peer]);
    await settle(run);
    // Overdue by the machine's clock.
    expect(run.run.view()).toMatchObject({ seconds, samplesPerSecond: 0, version: 0 });
    pass(run, 15_000, [early.peer, late.peer]);
    expect(asleep.peer.closed?.code).toBe(REFUSALS.LEASE_EXPIRED.closeCode);
    run.run.orders.resume();
    expect((await early.peer.receive("control")).header.order).toBe("resume");
    pass(run, 5000, [early.peer, late.peer]);
    await settle(run);
    expect(run.run.view().version).toBe(0);
    pass(run, 6000, [early.peer, late.peer]);
    expect((await early.peer.receive("answer")).header).toMatchObject({ exchange: 1, repeated: false });
    expect(run.run.view().seconds).toBeCloseTo(seconds + 11, 5);
  });

  test("[O2] A barrier that waits for a paused replica keeps what the others pushed until the run goes on", async () => {
    const run = await fixture({ settings: { solver: "sync-easgd" }, rule: { solver: "sync-easgd" } });
    const [first, second] = [await run.join(), await run.join()];
    push(first.peer, 1, first.welcome.header.version);
    run.run.orders.pause();
    pass(run, 600_000, [first.peer, second.peer]);
    await settle(run);
    expect(run.run.view().version).toBe(0);
    run.run.orders.resume();
    for (const order of ["pause", "resume"]) {
      for (const { peer } of [first, second]) expect((await peer.receive("control")).header.order).toBe(order);
    }
    push(second.peer, 1, second.welcome.header.version);
    for (const { peer } of [first, second]) {
      expect((await peer.receive("answer")).header).toMatchObject({ exchange: 1, staleness: 0 });
    }
  });
});

test("[O2] A trial of the autotuner lasts as long as replicas train, however long they wait in between", async () => {
  const run = await fixture();
  await run.join();
  // Nothing is judged here.
  const trials = new RealTrials({ run: run.run, evaluator: {} as Evaluator, nowMs: run.run.clock.runMs });
  run.run.orders.pause();
  const advancing = trials.advance(1);
  const clock = setInterval(() => {
    run.nowMs += 400;
  }, 20);
  await sleep(500);
  expect(run.nowMs).toBeGreaterThan(1000);
  expect(trials.now()).toBe(0);
  run.run.orders.resume();
  expect(await advancing).toMatchObject({ isOver: false });
  clearInterval(clock);
  expect(trials.now()).toBeGreaterThanOrEqual(1);
});

describe("Kick", () => {
  test("[O3] A kicked replica is refused now and whenever it names itself, by a later coordinator too", async () => {
    const run = await fixture();
    const { peer, welcome } = await run.join();
    const { peer: other } = await run.join();
    peer.send("profile", { name: "Somebody", isHidden: false, dutyCycle: 1 });
    expect(run.run.orders.kick(welcome.header.replica)).toBe(true);
    await expectRefusal(peer, "KICKED");
    const again = run.connect();
    again.send("hello", { ...helloOf(run), resume: resumeOf(welcome.header) });
    await expectRefusal(again, "KICKED");
    expect(run.run.orders.kick("r9-9")).toBe(false);
    // Its contribution stays, its name does not.
    const { replicas } = run.run.view();
    expect(replicas.map(({ connected, name }) => [connected, name])).toEqual([
      [false, null],
      [true, null],
    ]);
    expect(other.closed).toBeUndefined();

    const record = run.run.record();
    const restored: RestoredRun = { ...record, ledger: [] };
    const resumed = await fixture({ incarnation: 2, restored });
    const later = resumed.connect();
    later.send("hello", { ...helloOf(resumed), resume: resumeOf(welcome.header) });
    await expectRefusal(later, "KICKED");
  });

  test("[O3] What a kicked replica had pushed counts, and nobody waits for it", async () => {
    const run = await fixture({ settings: { solver: "sync-easgd" }, rule: { solver: "sync-easgd" } });
    const [first, second, third] = [await run.join(), await run.join(), await run.join()];
    push(first.peer, 1, first.welcome.header.version);
    push(second.peer, 1, second.welcome.header.version);
    await settle(run);
    run.run.orders.kick(first.welcome.header.replica);
    run.run.orders.kick(third.welcome.header.replica);
    expect((await second.peer.receive("answer")).header).toMatchObject({ exchange: 1 });
    await settle(run);
    expect(run.run.view()).toMatchObject({ version: 1, applied: 2 });
    expect(run.ledger.map(({ replica }) => replica).toSorted()).toEqual(
      [first, second].map(({ welcome }) => welcome.header.replica).toSorted(),
    );
    const left = run.logged.filter((event) => event.kind === "left" && event.forGood);
    expect(left).toHaveLength(2);
  });
});

describe("Drain", () => {
  test("[O2] A replica that is to leave completes its exchange, and may come again", async () => {
    const run = await fixture();
    const { peer, welcome } = await run.join();
    push(peer, 1, welcome.header.version);
    expect(run.run.orders.drain(welcome.header.replica)).toBe(true);
    expect(run.run.orders.drain("r9-9")).toBe(false);
    const messages = [await peer.receiveAny(), await peer.receiveAny()];
    expect(messages.find(({ kind }) => kind === "control")?.header).toMatchObject({ order: "drain" });
    expect(messages.find(({ kind }) => kind === "answer")?.header).toMatchObject({ exchange: 1 });
    expect(run.run.view().replicas[0]).toMatchObject({ isDraining: true, applied: 1 });
    peer.send("leave", {});
    expect(run.run.view().replicas[0]).toMatchObject({ isDraining: false, connected: false });
    const back = await run.join(resumeOf(welcome.header));
    push(back.peer, 2, back.welcome.header.version);
    // Nothing was asked of it this time.
    expect((await back.peer.receiveAny()).kind).toBe("answer");
  });

  test("[O2] Nobody joins a run that drains, but whoever lost its connection completes its exchange; resumed, it is open again", async () => {
    const run = await fixture();
    const { peer, welcome } = await run.join();
    run.run.orders.drain(null);
    expect((await peer.receive("control")).header.order).toBe("drain");
    const newcomer = run.connect();
    newcomer.send("hello", helloOf(run));
    await expectRefusal(newcomer, "RUN_OVER");
    peer.cut();
    const back = await run.join(resumeOf(welcome.header));
    expect(back.welcome.header).toMatchObject({ replica: welcome.header.replica, resumed: true });
    expect((await back.peer.receive("control")).header.order).toBe("drain");
    expect(run.run.orders.resume()).toBe(true);
    await run.join();
    expect(run.logged.filter(({ kind }) => kind === "draining" || kind === "resumed")).toEqual([
      { kind: "draining", replica: null },
      { kind: "resumed" },
    ]);
  });
});

describe("Retune", () => {
  test("[O4] A change is in the next assignment, the view, the log and the record, and a later coordinator goes on with it", async () => {
    const run = await fixture();
    const { peer, welcome } = await run.join();
    run.nowMs = 2000;
    const changed = run.run.retune(
      { communicationPeriod: 3, staleness: { kind: "scale", halfRateStaleness: 8 } },
      "operator",
    );
    const expected = [
      { setting: "communicationPeriod", from: "10", to: "3", by: "operator", samples: 0, seconds: 0 },
      { setting: "staleness", from: "none", to: "scale:8", by: "operator", samples: 0, seconds: 0 },
    ];
    expect(changed).toEqual(expected);
    expect(run.run.retune({ communicationPeriod: 3 }, "operator")).toEqual([]);
    push(peer, 1, welcome.header.version);
    const answer = await peer.receive("answer");
    expect(answer.header.assignment.communicationPeriod).toBe(3);
    expect(vectorOf(answer)).toHaveLength(TINY_LAYOUT.elements);
    expect(run.run.view()).toMatchObject({ changes: expected, hyperparameters: { communicationPeriod: 3 } });
    expect(run.logged.filter(({ kind }) => kind === "changed")).toEqual(
      expected.map((change) => ({ kind: "changed", change })),
    );
    const record = run.run.record();
    expect(record).toMatchObject({ retuned: { communicationPeriod: 3 }, changes: expected });

    const resumed = await fixture({ incarnation: 2, rule: { ...record.retuned }, restored: { ...record, ledger: [] } });
    expect((await resumed.join()).welcome.header.assignment.communicationPeriod).toBe(3);
    expect(resumed.run.view().changes).toEqual(expected);
  });

  test("[O4] What the autotuner chooses is among the changes, and its trials are not", async () => {
    const run = await fixture({ settings: { solver: "async-msgd" }, rule: { solver: "async-msgd", groups: 1 } });
    run.run.retune({ groups: 2, momentum: 0.3 });
    expect(run.run.view().changes).toEqual([]);
    run.run.retune({ groups: 4, momentum: 0, learningRate: 0.1 });
    const decision = { seconds: 1, phase: "search", groups: 4, momentum: 0, learningRate: 0.1, reason: "It is best." };
    run.run.recordDecision(decision);
    expect(run.run.view().changes).toEqual([
      { setting: "groups", from: "1", to: "4", by: "autotune", samples: 0, seconds: 0 },
    ]);
    expect(run.run.record().retuned).toEqual({});
    expect(run.logged.map(({ kind }) => kind)).toEqual(["decided", "changed"]);
  });
});

describe("Names", () => {
  test("[C7] A name is shown without what would turn or break the text around it, and its changes are logged a few times only", async () => {
    const run = await fixture();
    const { peer } = await run.join();
    peer.send("profile", { name: "  \u202eAda\u0007 ", isHidden: true, dutyCycle: 0.5 });
    expect(run.run.view().replicas[0]).toMatchObject({ name: "Ada", isHidden: true, dutyCycle: 0.5 });
    for (let turn = 0; turn < 200; turn++) {
      peer.send("profile", { name: `Ada ${turn}`, isHidden: false, dutyCycle: 1 });
    }
    expect(run.logged.filter(({ kind }) => kind === "named")).toHaveLength(32);
    expect(run.run.view().replicas[0]).toMatchObject({ isHidden: false, dutyCycle: 1 });
    // The record brings names back, so that the leaderboard of a resumed run has them.
    const resumed = await fixture({ incarnation: 2, restored: { ...run.run.record(), ledger: [] } });
    expect(resumed.run.view().replicas[0]?.name).toBe("Ada 30");
  });
});

function helloOf({ layout }: RunFixture): Header<"hello"> {
  return { layoutHash: layout.hash, backend: "none", device: "test", samplesPerSecond: 1 };
}
