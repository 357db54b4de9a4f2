/** `drove serve`: a coordinator for volunteers who come by themselves. */

import type { Command } from "commander";
import { addConfigFlags } from "./config_flags.ts";
import { EXIT_CODES_HELP, type ExitCode } from "./exit_codes.ts";
import { JSON_FLAG } from "./output.ts";
import type { RunOptions } from "./run_coordinator.ts";

export function addServe(program: Command, done: (exitCode: ExitCode) => void): void {
  const serve = program
    .command("serve")
    .description("opens a run to volunteers, until Ctrl-C, --target-accuracy or --max-minutes");
  addConfigFlags(serve);
  serve
    .option("--resume", "go on with the run of this --name from its last checkpoint")
    .option(...JSON_FLAG)
    .addHelpText(
      "after",
      `\nExample:\n  drove serve --model lenet --data mnist --host 0.0.0.0 --tls-self-signed\n${EXIT_CODES_HELP}`,
    )
    .action(async (options: RunOptions) => {
      // Loaded only now: other commands start in half the time without it.
      const { runCoordinator } = await import("./run_coordinator.ts");
      done(await runCoordinator(options, {}));
    });
}
