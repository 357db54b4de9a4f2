/** What each of the thirteen solvers asks of a replica, seen from the wire: what it pushes, and what an answer does. */

import { describe, expect, test } from "vitest";
import { SOLVER_NAMES, type SolverName } from "../../shared/solver/catalogue.ts";
import { replicaRuleOf, type ReplicaRule } from "../../shared/solver/replica_rule.ts";
import { REFUSALS } from "../../shared/wire/codes.ts";
import { settled } from "../support/hand_clock.ts";
import { filled, ReplicaStage, spareProgram, TAU, vectorIn, type Got } from "../support/replica_stage.ts";

/** Three steps half the way to 1 from 0. */
const MOVED = 0.875;

async function joined(solver: SolverName): Promise<ReplicaStage> {
  const stage = new ReplicaStage({ solver });
  await stage.join();
  return stage;
}

function solversWhere(holds: (rule: ReplicaRule) => boolean): SolverName[] {
  return SOLVER_NAMES.filter((name) => holds(replicaRuleOf(name, "one-round-trip")));
}

describe("What is pushed", () => {
  const expected: Record<SolverName, Got<"push">["header"]["content"]> = {
    "sync-sgd": "gradient",
    "async-sgd": "gradient",
    "async-msgd": "gradient",
    "hogwild-sgd": "gradient",
    downpour: "update",
    "original-easgd": "parameters",
    "sync-easgd": "parameters",
    "async-easgd": "parameters",
    "async-measgd": "parameters",
    eamsgd: "parameters",
    "ea-wild": "parameters",
    diloco: "update",
    "async-diloco": "update",
  };

  for (const solver of SOLVER_NAMES) {
    const content = expected[solver];
    test(`[X2] ${solver} pushes ${content === "gradient" ? "a gradient after one batch" : `${content} after tau steps`}`, async () => {
      const stage = await joined(solver);
      const push = await stage.nextPush();
      const steps = content === "gradient" ? 1 : TAU;
      expect(push.header).toMatchObject({ exchange: 1, baseVersion: 10, content, steps, samples: 4 * steps });
      expect(vectorIn(push)).toEqual(filled(content === "gradient" ? -1 : MOVED));
    });
  }
});

describe("While an exchange is in flight", () => {
  for (const solver of solversWhere(({ trainsMeanwhile }) => trainsMeanwhile)) {
    test(`[X17] A replica of ${solver} trains on`, async () => {
      const stage = await joined(solver);
      await stage.nextPush();
      await stage.trainTo(4 * TAU);
      expect(stage.pair.toFar).toEqual([]);
    });
  }

  for (const solver of solversWhere(({ trainsMeanwhile }) => !trainsMeanwhile)) {
    test(`[X17] A replica of ${solver} waits for the answer, at rest, and Stop ends the wait at once`, async () => {
      const stage = await joined(solver);
      const { header } = await stage.nextPush();
      const { steps } = stage.program;
      expect(steps).toBe(header.steps);
      for (let second = 0; second < 8; second++) {
        // A loop that turned would take a breath.
        expect(await stage.clock.letBreathe()).toBe(false);
        await stage.clock.advance(1000, 500);
      }
      expect(stage.program.steps).toBe(steps);
      stage.replica.stop();
      await settled();
      expect(stage.ending).toEqual({ kind: "stopped" });
    });

    test(`[X17] A replica of ${solver} goes on from the answer`, async () => {
      const stage = await joined(solver);
      await stage.nextPush();
      await stage.answer(1, filled(0.5), { pull: 1 });
      const second = await stage.nextPush();
      expect(second.header).toMatchObject({ exchange: 2, baseVersion: 11 });
      const way = second.header.content === "gradient" ? -0.5 : 0.5 * MOVED;
      expect(vectorIn(second)).toEqual(filled(way));
    });
  }

  test("[X17] Who is waited for leaves when it pauses; who is not keeps its place", async () => {
    for (const solver of SOLVER_NAMES) {
      const stage = await joined(solver);
      await stage.nextPush();
      stage.replica.pause();
      const { isAwaited } = replicaRuleOf(solver, "one-round-trip");
      expect([solver, stage.pair.near.isOpen]).toEqual([solver, !isAwaited]);
    }
  });
});

describe("An update", () => {
  test("[X16] The answer is the center, and the steps taken meanwhile are kept on top of it", async () => {
    const stage = await joined("downpour");
    await stage.nextPush();
    await stage.trainTo(TAU + 2);
    const meanwhile = stage.program.parameters[0]! - MOVED;
    expect(meanwhile).toBeGreaterThan(0);
    await stage.answer(1, filled(0.25), { pull: 1 });
    await stage.turn();
    const moved = 0.25 + meanwhile;
    expect(stage.program.base).toEqual(filled(0.25));
    expect(stage.program.parameters).toEqual(filled(moved + (1 - moved) / 2));
    const second = await stage.nextPush();
    expect(vectorIn(second)[0]).toBeCloseTo(stage.program.sent[0]! - 0.25, 6);
  });

  test("[H5] [X12] A retry after a lost connection is the same bytes, though the parameters have moved on", async () => {
    const stage = await joined("async-diloco");
    await stage.trainTo(TAU);
    await stage.turn();
    const first = stage.pair.toFar.shift()!.slice();
    stage.pair.cut();
    await stage.turn();
    await stage.reconnected();
    expect(stage.program.steps).toBeGreaterThan(TAU + 1);
    await stage.welcome(undefined, { resumed: true, lastExchange: 1 });
    await stage.turn();
    expect(stage.pair.toFar.shift()).toEqual(first);
    stage.expectSilence();
  });

  for (const solver of ["downpour", "diloco"] as const) {
    test(`[H6] [X11] ${solver} carries its own steps onto a new base, and nothing of the way that the center went`, async () => {
      const stage = await joined(solver);
      await stage.nextPush();
      stage.pair.cut();
      await stage.reconnected();
      const own = stage.program.parameters[0]!;
      // From now on steps lead nowhere, so that only the carrying is seen.
      stage.assignment = { ...stage.assignment, learningRate: 0 };
      await stage.welcome(filled(-5), { incarnation: 2, version: 7, lastExchange: 3 });
      const push = await stage.nextPush();
      expect(stage.program.base).toEqual(filled(-5));
      expect(push.header).toMatchObject({ exchange: 4, incarnation: 2, baseVersion: 7, content: "update" });
      // Of the dropped push and of the period after it.
      expect(push.header.steps).toBeGreaterThanOrEqual(2 * TAU);
      expect(vectorIn(push)[0]).toBeCloseTo(own, 6);
    });
  }

  test("[X11] [X13] After UNKNOWN_BASE the update is pushed once more, with its work, from the new base", async () => {
    const stage = await joined("diloco");
    await stage.nextPush();
    await stage.refuse("UNKNOWN_BASE", filled(0.5), { exchange: 1, version: 40 });
    const push = await stage.nextPush();
    expect(push.header).toMatchObject({ exchange: 2, baseVersion: 40, content: "update", steps: 2 * TAU });
    // The three old steps led 0.875 away; three more lead to 1.
    const from = 0.5 + MOVED;
    expect(vectorIn(push)[0]).toBeCloseTo(MOVED + (1 - from) * MOVED, 6);
  });

  test("[X16] An update of a lost device is not pushed again: the new one begins at the center", async () => {
    const stage = await joined("downpour");
    await stage.nextPush();
    const spare = spareProgram();
    stage.spares.push(spare);
    stage.loseDevice("gone");
    await stage.turn();
    await stage.reconnected();
    await stage.welcome(filled(0.25), { version: 11, lastExchange: 1 });
    await stage.trainTo(1, spare);
    expect(spare.base).toEqual(filled(0.25));
    expect(spare.parameters).toEqual(filled(0.25 + 0.75 / 2));
    expect(vectorIn(await stage.nextPush())).toEqual(filled(0.75 * MOVED));
  });
});

describe("Going back", () => {
  for (const solver of ["ea-wild", "downpour", "diloco", "async-msgd"] as const) {
    test(`[X11] After RESTARTED a replica of ${solver} begins at the center, as often as it takes`, async () => {
      const stage = new ReplicaStage({ solver, momentum: 0.5 });
      await stage.join();
      for (let time = 1; time <= 7; time++) {
        const { header } = await stage.nextPush();
        expect(header.exchange).toBe(time);
        await stage.refuse("RESTARTED", filled(0.5), { exchange: time, version: 40 + time });
      }
      expect(stage.ending).toBeUndefined();
      const push = await stage.nextPush();
      expect(push.header).toMatchObject({ exchange: 8, baseVersion: 47 });
      // The same steps as from nothing, half as long: no velocity is left.
      const fresh = new ReplicaStage({ solver, momentum: 0.5 });
      await fresh.join(filled(0.5));
      expect(vectorIn(push)).toEqual(vectorIn(await fresh.nextPush()));
      expect(REFUSALS.RESTARTED.recovery).toBe("restart");
    });
  }
});

describe("Momentum", () => {
  const places: Record<SolverName, boolean> = {
    "sync-sgd": false,
    "async-sgd": false,
    "async-msgd": false,
    "hogwild-sgd": false,
    downpour: false,
    "original-easgd": false,
    "sync-easgd": false,
    "async-easgd": false,
    "async-measgd": true,
    eamsgd: true,
    "ea-wild": true,
    diloco: true,
    "async-diloco": true,
  };

  for (const solver of solversWhere(({ takesGradients }) => !takesGradients)) {
    test(`Local steps of ${solver} have ${places[solver] ? "the assigned momentum" : "no momentum"}`, async () => {
      const stage = new ReplicaStage({ solver, momentum: 0.5 });
      await stage.join();
      await stage.trainTo(2);
      expect(stage.program.momenta).toEqual(places[solver] ? [0.5, 0.5] : [0, 0]);
    });
  }
});
