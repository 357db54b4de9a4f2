/** Real replicas, the real WASM engine and the real center learn MNIST together, over links that break. */

import { afterEach, expect, test } from "vitest";
import type { RunSettings } from "../../shared/run_settings.ts";
import type { SolverSettings } from "../../shared/solver/settings.ts";
import { LiveRun } from "../support/live_replicas.ts";

let open: LiveRun[] = [];

afterEach(async () => {
  const closing = open;
  open = [];
  await Promise.all(closing.map((each) => each.close()));
});

async function live(settings: Partial<RunSettings>, solver?: Partial<SolverSettings>): Promise<LiveRun> {
  const created = await LiveRun.create(settings, solver);
  open.push(created);
  return created;
}

interface Case {
  /** What is special about it besides the solver. */
  readonly how?: string;
  readonly settings: Partial<RunSettings> & Pick<RunSettings, "solver">;
  readonly solver?: Partial<SolverSettings>;
  readonly versions: number;
  /** In a barrier, who joins or returns while a round is closing has a push of the round before: TOO_STALE. */
  readonly refusals?: number;
}

const CASES: readonly Case[] = [
  { settings: { solver: "sync-sgd", momentum: 0.9, learningRate: 0.02 }, versions: 200, refusals: 2 },
  { settings: { solver: "async-sgd", learningRate: 0.1 }, versions: 300 },
  { settings: { solver: "async-msgd", momentum: 0.5, learningRate: 0.04 }, versions: 300 },
  { settings: { solver: "hogwild-sgd", learningRate: 0.1 }, versions: 300 },
  { settings: { solver: "downpour" }, versions: 60 },
  { settings: { solver: "original-easgd" }, versions: 120 },
  { settings: { solver: "sync-easgd" }, versions: 60, refusals: 2 },
  { settings: { solver: "async-easgd" }, versions: 120 },
  { how: " in two round trips", settings: { solver: "async-easgd", exchange: "two-round-trip" }, versions: 120 },
  { settings: { solver: "async-measgd", momentum: 0.9, learningRate: 0.01 }, versions: 120 },
  {
    settings: { solver: "eamsgd", momentum: 0.9, learningRate: 0.01, optimizer: { kind: "nesterov" } },
    versions: 120,
  },
  { settings: { solver: "ea-wild", momentum: 0.9, learningRate: 0.01 }, versions: 120 },
  { settings: { solver: "diloco" }, solver: { outerLearningRate: 0.7, outerMomentum: 0.5 }, versions: 40, refusals: 2 },
  { settings: { solver: "async-diloco" }, solver: { outerLearningRate: 0.7, outerMomentum: 0.5 }, versions: 80 },
  {
    how: " in one compute group, by shares of the batch",
    settings: { solver: "async-msgd", momentum: 0.5, learningRate: 0.04, batchParts: 10 },
    solver: { groups: 1 },
    versions: 150,
    refusals: 2,
  },
];

for (const { how = "", settings, solver, versions, refusals = 0 } of CASES) {
  test(`Two replicas bring the center from nothing to 80 % with ${settings.solver}${how}`, async () => {
    const run = await live(settings, solver);
    expect(await run.accuracy()).toBeLessThan(0.4);
    const replicas = [await run.join(1), await run.join(2)];
    await run.until(versions);
    for (const { replica } of replicas) replica.stop();
    expect(await Promise.all(replicas.map(({ ended }) => ended))).toEqual([{ kind: "stopped" }, { kind: "stopped" }]);
    expect(await run.accuracy()).toBeGreaterThan(0.8);
    for (const { progress } of replicas) {
      expect(progress().refused).toBeLessThanOrEqual(refusals);
      expect(progress().applied).toBeGreaterThan(10);
    }
  });
}

const LOST_CONNECTIONS = [
  { solver: "ea-wild", refusals: [] },
  { solver: "sync-sgd", refusals: ["TOO_STALE"] },
  { solver: "downpour", refusals: [] },
  { solver: "original-easgd", refusals: [] },
  { solver: "diloco", refusals: ["TOO_STALE"] },
] as const;

for (const { solver, refusals } of LOST_CONNECTIONS) {
  test(`[H5] [X12] Replicas of ${solver} that lose every connection four times lose no exchange and learn all the same`, async () => {
    const run = await live({ solver, communicationPeriod: 2 });
    const replicas = [await run.join(3), await run.join(4)];
    for (let time = 1; time <= 4; time++) {
      await run.until(20 * time);
      run.cut();
    }
    await run.until(200);
    run.run.finish("stopped", "The test is over.");
    const endings = await Promise.all(replicas.map(({ ended }) => ended));
    expect(endings.map(({ kind }) => kind)).toEqual(["finished", "finished"]);
    expect(await run.accuracy()).toBeGreaterThan(0.75);
    const view = run.run.view();
    for (const code of Object.keys(view.refusals)) expect(refusals).toContain(code);
    expect(view.replicas).toHaveLength(2);
    for (const [index, { progress }] of replicas.entries()) {
      const { exchanges, applied, refused } = progress();
      // All but the last one, which the end may have caught in flight.
      expect(exchanges - applied - refused).toBeLessThanOrEqual(1);
      expect(view.replicas[index]!.applied - applied).toBeLessThanOrEqual(1);
    }
  });
}
