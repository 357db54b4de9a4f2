/** What an operator may change in which run (SPEC O4). */

import { expect, test } from "vitest";
import { retuneProblem } from "../../coordinator/operator/retune_check.ts";
import { readConfig, solverSettingsOf } from "../../coordinator/run_config.ts";
import { readOperatorRequest, type OperatorChanges } from "../../shared/operator.ts";

function problemOf(flags: Record<string, unknown>, changes: OperatorChanges, replicas = 4): string | undefined {
  const config = readConfig({ flags });
  return retuneProblem(changes, { config, solver: solverSettingsOf(config), replicas });
}

test("[O4] What the solver has not is refused by name, with what has it", () => {
  expect(problemOf({ solver: "async-easgd" }, { momentum: 0.5 })).toBe(
    '"momentum" is 0.5, but the solver async-easgd has no momentum; leave it out, or use async-measgd.',
  );
  expect(problemOf({ solver: "async-msgd" }, { communicationPeriod: 2 })).toMatch(
    /^"communicationPeriod" is 2, but the solver async-msgd pushes every gradient; accepted is 1\.$/,
  );
  expect(problemOf({ solver: "downpour" }, { movingRate: 0.1 })).toMatch(/"movingRate" is of elastic solvers/);
  expect(problemOf({ solver: "eamsgd" }, { momentum: 0 })).toMatch(/optimizer.*the momentum is 0/);
});

test("[O4] What would change nothing is refused", () => {
  expect(problemOf({}, {})).toMatch(/changes nothing/);
  expect(problemOf({ movingRate: 0.2 }, { elasticRate: 1 })).toMatch(/no effect beside the fixed movingRate 0.2/);
  expect(problemOf({ movingRate: 0.2 }, { elasticRate: 1, movingRate: null })).toBeUndefined();
});

test("[O4] What the autotuner chooses is not the operator's to set, and everything else is", () => {
  const flags = { solver: "async-msgd", autotune: true };
  expect(problemOf(flags, { learningRate: 0.1 })).toMatch(/is the autotuner's to choose/);
  expect(problemOf(flags, { momentum: 0.1 })).toMatch(/is the autotuner's to choose/);
  expect(problemOf(flags, { staleness: { kind: "bound", limit: 3 } })).toBeUndefined();
});

test("[O4] What no loss makes stable is refused with its bound, and is accepted below it", () => {
  const flags = { solver: "sync-easgd" };
  const problem = problemOf(flags, { movingRate: 0.9 }, 8);
  expect(problem).toMatch(
    /^"movingRate" is 0.9, which is unstable with 8 replicas and the solver sync-easgd for any model: the bound is 0\.\d+\.$/,
  );
  const [, bound = ""] = /bound is ([0-9.]+)\.$/.exec(problem ?? "") ?? [];
  expect(problemOf(flags, { movingRate: 0.95 * Number(bound) }, 8)).toBeUndefined();
  // Another setting is to blame, and is not made worse.
  expect(problemOf({ ...flags, movingRate: 0.9 }, { learningRate: 0.01 }, 8)).toBeUndefined();
});

test("A thousand replicas are judged as sixty-four, so that no order holds the run up", () => {
  const [few, many] = [64, 1000].map((replicas) => problemOf({ solver: "sync-easgd" }, { movingRate: 0.9 }, replicas));
  expect(few).toMatch(/movingRate/);
  expect(many).toBe(few);
});

test("A request that is none is refused with its field", () => {
  for (const [value, field] of [
    [null, ""],
    [{ kind: "kick" }, "replica"],
    [{ kind: "drain", replica: 7 }, "replica"],
    [{ kind: "pause", also: 1 }, "also"],
    [JSON.parse('{"kind":"retune","changes":{"__proto__":{"x":1},"momentum":2}}') as unknown, "changes"],
  ] as const) {
    const read = readOperatorRequest(value);
    expect("problem" in read ? read.problem : "").toContain(`"${field}`);
  }
  expect(({} as Record<string, unknown>)["x"]).toBeUndefined();
});
