/** What the coordinator assigns takes effect with the next step; what a device cannot do is said in a sentence. */

import { describe, expect, test } from "vitest";
import { settled } from "../support/hand_clock.ts";
import { filled, ReplicaStage, spareProgram, TAU, vectorIn } from "../support/replica_stage.ts";

async function joined(...options: ConstructorParameters<typeof ReplicaStage>): Promise<ReplicaStage> {
  const stage = new ReplicaStage(...options);
  await stage.join();
  return stage;
}

describe("Assignments", () => {
  test("[X18] The welcome's assignment holds, not what the run began with", async () => {
    const stage = new ReplicaStage({ solver: "ea-wild", momentum: 0.5 });
    stage.assignment = { ...stage.assignment, communicationPeriod: 2, learningRate: 0.25, momentum: 0.125 };
    await stage.join();
    const push = await stage.nextPush();
    expect(push.header).toMatchObject({ steps: 2, samples: 8 });
    expect(stage.program.rates.slice(0, 2)).toEqual([0.25, 0.25]);
    expect(stage.program.momenta.slice(0, 2)).toEqual([0.125, 0.125]);
  });

  test("[X18] An answer changes period, samples, learning rate and momentum from the next step on", async () => {
    const stage = await joined({ momentum: 0.5 }, { parts: 4 });
    const { header } = await stage.nextPush();
    stage.assignment = {
      communicationPeriod: 5,
      samples: 3,
      learningRate: 0.125,
      momentum: -0.25,
      movingRate: 0.25,
    };
    await stage.answer(1, filled(0.5));
    const push = await stage.nextPush();
    expect(push.header.steps).toBe(5);
    const period = stage.program.drawn.slice(header.steps, header.steps + 5).map(({ length }) => length);
    // Those before the answer was seen have the whole batch.
    const late = period.filter((length) => length === 4).length;
    expect(late).toBeLessThan(3);
    expect(period.slice(late).every((length) => length === 3)).toBe(true);
    expect(push.header.samples).toBe(4 * late + 3 * (5 - late));
    expect(stage.program.rates[header.steps + late]).toBe(0.125);
    expect(stage.program.momenta[header.steps + late]).toBe(-0.25);
  });

  test("[X18] A gradient is taken over the share that the answer assigns, and told as its weight", async () => {
    const stage = await joined({ solver: "sync-sgd" }, { parts: 4 });
    expect((await stage.nextPush()).header).toMatchObject({ steps: 1, samples: 4 });
    stage.assignment = { ...stage.assignment, samples: 1 };
    await stage.answer(1, filled(0.5), { pull: 1 });
    expect((await stage.nextPush()).header).toMatchObject({ exchange: 2, steps: 1, samples: 1 });
    expect(stage.program.drawn.map(({ length }) => length)).toEqual([4, 1]);
    expect(await stage.numbers()).toMatchObject({ localSteps: 2, samples: 5 });
  });

  test("[X18] A center that was asked for, and a resumed welcome, bring one too", async () => {
    const stage = await joined({ exchange: "two-round-trip" });
    await stage.trainTo(TAU);
    await stage.turn();
    stage.receive("pull");
    stage.assignment = { ...stage.assignment, learningRate: 0.125 };
    await stage.give(filled(0.5));
    await stage.nextPush();
    expect(stage.program.rates.at(-1)).toBe(0.125);
    stage.pair.cut();
    await stage.reconnected();
    stage.assignment = { ...stage.assignment, learningRate: 0.0625 };
    await stage.welcome(undefined, { resumed: true, lastExchange: 1 });
    await stage.turn();
    await stage.turn();
    expect(stage.program.rates.at(-1)).toBe(0.0625);
  });

  test("[X10] The replica moves by the rate that it pushed with, though another is assigned meanwhile", async () => {
    const stage = await joined({ exchange: "two-round-trip" });
    await stage.trainTo(TAU);
    await stage.turn();
    stage.receive("pull");
    const before = stage.program.parameters[0]!;
    await stage.give(filled(0));
    const push = await stage.nextPush();
    expect(vectorIn(push)[0]).toBeCloseTo(0.25 * stage.program.sent[0]!, 6);
    expect(stage.program.sent[0]).toBeGreaterThanOrEqual(before);
    stage.assignment = { ...stage.assignment, movingRate: 0.5, learningRate: 0 };
    const trained = stage.program.parameters[0]!;
    await stage.answer(1, undefined, { pull: 1 });
    await stage.turn();
    expect(stage.program.parameters[0]).toBeCloseTo(trained - vectorIn(push)[0]!, 6);
  });
});

describe("What cannot be done", () => {
  for (const samples of [3, 8]) {
    test(`[X18] ${samples} samples of a batch of 4 in parts of 2 end the participation with a sentence`, async () => {
      const stage = new ReplicaStage({}, { parts: 2 });
      stage.assignment = { ...stage.assignment, samples };
      await stage.join();
      expect(stage.ending).toEqual({
        kind: "failed",
        failure: "old-client",
        sentence: expect.stringContaining(
          `steps of ${samples} samples, but this device does whole parts of 2, up to 4`,
        ) as string,
      });
      expect(stage.program.steps).toBe(0);
    });
  }

  test("[X18] A device in place of a lost one that cannot do what is assigned says so too", async () => {
    const stage = await joined({}, { parts: 4 });
    stage.assignment = { ...stage.assignment, samples: 3 };
    await stage.nextPush();
    await stage.answer(1, filled(0.5));
    await stage.turn();
    stage.spares.push(spareProgram(2));
    stage.loseDevice("the driver was updated");
    await settled();
    await stage.turn();
    expect(stage.ending).toMatchObject({ kind: "failed", sentence: expect.stringContaining("parts of 2") as string });
  });
});
