/** `drove export`: a run's model and its measurements as files that other programs read. */

import { mkdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Option, type Command } from "commander";
import { EXPORT_FORMATS, type ExportedFile, type ExportFormat } from "../export/formats.ts";
import { FIELDS } from "../run_fields.ts";
import { TRUST_FLAG } from "./coordinator_api.ts";
import { EXIT, EXIT_CODES_HELP, type ExitCode } from "./exit_codes.ts";
import { exportSource, type ExportSource } from "./export_source.ts";
import { TOKEN_FILE_FLAG, TOKEN_FLAG, type TokenOptions } from "./operator_access.ts";
import { JSON_FLAG, megabytes, Output } from "./output.ts";
import { addRunFileFlag } from "./run_file.ts";

interface ExportOptions extends TokenOptions {
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
      const source = await exportSource(run, options);
      const output = new Output(options.json ?? false);
      const written =
        options.format === "all"
          ? await writeAll(source, options, output)
          : [await writeOne(source, options.format, options)];
      output.result(
        { run: source.name, files: written },
        written.map(({ format, path, bytes }) => `${path}: ${source.name} as ${format}, ${sizeOf(bytes)}`),
      );
      done(EXIT.ok);
    });
}

interface Written {
  readonly format: ExportFormat;
  readonly path: string;
  readonly bytes: number;
}

async function writeOne(source: ExportSource, format: ExportFormat, { out }: ExportOptions): Promise<Written> {
  const file = await source.file(format);
  const isFolder = out !== undefined && (await isFolderThere(out));
  const path = out === undefined ? file.fileName : isFolder ? join(out, file.fileName) : out;
  return write(file, format, path);
}

/** What a run has not, as an event log where it is older than they are, is left out. */
async function writeAll(source: ExportSource, { out }: ExportOptions, output: Output): Promise<Written[]> {
  const folder = out ?? `${source.name}-export`;
  await mkdir(folder, { recursive: true });
  const written: Written[] = [];
  for (const format of EXPORT_FORMATS) {
    try {
      const file = await source.file(format);
      written.push(await write(file, format, join(folder, file.fileName)));
    } catch (error) {
      if (!source.isMissing(error)) throw error;
      output.note(`Without ${format}: ${(error as Error).message}`);
    }
  }
  return written;
}

async function write({ parts, byteLength }: ExportedFile, format: ExportFormat, path: string): Promise<Written> {
  await writeFile(path, parts);
  return { format, path, bytes: byteLength };
}

async function isFolderThere(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

function sizeOf(bytes: number): string {
  return bytes < 100_000 ? `${(bytes / 1000).toFixed(1)} kB` : megabytes(bytes);
}
