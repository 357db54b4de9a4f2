/** An operator's pause: connected, with heartbeats, and without a step; independent of the volunteer's own. */

import { describe, expect, test } from "vitest";
import { LIMITS } from "../../shared/wire/codes.ts";
import { filled, ReplicaStage, TAU } from "../support/replica_stage.ts";

async function held(changes: ConstructorParameters<typeof ReplicaStage>[0] = {}): Promise<ReplicaStage> {
  const stage = new ReplicaStage(changes);
  await stage.join();
  await stage.trainTo(2);
  await order(stage, "pause", "Somebody looks at the loss.");
  return stage;
}

async function order(stage: ReplicaStage, what: "pause" | "resume", reason = ""): Promise<void> {
  await stage.say("control", { order: what, reason });
  await stage.turn();
}

/** Steps within half a minute. */
async function stepsInAWhile(stage: ReplicaStage): Promise<number> {
  const { steps } = stage.program;
  for (let turn = 0; turn < 60; turn++) await stage.turn();
  return stage.program.steps - steps;
}

describe("Held by the operator", () => {
  test("[O2] a replica takes no step, stays connected and sends its heartbeats until it may go on", async () => {
    const stage = await held();
    expect(stage.phases.at(-1)).toEqual({ phase: "held", detail: "Somebody looks at the loss." });
    expect(await stepsInAWhile(stage)).toBe(0);
    expect(stage.pair.near.isOpen).toBe(true);
    const beats = Math.floor((60 * 500) / (LIMITS.leaseMs / 3));
    for (let beat = 0; beat < beats; beat++) stage.receive("heartbeat");
    stage.expectSilence();
    await order(stage, "resume");
    expect(stage.phase).toBe("training");
    expect(await stepsInAWhile(stage)).toBeGreaterThan(0);
  });

  test("[O2] an exchange in flight is settled meanwhile", async () => {
    const stage = new ReplicaStage();
    await stage.join();
    await stage.nextPush();
    await order(stage, "pause");
    await stage.answer(1, filled(0.5));
    await stage.turn();
    expect((await stage.numbers()).applied).toBe(1);
    expect(stage.program.base).toEqual(filled(0.5));
  });

  test("[O2] a replica that others wait for stays too: everybody is held", async () => {
    const stage = await held({ solver: "sync-easgd" });
    expect(stage.pair.near.isOpen).toBe(true);
    expect(await stepsInAWhile(stage)).toBe(0);
  });

  test("[O2] the volunteer's pause and the operator's are independent: both have to be over", async () => {
    const stage = await held();
    stage.replica.pause();
    expect(stage.phase).toBe("paused");
    await order(stage, "resume");
    expect(stage.phase).toBe("paused");
    expect(await stepsInAWhile(stage)).toBe(0);
    stage.replica.resume();
    expect(stage.phase).toBe("training");
    expect(await stepsInAWhile(stage)).toBeGreaterThan(0);

    await order(stage, "pause", "Once more.");
    stage.replica.pause();
    stage.replica.resume();
    expect(stage.phases.at(-1)).toEqual({ phase: "held", detail: "Once more." });
    expect(await stepsInAWhile(stage)).toBe(0);
  });

  test("[O2] is over with the connection: a welcome begins without, and the coordinator says it anew", async () => {
    const stage = await held();
    stage.pair.cut();
    await stage.reconnected();
    await stage.welcome(undefined, { resumed: true });
    await stage.turn();
    expect(stage.phase).toBe("training");
    await order(stage, "pause", "Still.");
    expect(stage.phase).toBe("held");
    expect(await stepsInAWhile(stage)).toBe(0);
  });

  test("[O2] Finish completes the exchange all the same", async () => {
    const stage = await held();
    stage.replica.finish();
    await stage.turn();
    expect(stage.receive("push").header.steps).toBeLessThanOrEqual(TAU);
    await stage.answer(1, filled(0.5));
    await stage.turn();
    expect(stage.ending).toMatchObject({ kind: "stopped", sentence: "The last exchange was completed." });
  });
});
