/** `drove train`: a coordinator with volunteers of its own, until the target is reached. */

import type { Command } from "commander";
import { addConfigFlags } from "./config_flags.ts";
import { EXIT_CODES_HELP, type ExitCode } from "./exit_codes.ts";
import { JSON_FLAG } from "./output.ts";
import type { RunOptions } from "./run_coordinator.ts";

const DEFAULTS = { volunteers: 2, targetAccuracy: 0.98 } as const;

export function addTrain(program: Command, done: (exitCode: ExitCode) => void): void {
  const train = program
    .command("train")
    .description("opens a run, starts headless volunteers on this machine, and ends at the target");
  addConfigFlags(train, DEFAULTS);
  train
    .option("--node", "local volunteers without a browser: in Node, on this machine's GPU or on WASM")
    .option("--resume", "go on with the run of this --name from its last checkpoint")
    .option(...JSON_FLAG)
    .addHelpText(
      "after",
      `\nExample:\n  drove train --model lenet --data mnist --solver ea-wild --target-accuracy 0.98 --volunteers 2\n${EXIT_CODES_HELP}`,
    )
    .action(async (options: RunOptions) => {
      // Loaded only now: other commands start in half the time without it.
      const { runCoordinator } = await import("./run_coordinator.ts");
      done(await runCoordinator(options, DEFAULTS));
    });
}
