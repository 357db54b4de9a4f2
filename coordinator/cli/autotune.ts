/** `drove autotune`: chooses compute groups, momentum and learning rate of a simulated scenario as it trains. */

import type { Command } from "commander";
import { EXIT, EXIT_CODES_HELP, type ExitCode } from "./exit_codes.ts";
import { JSON_FLAG, Output, percent } from "./output.ts";
import { dataRoot } from "./places.ts";
import { addScenarioFlags, scenarioSourcesOf, type ScenarioOptions } from "./scenario_flags.ts";

type AutotuneOptions = ScenarioOptions & { readonly json?: boolean };

export function addAutotune(program: Command, done: (exitCode: ExitCode) => void): void {
  const autotune = program
    .command("autotune")
    .description("chooses groups, momentum and learning rate of a simulated scenario as it trains, and says why");
  addScenarioFlags(autotune, ["solver", "groups", "momentum", "gradients"]);
  autotune
    .option(...JSON_FLAG)
    .addHelpText(
      "after",
      `\nThe solver is async-msgd. For real runs: drove train --autotune.\n\nExample:\n  drove autotune --replicas 8 --latency-seconds 0.1 --step-times lognormal:0.5 --target-accuracy 0.95\n${EXIT_CODES_HELP}`,
    )
    .action(async (options: AutotuneOptions) => done(await run(options)));
}

async function run(options: AutotuneOptions): Promise<ExitCode> {
  const output = new Output(options.json ?? false);
  // Loaded only now: other commands start sooner without it.
  const { readScenario } = await import("../simulate/scenario.ts");
  const { Simulator } = await import("../simulate/simulator.ts");
  const { tuneScenario } = await import("../autotune/tune_scenario.ts");
  const { flags, file } = await scenarioSourcesOf(options);
  const scenario = readScenario({ ...(file ? { file } : {}), flags: { ...flags, solver: "async-msgd" } });
  const root = dataRoot(options.runsFolder);
  const tuned = await tuneScenario(new Simulator({ dataRoot: root }), scenario, {
    dataRoot: root,
    onDecision: ({ seconds, phase, reason }) => output.note(`${seconds.toPrecision(3)} s, ${phase}: ${reason}.`),
  });
  const { chosen, lostSeconds, report } = tuned;
  output.result(tuned, [
    `chosen: groups ${chosen.groups}, momentum ${chosen.momentum}, learning rate ${chosen.learningRate.toPrecision(3)}`,
    `virtual time: ${report.virtualSeconds.toPrecision(3)} s, of which trials that were thrown away took ${percent(lostSeconds / report.virtualSeconds)}`,
    ...(report.accuracy === null ? [] : [`accuracy: ${percent(report.accuracy)}`]),
  ]);
  const { targetAccuracy } = scenario;
  return targetAccuracy === null || report.endedBy === "targetAccuracy" ? EXIT.ok : EXIT.failed;
}
