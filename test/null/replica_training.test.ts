/** Real replicas, the real WASM engine and the real center learn MNIST together, over links that break. */

import { afterEach, expect, test } from "vitest";
import type { RunSettings } from "../../shared/run_settings.ts";
import { LiveRun } from "../support/live_replicas.ts";

let open: LiveRun[] = [];

afterEach(async () => {
  const closing = open;
  open = [];
  await Promise.all(closing.map((each) => each.close()));
});

async function live(settings: Partial<RunSettings>): Promise<LiveRun> {
  const created = await LiveRun.create(settings);
  open.push(created);
  return created;
}

/** In a barrier, who joins or returns while a round is closing has a gradient of the round before: TOO_STALE. */
const CASES: readonly (readonly [name: string, settings: Partial<RunSettings>, versions: number, refusals?: number])[] =
  [
    ["ea-wild", { solver: "ea-wild", momentum: 0.9, learningRate: 0.01 }, 120],
    ["async-easgd", { solver: "async-easgd" }, 120],
    ["async-easgd in two round trips", { solver: "async-easgd", exchange: "two-round-trip" }, 120],
    ["async-measgd", { solver: "async-measgd", momentum: 0.9, learningRate: 0.01 }, 120],
    ["sync-sgd", { solver: "sync-sgd", momentum: 0.9, learningRate: 0.02 }, 200, 2],
  ];

for (const [name, settings, versions, refusals = 0] of CASES) {
  test(`Two replicas bring the center from nothing to 80 % with ${name}`, async () => {
    const run = await live(settings);
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

for (const solver of ["ea-wild", "sync-sgd"] as const) {
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
    expect(Object.keys(view.refusals)).toEqual(solver === "ea-wild" ? [] : ["TOO_STALE"]);
    expect(view.replicas).toHaveLength(2);
    for (const [index, { progress }] of replicas.entries()) {
      const { exchanges, applied, refused } = progress();
      // All but the last one, which the end may have caught in flight.
      expect(exchanges - applied - refused).toBeLessThanOrEqual(1);
      expect(view.replicas[index]!.applied - applied).toBeLessThanOrEqual(1);
    }
  });
}
