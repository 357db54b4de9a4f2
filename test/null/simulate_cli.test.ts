/** `drove simulate` as a command, and what a scenario may say. */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { SimulationReport } from "../../coordinator/simulate/report.ts";
import { completeScenario, readScenario } from "../../coordinator/simulate/scenario.ts";
import { runDrove, type Ended } from "../support/drove_command.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "drove-simulate-"));
});
afterAll(() => rm(folder, { recursive: true }));

function simulate(...args: string[]): Promise<Ended> {
  return runDrove(folder, ["simulate", ...args]);
}

describe.concurrent("drove simulate", () => {
  test("trains in virtual time and shows what it found, on stdout", async () => {
    const { exitCode, stdout, stderr } = await simulate("--samples", "8000", "--targets", "0.5,0.999", "--batch", "32");
    expect([exitCode, stderr]).toEqual([0, ""]);
    expect(stdout).toContain("ea-wild, 4 virtual replicas, mlp on mnist: the samples are done.");
    expect(stdout).toMatch(/50\.00 % was reached after 0\.\d+ s\./);
    expect(stdout).toContain("99.90 % was not reached.");
    expect(stdout).toMatch(/memory +3\.\d MB per replica/);
  });

  test("takes a scenario from a file, flags win, and --json ends with one object", async () => {
    const file = join(folder, "scenario.json");
    await writeFile(file, JSON.stringify({ solver: "sync-sgd", replicas: 3, gradients: false, virtualSeconds: 1 }));
    const { exitCode, stdout, stderr } = await simulate("--config", file, "--replicas", "5", "--json");
    expect(exitCode).toBe(0);
    const report = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as SimulationReport;
    expect(report.scenario).toMatchObject({ solver: "sync-sgd", replicas: 5 });
    expect(report).toMatchObject({ endedBy: "virtualSeconds", virtualSeconds: 1, accuracy: null });
    expect(stderr).toContain("sync-sgd, 5 virtual replicas");
  });

  test("misses a target with 1, and names what is wrong with 2", async () => {
    const missed = await simulate("--target-accuracy", "0.99", "--samples", "500", "--batch", "16");
    expect(missed.exitCode).toBe(1);
    const wrong = await simulate("--step-times", "gamma:2");
    expect(wrong.exitCode).toBe(2);
    expect(wrong.stderr).toContain('--step-times is "gamma:2"; accepted is "fixed", "exponential"');
  });
});

describe("A scenario", () => {
  test("has a default for everything, and what the solver fixes", () => {
    expect(completeScenario({})).toMatchObject({
      solver: "ea-wild",
      momentum: 0.9,
      communicationPeriod: 10,
      samples: 120_000,
    });
    expect(completeScenario({ solver: "async-sgd" })).toMatchObject({ momentum: 0, communicationPeriod: 1 });
    expect(completeScenario({ solver: "eamsgd" }).optimizer).toBe("nesterov");
    expect(completeScenario({ steps: 5, evaluateEverySeconds: 1 })).toMatchObject({
      samples: null,
      evaluateEverySamples: null,
    });
  });

  test("is read from text as from JSON", () => {
    const flags = {
      stepTimes: "lognormal:0.5",
      slowness: "1,1,10",
      stepSeconds: "0.1,0.2,0.3,0.4",
      churn: "60:10",
      gradients: "no",
      overlap: "no",
      staleness: "bound:8",
      targets: "0.9,0.95",
    };
    expect(readScenario({ flags })).toMatchObject({
      stepTimes: { kind: "lognormal", sigma: 0.5 },
      slowness: [1, 1, 10],
      stepSeconds: [0.1, 0.2, 0.3, 0.4],
      churn: { kind: "rates", meanLifetimeSeconds: 60, meanAbsenceSeconds: 10 },
      gradients: false,
      overlap: false,
      staleness: { kind: "bound", limit: 8 },
      targets: [0.9, 0.95],
    });
    expect(readScenario({ flags: { stepTimes: "trace:0.1,0.3" } }).stepTimes).toEqual({
      kind: "trace",
      seconds: [0.1, 0.3],
    });
  });

  const WRONG: [object, string][] = [
    [{ replica: 4 }, 'the scenario has the field "replica", which no scenario has; accepted are solver, '],
    [{ replicas: 0 }, 'the scenario: "replicas" is 0; accepted is a whole number from 1 to 100000.'],
    [{ stepSeconds: -1 }, 'the scenario: "stepSeconds" is -1; accepted is seconds above 0'],
    [{ stepSeconds: [1, 2] }, 'the scenario: "stepSeconds" has 2 numbers, but there are 4 replicas'],
    [
      { solver: "async-sgd", communicationPeriod: 3 },
      '"communicationPeriod" is 3, but the solver async-sgd pushes every gradient',
    ],
    [{ solver: "async-easgd", momentum: 0.9 }, '"momentum" is 0.9, but the solver async-easgd has no momentum'],
    [
      { solver: "sync-sgd", overlap: true },
      '"overlap" is true, but the solver sync-sgd takes its gradients at the center',
    ],
    [
      { solver: "sync-easgd", exchange: "two-round-trip" },
      '"exchange" is "two-round-trip", but only elastic solvers in which',
    ],
    [{ solver: "original-easgd", groups: 2 }, '"groups" is 2, but the solver original-easgd has none'],
    [{ topology: "ring" }, '"topology" is "ring"; accepted is "parallel", "serial" or "tree".'],
    [{ churn: { kind: "rates", meanLifetimeSeconds: 0, meanAbsenceSeconds: 1 } }, '"churn" is {"kind":"rates"'],
  ];
  test.each(WRONG)("%j is refused with field, value and what is accepted", (scenario, sentence) => {
    expect(() => completeScenario(scenario)).toThrow(sentence);
  });
});
