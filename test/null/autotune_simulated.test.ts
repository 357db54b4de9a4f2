/** The optimizer over simulated runs: virtual time, real gradients on real MNIST, and the command that does it. */

import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { tuneScenario, type TunedScenario } from "../../coordinator/autotune/tune_scenario.ts";
import { SMALL } from "../../coordinator/reproduce/omnivore/setting.ts";
import { completeScenario, type Scenario } from "../../coordinator/simulate/scenario.ts";
import { Simulator } from "../../coordinator/simulate/simulator.ts";

const CLI = fileURLToPath(new URL("../../coordinator/cli/drove.ts", import.meta.url));
const DATA_ROOT = join(tmpdir(), "drove-no-imports");

/** 6,634 parameters; eight devices whose exchanges take as long as their computing. */
const SCENARIO: Scenario = {
  solver: "async-msgd",
  model: SMALL,
  batch: 64,
  replicas: 8,
  stepSeconds: 0.2,
  latencySeconds: 0.1,
  stepTimes: { kind: "lognormal", sigma: 0.5 },
  applySeconds: 0.005,
  learningRate: 0.1,
  targetAccuracy: 0.9,
  samples: 400_000,
};

const simulator = new Simulator({ dataRoot: DATA_ROOT });

function tuned(changes: Scenario = {}): Promise<TunedScenario> {
  return tuneScenario(simulator, completeScenario({ ...SCENARIO, ...changes }), { dataRoot: DATA_ROOT });
}

test("A simulated run is tuned to its target, and the same seed decides the same", async () => {
  const first = await tuned();
  expect(first.report.endedBy).toBe("targetAccuracy");
  expect(first.decisions.map(({ phase }) => phase)).toContain("groups");
  expect(first.lostSeconds).toBeLessThan(first.report.virtualSeconds);
  const second = await tuned();
  expect(second.decisions).toEqual(first.decisions);
  expect(second.report.virtualSeconds).toBe(first.report.virtualSeconds);
});

test("Replicas that leave for good leave fewer groups, and the target is reached without them", async () => {
  const spans = [3, 4, 5, 6, 7].map((replica) => ({ replica, joinSeconds: 0, leaveSeconds: 50 }));
  const { decisions, report } = await tuned({ churn: { kind: "times", spans }, targetAccuracy: 0.93 });
  expect(report.endedBy).toBe("targetAccuracy");
  const followed = decisions.find(({ phase }) => phase === "replicas");
  expect(followed?.groups).toBeLessThanOrEqual(3);
  expect(followed?.reason).toMatch(/^3 replicas instead of 8/);
});

test("Other solvers, and runs without gradients, are refused in a sentence", async () => {
  await expect(tuned({ solver: "ea-wild" })).rejects.toThrow(/"ea-wild".*async-msgd/);
  await expect(tuned({ gradients: false, targetAccuracy: null })).rejects.toThrow(/without gradients/);
});

test("drove autotune ends with what it chose, and why, as JSON", async () => {
  const folder = await mkdtemp(join(tmpdir(), "drove-autotune-"));
  const file = join(folder, "scenario.json");
  const { solver: _solver, ...scenario } = SCENARIO;
  await writeFile(file, JSON.stringify({ ...scenario, targetAccuracy: 0.9 }));
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [CLI, "autotune", "--config", file, "--json"]);
  await rm(folder, { recursive: true });
  const result = JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "") as TunedScenario;
  expect(result.report.endedBy).toBe("targetAccuracy");
  expect(result.chosen.groups).toBeGreaterThanOrEqual(1);
  expect(result.decisions.length).toBeGreaterThan(0);
  expect(stderr).toMatch(/groups: \d groups?: .* per update/);
});
