/** `drove new`: writes a run file, with the schema that editors complete it by, and on request a model file to begin from. */

import { access, mkdir, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { Option, type Command } from "commander";
import { misfitOf } from "../data/dataset.ts";
import { DataError } from "../data/idx.ts";
import { describeDataset, isBuiltIn } from "../data/library.ts";
import { MODEL_SCHEMA_FILE, modelFileSchema, RUN_SCHEMA_FILE, runFileSchema } from "../file_schemas.ts";
import { isModelPath } from "../model_file.ts";
import { ConfigError, modelOf, readConfig, type RunConfig } from "../run_config.ts";
import { FIELDS, isFieldName, type FieldName } from "../run_fields.ts";
import { modelToBeginFrom, TEMPLATE_NAMES, TEMPLATES, type TemplateName } from "../run_templates.ts";
import { addFieldFlags, flagsFrom, withModel, type ConfigOptions } from "./config_flags.ts";
import { EXIT, EXIT_CODES_HELP, type ExitCode } from "./exit_codes.ts";
import { JSON_FLAG, Output } from "./output.ts";
import { dataRoot } from "./places.ts";
import { RUN_FILE } from "./run_file.ts";

type NewOptions = ConfigOptions & {
  readonly template: TemplateName;
  readonly all?: boolean;
  readonly force?: boolean;
  readonly json?: boolean;
};

type Fields = Partial<Record<FieldName, unknown>>;

const MODEL_FILE = "drove.model.json";

export function addNew(program: Command, done: (exitCode: ExitCode) => void): void {
  const command = program
    .command("new")
    .description(
      "writes a run file, which serve, train and the others read, and a JSON Schema by which editors complete it",
    )
    .argument("[FILE]", "where to", RUN_FILE)
    .addOption(
      new Option("--template <NAME>", "settings to begin with; see below").choices(TEMPLATE_NAMES).default("plain"),
    )
    .option("--all", "write every field with its value, not only those that were asked for")
    .option("--force", "write over files that are there");
  addFieldFlags(command);
  command
    .option(...JSON_FLAG)
    .addHelpText(
      "after",
      `\nTemplates:\n${TEMPLATE_NAMES.map((name) => `  ${name.padEnd(10)} ${TEMPLATES[name].purpose}`).join("\n")}\n\n` +
        "Example:\n  drove new --model lenet --data mnist --solver ea-wild --target-accuracy 0.98\n  drove new --template classroom\n" +
        `  drove new --template own-model --data fashion-mnist\n${EXIT_CODES_HELP}`,
    )
    .action(async (file: string, options: NewOptions) => {
      await writeRun(file, options);
      done(EXIT.ok);
    });
}

async function writeRun(file: string, options: NewOptions): Promise<void> {
  const output = new Output(options.json ?? false);
  if (!/\.json$/i.test(file))
    throw new ConfigError(`The file is "${file}"; accepted is the path of a JSON file, such as ${RUN_FILE}.`);
  const folder = dirname(file);
  const isOwnModel = options.template === "own-model" && options.model === undefined;
  const modelFile = isOwnModel ? join(folder, MODEL_FILE) : undefined;
  if (!options.force) for (const path of modelFile ? [file, modelFile] : [file]) await refuseThere(path);

  const flags = flagsFrom(options);
  const given: Fields = { ...TEMPLATES[options.template].fields, ...asWritten(flags) };
  if (modelFile) given.model = `./${MODEL_FILE}`;
  const model = isOwnModel ? await ownModel(given, options) : await withModel(given.model, ".");
  const config = readConfig({ flags: { ...flags, model }, defaults: { ...TEMPLATES[options.template].fields } });
  const values = valuesFor(config, given, options.all ?? false);
  // A run file names a model file by its place beside itself.
  if (modelFile) values.model = given.model;
  else if (typeof flags.model === "string" && isModelPath(flags.model))
    values.model = besideFolder(folder, flags.model);

  await mkdir(folder, { recursive: true });
  const written = { $schema: `./${RUN_SCHEMA_FILE}`, ...values };
  await writeJson(join(folder, RUN_SCHEMA_FILE), runFileSchema());
  if (modelFile) {
    await writeJson(join(folder, MODEL_SCHEMA_FILE), modelFileSchema());
    await writeJson(modelFile, { $schema: `./${MODEL_SCHEMA_FILE}`, ...modelOf(config) });
  }
  await writeJson(file, written);
  output.result({ file, schema: join(folder, RUN_SCHEMA_FILE), model: modelFile ?? null, fields: values }, [
    `The run file ${file} is written: ${modelOf(config).name} on ${config.data} with ${config.solver}.`,
    `  ${RUN_SCHEMA_FILE} beside it lets editors complete and check it.`,
    ...(modelFile ? [`  Your model is ${modelFile}; \`drove model ${modelFile}\` shows its layers.`] : []),
    ...(await hintsFor(file, config)),
  ]);
}

/** The fields that the file gets, in the order of the catalogue. */
function valuesFor(config: RunConfig, given: Fields, all: boolean): Fields {
  const values: Fields = {};
  for (const field of Object.keys(FIELDS).filter(isFieldName)) {
    if (!all && given[field] === undefined) continue;
    // What `auto` stands for depends on other fields, which somebody may change.
    const isCodec = field === "codecUp" || field === "codecDown";
    values[field] = isCodec ? (given[field] ?? FIELDS[field].initial) : config[field];
  }
  return values;
}

/** Fields of the command line that were said. */
function asWritten(flags: Fields): Fields {
  return Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined));
}

/** A model that fits the data set, which therefore has to be there. */
async function ownModel(given: Fields, options: NewOptions): Promise<unknown> {
  const { data, runsFolder } = readConfig({ flags: { data: given.data, runsFolder: options.runsFolder } });
  const { shape, classes } = await describeDataset(dataRoot(runsFolder), data);
  return modelToBeginFrom(shape, classes);
}

async function hintsFor(file: string, config: RunConfig): Promise<string[]> {
  const flag = file === RUN_FILE ? "" : ` --config ${file}`;
  const hints = [`  Next: drove train${flag}, or drove serve${flag} for volunteers who come by themselves.`];
  try {
    const data = await describeDataset(dataRoot(config.runsFolder), config.data);
    const misfit = misfitOf(modelOf(config), data);
    return misfit === undefined ? hints : [`  Beware: ${misfit}`, ...hints];
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    const how = isBuiltIn(config.data) ? `drove data get ${config.data}` : `drove data import ${config.data} FOLDER`;
    return [`  First: ${how}`, ...hints];
  }
}

function besideFolder(folder: string, path: string): string {
  const beside = relative(folder, path);
  return beside.startsWith(".") ? beside : `./${beside}`;
}

async function refuseThere(path: string): Promise<void> {
  const isThere = await access(path).then(
    () => true,
    () => false,
  );
  if (isThere)
    throw new ConfigError(
      `${path} is there already; name another file than ${basename(path)}, or add --force to write over it.`,
    );
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFile(path, `${JSON.stringify(value, null, 2)}\n`);
}
