/** `drove simulate`: a scenario in virtual time, with real gradients on real data, on this machine alone. */

import type { Command } from "commander";
import type { SimulationReport } from "../simulate/report.ts";
import type { CompleteScenario } from "../simulate/scenario.ts";
import type { SimulatedRun } from "../simulate/simulated_run.ts";
import { progressBar } from "./count_progress.ts";
import { EXIT, EXIT_CODES_HELP, type ExitCode } from "./exit_codes.ts";
import { JSON_FLAG, Output, percent, tableLines, thousands } from "./output.ts";
import { dataRoot } from "./places.ts";
import { addScenarioFlags, scenarioSourcesOf, type ScenarioOptions } from "./scenario_flags.ts";

type SimulateOptions = ScenarioOptions & { readonly json?: boolean };

/** Of replicas and of points of the curve: what fits on a screen. */
const LINES_SHOWN = 12;

export function addSimulate(program: Command, done: (exitCode: ExitCode) => void): void {
  const simulate = program
    .command("simulate")
    .description("simulates replicas with speeds, links and churn in virtual time, with real gradients");
  addScenarioFlags(simulate);
  simulate
    .option(...JSON_FLAG)
    .addHelpText(
      "after",
      `\nExample:\n  drove simulate --solver ea-wild --replicas 8 --step-times exponential --slowness 1,1,1,1,1,1,1,10\n  drove simulate --replicas 10000 --gradients no --step-times lognormal:1 --communication-period 10\n${EXIT_CODES_HELP}`,
    )
    .action(async (options: SimulateOptions) => done(await run(options)));
}

async function run(options: SimulateOptions): Promise<ExitCode> {
  const output = new Output(options.json ?? false);
  // Loaded only now: other commands start sooner without it.
  const { readScenario } = await import("../simulate/scenario.ts");
  const { Simulator } = await import("../simulate/simulator.ts");
  const scenario = readScenario(await scenarioSourcesOf(options));
  const simulator = new Simulator({ dataRoot: dataRoot(options.runsFolder) });
  const progress = startProgress(scenario);
  try {
    const report = await simulator.simulate(scenario, { onProgress: (running) => progress.update(running) });
    progress.stop();
    output.result(report, describe(report));
    const { targetAccuracy } = scenario;
    return targetAccuracy === null || report.endedBy === "targetAccuracy" ? EXIT.ok : EXIT.failed;
  } finally {
    progress.stop();
  }
}

interface SimulationProgress {
  update(run: SimulatedRun): void;
  stop(): void;
}

/** A bar on a terminal; elsewhere nothing, for a simulation is over soon. */
function startProgress(scenario: CompleteScenario): SimulationProgress {
  if (!process.stderr.isTTY) return { update: () => {}, stop: () => {} };
  const bar = progressBar();
  bar.start(1000, 0, { text: "reading data" });
  return {
    update: (running) => bar.update(Math.round(1000 * running.shareDone), { text: progressText(running, scenario) }),
    stop: () => bar.stop(),
  };
}

function progressText(running: SimulatedRun, { replicas }: CompleteScenario): string {
  const { nowSeconds, samples, lastPoint } = running;
  const accuracy = lastPoint ? ` | accuracy ${percent(lastPoint.accuracy)}` : "";
  const there = running.replicas < replicas ? ` | ${running.replicas} of ${replicas} replicas` : "";
  return `${seconds(nowSeconds)} virtual | ${thousands(samples)} samples${accuracy}${there}`;
}

function describe(report: SimulationReport): string[] {
  const { scenario, staleness, lock, curve, targets, refused, memory } = report;
  const { solver, model, data, replicas } = scenario;
  const waited = report.replicas.reduce((sum, replica) => sum + replica.waitedSeconds, 0);
  const refusals = refused.tooStale + refused.notFinite + refused.outOfBounds;
  return [
    `${solver}, ${replicas} virtual replicas, ${typeof model === "string" ? model : model.name} on ${data}: ${ENDINGS[report.endedBy ?? "nobody"]}`,
    "",
    ...table([
      ["virtual time", seconds(report.virtualSeconds), `simulated in ${seconds(report.wallSeconds)}`],
      ["local steps", thousands(report.localSteps), `${thousands(report.lostSteps)} lost with replicas that left`],
      ["samples", thousands(report.samples), `${thousands(report.samples / report.virtualSeconds)} per virtual second`],
      [
        "center steps",
        thousands(report.centerSteps),
        `${thousands(report.exchanges)} exchanges, ${thousands(refusals)} refused`,
      ],
      ["bytes", `${megabytes(report.bytesUp)} up`, `${megabytes(report.bytesDown)} down`],
      [
        "staleness",
        `mean ${staleness.mean.toFixed(2)}`,
        `median ${staleness.p50}, 99th percentile ${staleness.p99}, maximum ${staleness.max}`,
      ],
      ["lock", `in use ${percent(lock.utilisation)}`, `waited for ${seconds(lock.waitedSeconds)} in all`],
      ["replicas", `waited ${seconds(waited / replicas)}`, "for answers, on average"],
      ["memory", `${megabytes(memory.bytesPerReplica)} per replica`, `${megabytes(memory.sharedBytes)} shared`],
    ]),
    ...replicaLines(report),
    ...(curve.length === 0
      ? []
      : ["", ...table([["virtual time", "samples", "accuracy", "loss"], ...curveRows(report)])]),
    ...targets.map(({ accuracy, virtualSeconds }) =>
      virtualSeconds === null
        ? `${percent(accuracy)} was not reached.`
        : `${percent(accuracy)} was reached after ${seconds(virtualSeconds)}.`,
    ),
  ];
}

const ENDINGS: Readonly<Record<NonNullable<SimulationReport["endedBy"]>, string>> = {
  virtualSeconds: "the time is over.",
  steps: "the local steps are done.",
  centerSteps: "the center has the version asked for.",
  samples: "the samples are done.",
  targetAccuracy: "the target is reached.",
  diverged: "training diverged.",
  nobody: "nobody is left, and nobody comes.",
};

function replicaLines({ replicas }: SimulationReport): string[] {
  if (replicas.length > LINES_SHOWN) return [];
  return [
    "",
    ...table([
      ["replica", "steps", "exchanges", "busy", "waited"],
      ...replicas.map(({ steps, exchanges, busyShare, waitedSeconds }, index) => [
        String(index),
        thousands(steps),
        thousands(exchanges),
        percent(busyShare),
        seconds(waitedSeconds),
      ]),
    ]),
  ];
}

function curveRows({ curve }: SimulationReport): string[][] {
  const stride = Math.ceil(curve.length / LINES_SHOWN);
  return curve
    .filter((_, index) => index % stride === 0 || index === curve.length - 1)
    .map(({ virtualSeconds, samples, accuracy, loss }) => [
      seconds(virtualSeconds),
      thousands(samples),
      percent(accuracy),
      loss.toFixed(4),
    ]);
}

function table(rows: readonly (readonly string[])[]): string[] {
  return tableLines(rows).map((line) => `  ${line}`);
}

function seconds(amount: number): string {
  return `${amount < 100 ? amount.toPrecision(3) : thousands(amount)} s`;
}

function megabytes(bytes: number): string {
  return bytes < 1e5 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
