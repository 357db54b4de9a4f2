/** `drove eval`: how good a run's center, or an exported model, is on a test set. What it does is in `eval_model.ts`. */

import type { Command } from "commander";
import { FIELDS } from "../run_fields.ts";
import { EXIT, EXIT_CODES_HELP, type ExitCode } from "./exit_codes.ts";
import { JSON_FLAG } from "./output.ts";
import { addRunFileFlag } from "./run_file.ts";

export interface EvalOptions {
  readonly data?: string;
  readonly config?: string;
  readonly runsFolder?: string;
  readonly json?: boolean;
}

export function addEval(program: Command, done: (exitCode: ExitCode) => void): void {
  const command = program
    .command("eval")
    .description("evaluates a run's model, or an exported one: accuracy, loss, and what it takes for what")
    .argument(
      "[MODEL]",
      "a run's name, or a file that `drove export --format safetensors` wrote (default: the newest run)",
    )
    .option("--data <NAME>", "on whose test set (default: the one of the data that it was trained on)")
    .option("--runs-folder <FOLDER>", `where runs and imported data are kept (default: ${FIELDS.runsFolder.initial})`);
  addRunFileFlag(command)
    .option(...JSON_FLAG)
    .addHelpText(
      "after",
      `\nExample:\n  drove eval\n  drove eval lenet-mnist-ea-wild-1\n  drove eval lenet.safetensors --data mnist --json\n${EXIT_CODES_HELP}`,
    )
    .action(async (model: string | undefined, options: EvalOptions) => {
      // Loaded only now: no other command needs the engine.
      const { evaluateModel } = await import("./eval_model.ts");
      await evaluateModel(model, options);
      done(EXIT.ok);
    });
}
