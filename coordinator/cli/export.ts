/** `drove export`: a run's model and its measurements as files that other programs read. What it does is in `export_run.ts`. */

import { Option, type Command } from "commander";
import { EXPORT_FORMATS, type ExportFormat } from "../export/formats.ts";
import { FIELDS } from "../run_fields.ts";
import { TRUST_FLAG } from "./coordinator_api.ts";
import { EXIT, EXIT_CODES_HELP, type ExitCode } from "./exit_codes.ts";
import { TOKEN_FILE_FLAG, TOKEN_FLAG, type TokenOptions } from "./operator_access.ts";
import { JSON_FLAG } from "./output.ts";
import { addRunFileFlag } from "./run_file.ts";

export interface ExportOptions extends TokenOptions {
  readonly format: ExportFormat | "all";
  readonly out?: string;
  readonly config?: string;
  readonly runsFolder?: string;
  readonly trust?: string;
  readonly json?: boolean;
}

const EXPLANATION = `
Formats:
  safetensors   the parameters by name, with layers and normalisation in the metadata
  onnx          the whole model, raw pixels in, logits and probabilities out
  card          a model card, README.md: data, settings, accuracy, who trained, staleness, how to load the files
  metrics       JSON lines: one for each evaluation and each second
  tensorboard   an event file for TensorBoard
  events        the run's event log as it is
  all           all of them, in a folder

Example:
  drove export --format onnx
  drove export lenet-mnist-ea-wild-1 --format all --out lenet
  drove export 'http://127.0.0.1:8080/operator#token=…' --format safetensors
`;

export function addExport(program: Command, done: (exitCode: ExitCode) => void): void {
  const command = program
    .command("export")
    .description(
      "writes a run's model or measurements for other programs: safetensors, ONNX, a model card, TensorBoard",
    )
    .argument("[RUN]", "a run's name, or the operator's link of one that goes on (default: the newest run)")
    .addOption(
      new Option("--format <FORMAT>", "what to write; see below")
        .choices([...EXPORT_FORMATS, "all"])
        .default("safetensors"),
    )
    .option("--out <FILE>", "where to, with all a folder (default: a name after the run, in the current folder)")
    .option("--runs-folder <FOLDER>", `where runs are kept (default: ${FIELDS.runsFolder.initial})`)
    .option(...TOKEN_FLAG)
    .option(...TOKEN_FILE_FLAG)
    .option(...TRUST_FLAG);
  addRunFileFlag(command)
    .option(...JSON_FLAG)
    .addHelpText("after", `${EXPLANATION}${EXIT_CODES_HELP}`)
    .action(async (run: string | undefined, options: ExportOptions) => {
      // Loaded only now: no other command needs what makes the files.
      const { exportRun } = await import("./export_run.ts");
      await exportRun(run, options);
      done(EXIT.ok);
    });
}
