/** SPEC H from the replica's side: lost connections, restarted coordinators and lost devices, seen from the wire. */

import { describe, expect, test } from "vitest";
import { retryDelayMs } from "../../client/replica/connection.ts";
import { Random } from "../../shared/random.ts";
import { LIMITS, REFUSALS } from "../../shared/wire/codes.ts";
import { encodeHead } from "../../shared/wire/frame.ts";
import { TYPE } from "../../shared/wire/messages.ts";
import { settled } from "../support/hand_clock.ts";
import { filled, ReplicaStage, spareProgram, TAU, vectorIn } from "../support/replica_stage.ts";

async function joined(...settings: ConstructorParameters<typeof ReplicaStage>): Promise<ReplicaStage> {
  const stage = new ReplicaStage(...settings);
  await stage.join();
  return stage;
}

function firstDelays(seed: number): number[] {
  const random = new Random(seed);
  return Array.from({ length: 5 }, (_, attempt) => retryDelayMs(attempt, random));
}

describe("Return", () => {
  test("[H5] [X12] A resumed replica names itself, keeps its state and repeats the push in flight byte for byte", async () => {
    const stage = await joined();
    await stage.trainTo(TAU);
    await stage.turn();
    const first = stage.pair.toFar.shift()!.slice();
    stage.pair.cut();
    await stage.turn();
    const trained = stage.program.steps;
    await stage.reconnected();
    expect(stage.program.steps).toBeGreaterThan(trained);
    const parameters = stage.program.parameters.slice();
    const hello = await stage.welcome(undefined, { resumed: true, lastExchange: 1 });
    expect(hello.header.resume).toEqual({ replica: "r1", token: "t1", incarnation: 1 });
    await stage.turn();
    expect(stage.pair.toFar.shift()).toEqual(first);
    stage.expectSilence();
    expect(stage.program.base).toEqual(filled(0));
    expect(stage.program.parameters[0]).toBeGreaterThanOrEqual(parameters[0]!);
    await stage.answer(1, filled(0.5), { repeated: true });
    expect((await stage.nextPush()).header).toMatchObject({ exchange: 2, baseVersion: 11 });
  });

  test("[H5] A replica without a push in flight goes on where it was", async () => {
    const stage = await joined();
    await stage.turn();
    stage.pair.cut();
    await stage.reconnected();
    await stage.welcome(undefined, { resumed: true });
    expect((await stage.nextPush()).header).toMatchObject({ exchange: 1, baseVersion: 10 });
  });

  test("[H5] [X2] A push that became due while the connection was down goes out with the resumed welcome", async () => {
    const stage = await joined();
    await stage.trainTo(TAU);
    // The cut comes while the device reads back.
    const turning = stage.turn();
    stage.pair.cut();
    await turning;
    await stage.reconnected();
    await stage.welcome(undefined, { resumed: true });
    expect((await stage.nextPush()).header.exchange).toBe(1);
  });

  test("[H6] [X11] After a coordinator's restart it takes the center as base, keeps its parameters and drops the push in flight", async () => {
    const stage = await joined();
    await stage.nextPush();
    stage.pair.cut();
    await stage.reconnected();
    const parameters = stage.program.parameters.slice();
    await stage.welcome(filled(0.125), { incarnation: 2, version: 7, lastExchange: 4 });
    await stage.turn();
    expect(stage.program.base).toEqual(filled(0.125));
    expect(stage.program.parameters[0]).toBeGreaterThanOrEqual(parameters[0]!);
    const push = await stage.nextPush();
    // The center gets back what it lost: all of the difference, and the work of the dropped push.
    expect(push.header).toMatchObject({ exchange: 5, incarnation: 2, baseVersion: 7 });
    expect(push.header.steps).toBeGreaterThanOrEqual(2 * TAU);
    expect(vectorIn(push)[0]).toBeCloseTo(stage.program.sent[0]! - 0.125, 6);
  });

  test("[H6] An answer of the old connection that comes late changes nothing", async () => {
    const stage = await joined();
    await stage.nextPush();
    const old = stage.pair;
    stage.send("answer", stage.answerHeader(1), filled(9));
    const late = old.toNear.splice(0);
    old.cut();
    await stage.reconnected();
    await stage.welcome(filled(0.125), { incarnation: 2, version: 7 });
    old.toNear.push(...late);
    old.deliverToNear();
    await stage.turn();
    expect(stage.program.base).toEqual(filled(0.125));
  });

  test("A place that was freed costs only the base: LEASE_EXPIRED brings the replica back by itself", async () => {
    const stage = await joined();
    await stage.turn();
    const { closeCode, sentence } = REFUSALS.LEASE_EXPIRED;
    await stage.say("refusal", { code: "LEASE_EXPIRED", sentence, recovery: "none", version: 1, incarnation: 1 });
    stage.pair.far.close(closeCode, "LEASE_EXPIRED");
    await stage.reconnected();
    const hello = await stage.welcome(filled(0.25), { version: 30 });
    expect(hello.header.resume).toEqual({ replica: "r1", token: "t1", incarnation: 1 });
    expect((await stage.nextPush()).header.baseVersion).toBe(30);
  });

  test("Training goes on alone for a while, and rests when it would lead nowhere", async () => {
    const stage = await joined({ communicationPeriod: 1 });
    stage.pair.cut();
    for (let turn = 0; turn < 1100; turn++) await stage.clock.letBreathe();
    const rested = stage.program.steps;
    expect(rested).toBeGreaterThan(900);
    await stage.clock.letBreathe();
    expect(stage.program.steps).toBe(rested);
    expect(stage.phase).toBe("reconnecting");
    await stage.clock.advance(1000);
    await stage.welcome(filled(0), { incarnation: 2 });
    await stage.trainTo(rested + 1);
    expect(stage.phase).toBe("training");
  });

  test("A link without an answer for two leases is given up, but not while bytes still leave it", async () => {
    const stage = await joined();
    await stage.nextPush();
    for (let second = 0; second < (4 * LIMITS.leaseMs) / 1000; second++) {
      stage.pair.near.bufferedBytes = 1e6 - second;
      await stage.clock.advance(1000, 1000);
      await stage.clock.letBreathe();
    }
    expect(stage.pairs).toHaveLength(1);
    const silentSinceMs = stage.clock.nowMs();
    await stage.reconnected();
    expect(stage.clock.nowMs() - silentSinceMs).toBeGreaterThanOrEqual(LIMITS.leaseMs);
    expect(stage.pairs[0]!.near.closedWith?.code).toBe(4000);
  });

  test("A welcome that never comes is waited for no longer than half a minute", async () => {
    const stage = new ReplicaStage();
    await stage.begin();
    stage.pair.open();
    await stage.clock.advance(29_000, 500);
    expect(stage.pairs).toHaveLength(1);
    await stage.clock.advance(3000, 500);
    expect(stage.pairs).toHaveLength(2);
  });
});

describe("Backoff", () => {
  test("Retries are spread over a limit that doubles from a quarter of a second up to ten seconds", () => {
    const random = new Random(9);
    for (const [attempt, limitMs] of [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000].entries()) {
      const delays = Array.from({ length: 400 }, () => retryDelayMs(attempt, random));
      expect(Math.max(...delays)).toBeLessThan(limitMs);
      expect(Math.max(...delays)).toBeGreaterThan(0.97 * limitMs);
      expect(Math.min(...delays)).toBeLessThan(0.03 * limitMs);
    }
  });

  test("A coordinator that is down for a minute is asked a handful of times, and the volunteer is told", async () => {
    const stage = await joined();
    for (let second = 0; second < 60; second++) {
      if (stage.pair.near.isOpen || stage.pairs.length > 0) stage.pair.cut();
      await stage.clock.advance(1000, 50);
      await stage.clock.letBreathe();
    }
    expect(stage.pairs.length).toBeGreaterThan(5);
    expect(stage.pairs.length).toBeLessThan(30);
    expect(stage.phases.at(-1)?.detail).toMatch(/out of reach; the next try is in \d+\.\d s/);
  });

  test("Two replicas with different seeds do not come back at the same moments", () => {
    expect(firstDelays(1)).not.toEqual(firstDelays(2));
    expect(firstDelays(1)).toEqual(firstDelays(1));
  });
});

describe("Refusals that end the participation", () => {
  const failures = {
    WRONG_LAYOUT: "old-client",
    WRONG_PROTOCOL: "old-client",
    BAD_HEADER: "old-client",
    KICKED: "kicked",
    RUN_FULL: "run-full",
    REPLACED: "other",
    TOO_FAST: "other",
  } as const;
  for (const code of Object.keys(failures) as (keyof typeof failures)[]) {
    test(`${code} ends with its sentence as ${failures[code]}, and nothing is tried again`, async () => {
      const stage = new ReplicaStage();
      await stage.begin();
      stage.pair.open();
      const { closeCode, sentence } = REFUSALS[code];
      await stage.say("refusal", { code, sentence, recovery: "none", version: 0, incarnation: 1 });
      stage.pair.far.close(closeCode, code);
      await settled();
      await stage.clock.advance(60_000, 1000);
      expect(stage.ending).toEqual({ kind: "failed", failure: failures[code], sentence });
      expect(stage.pairs).toHaveLength(1);
    });
  }

  test("Unreadable messages are taken for cut ones at first, and for a coordinator of another version the third time in a minute", async () => {
    const stage = new ReplicaStage();
    await stage.join();
    for (let time = 1; time <= 3; time++) {
      expect(stage.ending).toBeUndefined();
      const message = encodeHead(TYPE.group, { epoch: 1 }, 0);
      stage.pair.far.send(message);
      stage.pair.deliverToNear();
      await stage.turn();
      if (time === 3) break;
      await stage.reconnected();
      await stage.welcome(undefined, { resumed: true });
    }
    await stage.turn();
    expect(stage.ending).toMatchObject({ kind: "failed", failure: "old-client" });
  });

  test("RUN_OVER finishes, and the close code says so where the refusal was lost", async () => {
    const stage = await joined();
    stage.pair.far.close(REFUSALS.RUN_OVER.closeCode, "RUN_OVER");
    await stage.turn();
    expect(stage.ending).toEqual({ kind: "finished", reason: REFUSALS.RUN_OVER.sentence });
  });

  test("[F6] Bytes that are no frame end the link, not the replica", async () => {
    const stage = await joined();
    stage.pair.toNear.push(Uint8Array.of(1, 2, 3));
    stage.pair.deliverToNear();
    await stage.reconnected();
    expect(stage.ending).toBeUndefined();
  });
});

describe("A center that was fetched before", () => {
  const held = { incarnation: 1, version: 8, values: filled(0.25) };

  test("[D3] is offered in the hello, and training begins at it where the welcome brings none", async () => {
    const stage = new ReplicaStage({}, { held });
    await stage.begin();
    const hello = await stage.welcome(undefined, { version: 8 });
    expect(hello.header.holds).toEqual({ incarnation: 1, version: 8 });
    expect(stage.program.base).toEqual(filled(0.25));
    expect((await stage.nextPush()).header.baseVersion).toBe(8);
    stage.pair.cut();
    await stage.reconnected();
    expect((await stage.welcome(undefined, { resumed: true })).header).not.toHaveProperty("holds");
  });

  test("[D3] means nothing where the welcome brings one, or names another that it does not bring", async () => {
    const brought = new ReplicaStage({}, { held });
    await brought.join(filled(0.5), { version: 9 });
    expect(brought.program.base).toEqual(filled(0.5));

    const other = new ReplicaStage({}, { held });
    await other.begin();
    await other.welcome(undefined, { version: 9 });
    expect(other.program.steps).toBe(0);
    await other.reconnected();
    const hello = await other.welcome(filled(0.5), { version: 9 });
    expect(hello.header).not.toHaveProperty("holds");
    expect(other.program.base).toEqual(filled(0.5));
  });
});

describe("Lost devices", () => {
  test("[H5] A lost device is replaced, and the replica comes back as one that holds no base", async () => {
    const stage = await joined();
    await stage.nextPush();
    await stage.answer(1, filled(0.5));
    await stage.turn();
    const spare = spareProgram();
    stage.spares.push(spare);
    stage.program.isBroken = true;
    stage.loseDevice("the driver was updated");
    await settled();
    await stage.turn();
    expect(stage.losses).toEqual(["the driver was updated"]);
    await stage.reconnected();
    const hello = await stage.welcome(filled(0.5), { version: 20, lastExchange: 1 });
    expect(hello.header.resume).toEqual({ replica: "r1", token: "t1", incarnation: 0 });
    await stage.trainTo(1, spare);
    expect(spare.base).toEqual(filled(0.5));
    const push = await stage.nextPush();
    expect(push.header).toMatchObject({ exchange: 2, baseVersion: 20, steps: TAU });
    expect(vectorIn(push)).toEqual(filled(0.5 * 0.875));
  });

  test("[X12] A push of the lost device is not repeated, and its work is told of once", async () => {
    const stage = await joined();
    await stage.nextPush();
    const spare = spareProgram();
    stage.spares.push(spare);
    stage.loseDevice("gone");
    await stage.turn();
    await stage.reconnected();
    expect(spare.steps).toBe(0);
    await stage.welcome(filled(0.25), { version: 11, lastExchange: 1 });
    await stage.trainTo(1, spare);
    expect(spare.base).toEqual(filled(0.25));
    const push = await stage.nextPush();
    expect(push.header).toMatchObject({ exchange: 2, baseVersion: 11, steps: TAU });
    expect(vectorIn(push)).toEqual(filled(0.75 * 0.875));
  });

  test("A device that fails before it says that it is lost is waited for, and a fault without a loss ends in a sentence", async () => {
    const lost = await joined();
    lost.spares.push(spareProgram());
    lost.program.isBroken = true;
    await lost.turn();
    lost.loseDevice("a moment later");
    await lost.clock.advance(500);
    await lost.turn();
    expect(lost.losses).toEqual(["a moment later"]);
    expect(lost.ending).toBeUndefined();

    const faulty = await joined();
    faulty.program.isBroken = true;
    await faulty.turn();
    await faulty.clock.advance(2000);
    expect(faulty.ending).toEqual({
      kind: "failed",
      failure: "other",
      sentence: "Training stopped: the device is gone",
    });
  });
});
