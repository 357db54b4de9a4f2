/** SPEC X and L4 from the replica's side: a real replica, and the test as coordinator, network and clock. */

import { describe, expect, test } from "vitest";
import { LIMITS } from "../../shared/wire/codes.ts";
import { CODEC_NAMES } from "../../shared/wire/codec/codec.ts";
import { settled } from "../support/hand_clock.ts";
import { filled, ReplicaStage, TAU, vectorIn } from "../support/replica_stage.ts";
import { TINY_LAYOUT } from "../support/tiny_run.ts";

async function joined(...settings: ConstructorParameters<typeof ReplicaStage>): Promise<ReplicaStage> {
  const stage = new ReplicaStage(...settings);
  await stage.join();
  return stage;
}

async function velocityWith(solver: "ea-wild" | "async-easgd" | "async-measgd"): Promise<number> {
  const stage = await joined({ solver, momentum: 0.5, learningRate: 0.25 });
  await stage.trainTo(2);
  return stage.program.velocity[0]!;
}

describe("Handshake", () => {
  test("[H1] [H4] The first frame names layout, backend and measured speed", async () => {
    const stage = new ReplicaStage();
    const hello = await stage.join();
    expect(hello.header).toEqual({
      layoutHash: TINY_LAYOUT.hash,
      backend: "wasm",
      device: "paper and pencil",
      samplesPerSecond: 5,
      shards: [],
      codecs: [...CODEC_NAMES],
    });
  });

  test("[E4] Nothing computes before the welcome, and training begins at its center", async () => {
    const stage = new ReplicaStage();
    await stage.begin();
    stage.pair.open();
    await stage.clock.advance(3000);
    expect(stage.program.steps).toBe(0);
    stage.send("welcome", stage.welcomeHeader, filled(3));
    stage.pair.deliverToNear();
    await settled();
    expect(stage.program.base).toEqual(filled(3));
    expect(stage.program.steps).toBe(1);
    expect(stage.phases.map(({ phase }) => phase)).toEqual(["connecting", "training"]);
  });
});

describe("Elastic exchange in one round trip", () => {
  test("[X1] [X2] After tau steps the replica pushes what it moved since the base, as exchange 1", async () => {
    const stage = await joined();
    await stage.trainTo(TAU);
    stage.expectSilence();
    const push = await stage.nextPush();
    expect(push.header).toEqual({
      exchange: 1,
      incarnation: 1,
      baseVersion: 10,
      content: "parameters",
      steps: TAU,
      samples: 4 * TAU,
      // Half the squared distance of 128 elements that are 1, 1/2 and 1/4 away.
      meanLoss: (64 + 16 + 4) / 3,
    });
    expect(vectorIn(push)).toEqual(filled(0.875));
  });

  test("[X2] It trains on while the exchange is in flight, and counts the period that came of it", async () => {
    const stage = await joined();
    await stage.nextPush();
    await stage.trainTo(5 * TAU);
    stage.expectSilence();
    await stage.answer(1, filled(0.5));
    const second = await stage.nextPush();
    expect(second.header).toMatchObject({ exchange: 2, baseVersion: 11, steps: 4 * TAU, samples: 16 * TAU });
  });

  test("In a browser the loop sleeps for a transfer of more than half a period, and for nothing else", async () => {
    const stage = await joined({ communicationPeriod: 8 });
    stage.clock.transferMs = 4;
    // 6 % of a step are more than 4 ms.
    stage.program.onStep = () => stage.clock.pass(100);
    const sleepsAfter: number[] = [];
    while (stage.program.steps < 8) await stage.turn();
    for (let step = 0; step < 8; step++) {
      const before = stage.program.steps;
      if (!(await stage.clock.letBreathe())) {
        sleepsAfter.push(stage.program.steps - 8);
        await stage.clock.advance(4, 4);
      }
      expect(stage.program.steps).toBe(before + 1);
    }
    expect(sleepsAfter).toEqual([4, 5, 6, 7]);
    await stage.answer(1, filled(0.5));
    expect(await stage.clock.letBreathe()).toBe(false);
    await stage.clock.advance(4, 4);
    expect(await stage.clock.letBreathe()).toBe(true);
  });

  test("[X4] The answer moves the replica by its share of the difference that was sent, wherever training is meanwhile", async () => {
    const stage = await joined();
    await stage.nextPush();
    await stage.trainTo(6);
    const before = stage.program.parameters[0]!;
    await stage.answer(1, filled(0.5), { pull: 0.25 });
    await stage.turn();
    // One local step (half the way to 1) comes after the move.
    const moved = before - 0.25 * (0.875 - 0.5);
    expect(stage.program.parameters).toEqual(filled(moved + (1 - moved) / 2));
    expect(stage.program.base).toEqual(filled(0.5));
  });

  test("[X3] The rate is the one of the answer, which a staleness policy may have lowered", async () => {
    const stage = await joined();
    await stage.nextPush();
    const before = stage.program.parameters[0]!;
    await stage.answer(1, filled(0), { pull: 0.0625 });
    await stage.turn();
    const moved = before - 0.0625 * 0.875;
    expect(stage.program.parameters).toEqual(filled(moved + (1 - moved) / 2));
  });

  test("[X1] The payload stays as it is while the link holds it, and the next one gets memory of its own", async () => {
    const stage = await joined();
    let held: Uint8Array | undefined;
    const { near } = stage.pair;
    const send = near.send.bind(near);
    near.send = (head, payload) => {
      held ??= payload;
      send(head, payload);
    };
    await stage.nextPush();
    const bytes = held!.slice();
    near.bufferedBytes = 100;
    await stage.answer(1, filled(0));
    await stage.nextPush();
    expect(held).toEqual(bytes);
  });

  test("[X12] An answer that comes twice moves the replica once", async () => {
    const once = await joined();
    const twice = await joined();
    for (const [stage, times] of [
      [once, 1],
      [twice, 2],
    ] as const) {
      await stage.nextPush();
      stage.send("answer", stage.answerHeader(1), filled(0.25));
      stage.pair.deliverToNear(times);
      await stage.trainTo(8);
    }
    expect(twice.program.parameters).toEqual(once.program.parameters);
    expect((await twice.numbers()).applied).toBe(1);
  });

  test("Momentum is the replica's only where the solver places it there", async () => {
    expect(await velocityWith("async-easgd")).toBe(0.1875);
    expect(await velocityWith("async-measgd")).toBe(0.1875 + 0.125);
    expect(await velocityWith("ea-wild")).toBe(0.1875 + 0.125);
  });
});

describe("Elastic exchange in two round trips", () => {
  const settings = { exchange: "two-round-trip" } as const;

  test("[X10] It pulls, pushes its share of the difference from that center, and moves by the same", async () => {
    const stage = await joined(settings);
    await stage.trainTo(TAU);
    await stage.turn();
    stage.receive("pull");
    // The step that the pull did not wait for is part of the exchange.
    expect(stage.program.parameters).toEqual(filled(0.9375));
    await stage.give(filled(0.4375));
    const push = await stage.nextPush();
    expect(push.header).toMatchObject({ exchange: 1, content: "difference", baseVersion: 30, steps: 4 });
    expect(vectorIn(push)).toEqual(filled(0.125));
    const before = stage.program.parameters[0]!;
    await stage.answer(1, undefined, { pull: 1 });
    await stage.turn();
    const moved = before - 0.125;
    expect(stage.program.parameters).toEqual(filled(moved + (1 - moved) / 2));
  });

  test("[X10] A pull that the connection lost is asked again", async () => {
    const stage = await joined(settings);
    await stage.trainTo(TAU);
    await stage.turn();
    stage.receive("pull");
    stage.pair.cut();
    await stage.clock.advance(1000);
    await stage.turn();
    await stage.clock.advance(1000);
    await stage.welcome(undefined, { resumed: true });
    await stage.turn();
    expect(stage.receive("pull").header).toEqual({});
  });
});

describe("Gradient rule", () => {
  const settings = { solver: "sync-sgd" } as const;

  test("[X15] It pushes one gradient at the center and waits; the new center becomes its parameters", async () => {
    const stage = await joined(settings);
    const push = stage.receive("push");
    expect(push.header).toMatchObject({
      exchange: 1,
      content: "gradient",
      baseVersion: 10,
      steps: 1,
      samples: 4,
      meanLoss: 64,
    });
    expect(vectorIn(push)).toEqual(filled(-1));
    await stage.clock.advance(5000);
    expect(stage.program.steps).toBe(1);
    await stage.answer(1, filled(0.5), { pull: 1 });
    const second = stage.receive("push");
    expect(second.header).toMatchObject({ exchange: 2, baseVersion: 11, steps: 1 });
    expect(vectorIn(second)).toEqual(filled(-0.5));
  });

  test("[X15] A pause leaves the round, so that nobody waits, and resuming joins again", async () => {
    const stage = await joined(settings);
    stage.receive("push");
    stage.replica.pause();
    stage.receive("leave");
    expect(stage.pair.near.closedWith?.code).toBe(1000);
    await stage.clock.advance(2000);
    stage.replica.resume();
    await stage.clock.advance(1000);
    const hello = await stage.welcome(filled(0.25), { replica: "r2", token: "t2", version: 20 });
    expect(hello.header).not.toHaveProperty("resume");
    const push = stage.receive("push");
    expect(push.header).toMatchObject({ exchange: 1, baseVersion: 20, content: "gradient" });
    expect(vectorIn(push)).toEqual(filled(-0.75));
  });
});

describe("Refusals", () => {
  test("[X11] [X13] After UNKNOWN_BASE it keeps its parameters, takes the new base, and tells of the work again", async () => {
    const stage = await joined();
    await stage.nextPush();
    const before = stage.program.parameters.slice();
    await stage.refuse("UNKNOWN_BASE", filled(0.25), { exchange: 1, version: 40 });
    await stage.turn();
    expect(stage.program.base).toEqual(filled(0.25));
    expect(stage.program.parameters).toEqual(before.map((value) => value + (1 - value) / 2));
    const push = await stage.nextPush();
    expect(push.header).toMatchObject({ exchange: 2, baseVersion: 40, steps: 2 * TAU });
    expect(await stage.numbers()).toMatchObject({
      refused: 1,
      lastRefusal: expect.stringContaining("no longer holds the center"),
    });
  });

  test("[X11] [S3] After TOO_STALE it restarts from the center without velocity, and its work is not told of again", async () => {
    const stage = await joined({ momentum: 0.5 });
    await stage.nextPush();
    await stage.refuse("TOO_STALE", filled(0.25), { exchange: 1, version: 40 });
    await stage.turn();
    // One step after the restart: half the way, and all of the velocity from it.
    expect(stage.program.parameters).toEqual(filled(0.625));
    expect(stage.program.velocity).toEqual(filled(0.375));
    const push = await stage.nextPush();
    expect(push.header).toMatchObject({ exchange: 2, baseVersion: 40, steps: TAU });
    // 3/4, 3/8 and what momentum makes of it: nothing of the losses before the restart.
    expect(push.header.meanLoss).toBeLessThan(64 * 0.75 ** 2);
  });

  test("[X13] WRONG_INCARNATION moves it to the new incarnation", async () => {
    const stage = await joined();
    await stage.nextPush();
    await stage.refuse("WRONG_INCARNATION", filled(0), { exchange: 1, version: 5, incarnation: 2 });
    expect((await stage.nextPush()).header).toMatchObject({ exchange: 2, incarnation: 2, baseVersion: 5 });
  });

  test("[X12] After OLD_EXCHANGE it goes on with the next number", async () => {
    const stage = await joined();
    await stage.nextPush();
    await stage.refuse("OLD_EXCHANGE", undefined, { exchange: 1 });
    expect((await stage.nextPush()).header.exchange).toBe(2);
  });

  test("A refusal of an exchange that is settled already changes nothing", async () => {
    const stage = await joined();
    await stage.nextPush();
    await stage.refuse("TOO_STALE", filled(9), { exchange: 7 });
    await stage.turn();
    expect(stage.program.base).toEqual(filled(0));
    expect((await stage.numbers()).refused).toBe(0);
  });
});

describe("Divergence", () => {
  test("[L3] [X11] Nothing is pushed that is not finite: the replica pulls and restarts from the center", async () => {
    const stage = await joined();
    stage.program.target.fill(Number.NaN);
    await stage.trainTo(TAU);
    await stage.turn();
    await stage.turn();
    stage.receive("pull");
    const stepsAtPull = stage.program.steps;
    await stage.turn();
    expect(stage.program.steps).toBe(stepsAtPull);
    stage.program.target.fill(1);
    await stage.give(filled(0.5), { version: 20 });
    const push = await stage.nextPush();
    expect(push.header).toMatchObject({ exchange: 1, baseVersion: 20, steps: TAU });
    expect(push.header.meanLoss).toBeLessThan(16);
    expect((await stage.numbers()).lastRefusal).toContain("diverged");
  });

  test("[L3] Parameters that broke after the last loss are not pushed either", async () => {
    const stage = await joined();
    await stage.trainTo(TAU);
    stage.program.parameters[77] = Number.POSITIVE_INFINITY;
    await stage.turn();
    await stage.turn();
    expect(stage.receive("pull").header).toEqual({});
  });

  test("Five divergences in a row end the participation with a sentence", async () => {
    const stage = await joined();
    stage.program.target.fill(Number.NaN);
    for (let time = 0; time < 5 && !stage.ending; time++) {
      for (let turn = 0; turn < 2 * TAU + 2 && stage.pair.toFar.length === 0; turn++) await stage.turn();
      if (!stage.ending) await stage.give(filled(0.5));
      stage.pair.toFar.length = 0;
    }
    expect(stage.ending).toEqual({
      kind: "failed",
      failure: "other",
      sentence: expect.stringContaining("learning rate is too high"),
    });
  });
});

describe("Heartbeat", () => {
  test("[L4] A heartbeat comes every third of a lease while training lives, and none when it hangs", async () => {
    const stage = await joined();
    await stage.nextPush();
    for (let tenth = 0; tenth < 10; tenth++) {
      await stage.clock.advance(LIMITS.leaseMs / 30);
      await stage.turn();
    }
    const heartbeat = stage.receive("heartbeat");
    expect(heartbeat.header.steps).toBeGreaterThan(TAU);
    stage.expectSilence();
    // The loop is not let on: as if a step never came back.
    await stage.clock.advance(2 * LIMITS.leaseMs, 1000);
    stage.expectSilence();
  });

  test("[L4] A paused replica computes nothing, and keeps its place", async () => {
    const stage = await joined();
    stage.replica.pause();
    await stage.turn();
    const { steps } = stage.program;
    await stage.clock.advance(LIMITS.leaseMs / 3, 500);
    stage.receive("heartbeat");
    expect(stage.program.steps).toBe(steps);
    expect(stage.phase).toBe("paused");
    stage.replica.resume();
    await settled();
    expect(stage.phase).toBe("training");
    await stage.trainTo(steps + 1);
  });
});

describe("Ends", () => {
  test("[H7] [E4] Stop says goodbye after the current step", async () => {
    const stage = await joined();
    const { steps } = stage.program;
    stage.replica.stop();
    await stage.turn();
    expect(stage.ending).toEqual({ kind: "stopped" });
    expect(stage.program.steps).toBe(steps);
    stage.receive("leave");
    expect(stage.pair.near.closedWith?.code).toBe(1000);
  });

  test("The end of the run ends the replica, with the coordinator's reason", async () => {
    const stage = await joined();
    await stage.say("finished", { reason: "The target is reached." });
    await stage.turn();
    expect(stage.ending).toEqual({ kind: "finished", reason: "The target is reached." });
  });
});
