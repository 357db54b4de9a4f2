/** Finish: the exchange that is begun is completed, goodbye is said, and nothing waits for ever. */

import { describe, expect, test } from "vitest";
import { settled } from "../support/hand_clock.ts";
import { filled, ReplicaStage, TAU, vectorIn } from "../support/replica_stage.ts";

type Changes = ConstructorParameters<typeof ReplicaStage>[0];

async function trained(steps: number, changes: Changes = {}): Promise<ReplicaStage> {
  const stage = new ReplicaStage(changes);
  await stage.join();
  await stage.trainTo(steps);
  return stage;
}

/** Lets what was begun on the device come back. */
async function pushed(stage: ReplicaStage) {
  await settled();
  await stage.turn();
  return stage.receive("push");
}

describe("Finish", () => {
  test("[X1] pushes what was trained since the last exchange, waits for the answer, says goodbye and ends", async () => {
    const stage = await trained(2);
    stage.replica.finish();
    expect(stage.phase).toBe("finishing");
    const push = await pushed(stage);
    expect(push.header).toMatchObject({ exchange: 1, steps: 2, samples: 8 });
    expect(vectorIn(push)).toEqual(filled(0.75));
    await stage.clock.advance(5000, 500);
    expect(stage.ending).toBeUndefined();
    stage.expectSilence();
    await stage.answer(1, filled(0.5));
    await settled();
    expect(stage.ending).toEqual({ kind: "stopped", sentence: "The last exchange was completed." });
    stage.receive("leave");
    expect(stage.program.steps).toBe(2);
    expect(stage.progress?.applied).toBe(1);
  });

  test("waits for the exchange in flight, and for the one with what was trained meanwhile", async () => {
    const stage = await trained(TAU);
    await stage.nextPush();
    await stage.trainTo(TAU + 1);
    stage.replica.finish();
    await stage.clock.advance(3000, 500);
    stage.expectSilence();
    await stage.answer(1, filled(0.5));
    const second = await pushed(stage);
    expect(second.header).toMatchObject({ exchange: 2, steps: 1 });
    await stage.answer(2, filled(0.5));
    await settled();
    expect(stage.ending).toMatchObject({ kind: "stopped" });
    expect(stage.program.steps).toBe(TAU + 1);
  });

  test("with nothing trained since the last answer ends at once", async () => {
    const stage = await trained(TAU);
    await stage.nextPush();
    await stage.say("control", { order: "pause", reason: "" });
    await stage.answer(1, filled(0.5));
    await stage.trainTo(TAU);
    // What was trained while the push was under way goes out too, or there is nothing.
    stage.replica.finish();
    await stage.turn();
    if (!stage.ending) {
      expect((await pushed(stage)).header.steps).toBe(stage.program.steps - TAU);
      await stage.answer(2, filled(0.5));
    }
    await stage.turn();
    expect(stage.ending).toMatchObject({ kind: "stopped", sentence: "The last exchange was completed." });
  });

  for (const solver of ["sync-sgd", "sync-easgd", "diloco", "original-easgd", "async-sgd", "downpour"] as const) {
    test(`of ${solver} pushes once, without further steps, and leaves`, async () => {
      const stage = new ReplicaStage({ solver });
      await stage.join();
      const { steps } = stage.program;
      expect(steps).toBe(1);
      stage.replica.finish();
      const { header } = await pushed(stage);
      expect(header).toMatchObject({ exchange: 1, steps: 1 });
      await stage.answer(1, filled(0.5), { pull: 1 });
      await settled();
      expect(stage.ending).toMatchObject({ kind: "stopped" });
      stage.receive("leave");
      expect(stage.program.steps).toBe(1);
    });
  }

  test("in two round trips pulls, moves, pushes the difference and ends", async () => {
    const stage = await trained(2, { exchange: "two-round-trip" });
    stage.replica.finish();
    await stage.turn();
    stage.receive("pull");
    await stage.give(filled(0.25));
    const push = await pushed(stage);
    expect(push.header).toMatchObject({ content: "difference", steps: 2 });
    await stage.answer(1, undefined);
    await settled();
    expect(stage.ending).toMatchObject({ kind: "stopped" });
  });

  test("pushes again what was refused for its base, and gives up what was refused for good", async () => {
    const stage = await trained(2);
    stage.replica.finish();
    await pushed(stage);
    await stage.refuse("UNKNOWN_BASE", filled(0.5), { exchange: 1 });
    const again = await pushed(stage);
    expect(again.header).toMatchObject({ exchange: 2, steps: 2, baseVersion: 50 });
    expect(vectorIn(again)).toEqual(filled(0.25));
    await stage.refuse("TOO_STALE", filled(0.5), { exchange: 2 });
    for (let turn = 0; turn < 3 && !stage.ending; turn++) await stage.turn();
    expect(stage.ending).toMatchObject({ kind: "stopped" });
    expect(stage.progress?.refusals).toEqual({ UNKNOWN_BASE: 1, TOO_STALE: 1 });
  });

  test("ends after 20 s without an answer, and says what that means", async () => {
    const stage = await trained(2);
    stage.replica.finish();
    await pushed(stage);
    await stage.clock.advance(19_000, 500);
    expect(stage.ending).toBeUndefined();
    await stage.clock.advance(2000, 500);
    expect(stage.ending).toMatchObject({
      kind: "stopped",
      sentence: expect.stringContaining("did not answer within 20 s") as string,
    });
  });

  test("while the coordinator is out of reach comes back to it with the last push", async () => {
    const stage = await trained(TAU);
    const { header } = await stage.nextPush();
    stage.pair.cut();
    stage.replica.finish();
    await stage.reconnected();
    await stage.welcome(undefined, { resumed: true, lastExchange: 0 });
    await stage.turn();
    expect(stage.receive("push").header).toEqual(header);
    await stage.answer(1, filled(0.5));
    for (let turn = 0; turn < 4 && !stage.ending; turn++) {
      await stage.turn();
      if (stage.pair.toFar.length > 0) await stage.answer(stage.receive("push").header.exchange, filled(0.5));
    }
    expect(stage.ending).toMatchObject({ kind: "stopped", sentence: "The last exchange was completed." });
  });

  test("a second time, like Stop, ends at once", async () => {
    for (const how of ["finish", "stop"] as const) {
      const stage = await trained(2);
      stage.replica.finish();
      await pushed(stage);
      stage.replica[how]();
      await settled();
      expect(stage.ending).toMatchObject({
        kind: "stopped",
        sentence: expect.stringContaining("before the last exchange was answered") as string,
      });
      stage.receive("leave");
    }
  });

  test("before the first welcome there is nothing to complete", async () => {
    const stage = new ReplicaStage();
    await stage.begin();
    stage.replica.finish();
    await settled();
    expect(stage.ending).toEqual({ kind: "stopped", sentence: "There was no exchange to complete." });
  });

  test("from a pause completes the exchange; where the pause had to leave, there is none", async () => {
    const stage = await trained(2);
    stage.replica.pause();
    await stage.turn();
    stage.replica.finish();
    expect((await pushed(stage)).header.steps).toBe(2);
    await stage.answer(1, filled(0.5));
    await settled();
    expect(stage.ending).toMatchObject({ kind: "stopped", sentence: "The last exchange was completed." });

    const awaited = await trained(1, { solver: "sync-easgd" });
    awaited.replica.pause();
    awaited.replica.finish();
    await settled();
    await awaited.turn();
    expect(awaited.ending).toMatchObject({ sentence: "There was no exchange to complete." });
  });

  test("does not wait for a duty cycle, nor for a device that is gone", async () => {
    const slow = new ReplicaStage({}, { dutyCycle: 0.01 });
    slow.program.onStep = () => slow.clock.pass(1000);
    await slow.join();
    await slow.turn();
    slow.replica.finish();
    expect((await pushed(slow)).header.steps).toBe(1);

    const gone = await trained(2);
    gone.loseDevice("The graphics driver was restarted.");
    gone.replica.finish();
    await gone.turn();
    await gone.turn();
    expect(gone.ending ?? (await pushed(gone))).toMatchObject({
      kind: "stopped",
      sentence: expect.stringContaining("device was lost") as string,
    });
  });
});

describe("An operator's drain", () => {
  test("[O2] is a finish that tells of the operator's reason", async () => {
    const stage = await trained(2);
    await stage.say("control", { order: "drain", reason: "The room closes." });
    await stage.turn();
    expect(stage.phases.at(-1)).toEqual({
      phase: "finishing",
      detail: "The operator of this run asked this device to finish: The room closes.",
    });
    expect((await pushed(stage)).header.steps).toBeGreaterThanOrEqual(2);
    await stage.answer(1, filled(0.5));
    await settled();
    expect(stage.ending).toEqual({
      kind: "stopped",
      sentence:
        "The operator of this run asked this device to finish: The room closes. The last exchange was completed.",
    });
  });

  test("[O2] said twice is one; the volunteer's own Finish on top does not cut it short, a second one does", async () => {
    const stage = await trained(2);
    await stage.say("control", { order: "drain", reason: "" });
    await stage.say("control", { order: "drain", reason: "" });
    await pushed(stage);
    stage.replica.finish();
    await settled();
    expect(stage.ending).toBeUndefined();
    stage.replica.finish();
    await settled();
    expect(stage.ending).toMatchObject({ kind: "stopped" });
  });
});
