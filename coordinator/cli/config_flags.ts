/**
 * The flags of `serve` and `train`, made from the fields of a run, and the config that they, the run file and the defaults
 * give together.
 */

import { dirname } from "node:path";
import { Option, type Command } from "commander";
import { isModelPath, loadModelFile } from "../model_file.ts";
import { ConfigError, readConfig, type ConfigSources, type RunConfig } from "../run_config.ts";
import { FIELDS, flagOf, isFieldName, type FieldName } from "../run_fields.ts";
import { findRunFile, RUN_FILE, type RunFile } from "./run_file.ts";

/** Fields whose flag has no value. */
type Switch = "autotune" | "lossy" | "peers";

/** What commander makes of the flags; texts are checked by `readConfig`. */
export type ConfigOptions = Readonly<Partial<Record<Exclude<FieldName, Switch>, string>>> & {
  readonly [field in Switch]?: boolean;
} & {
  readonly config?: string;
  readonly tlsSelfSigned?: boolean;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
};

export function addConfigFlags(command: Command, defaults: ConfigSources["defaults"] = {}): void {
  command.option("--config <FILE>", `run file to read before the flags (default: ${RUN_FILE}, where there is one)`);
  addFieldFlags(command, defaults);
}

/** A flag for each field of a run. */
export function addFieldFlags(command: Command, defaults: ConfigSources["defaults"] = {}): void {
  for (const field of Object.keys(FIELDS).filter(isFieldName)) {
    if (field === "tls") continue;
    const { placeholder, help } = FIELDS[field];
    if (placeholder === "") {
      command.option(flagOf(field), help);
      continue;
    }
    command.addOption(new Option(`${flagOf(field)} <${placeholder}>`, help + defaultInWords(field, defaults)));
  }
  command.option(
    "--tls-self-signed",
    "https with a certificate made on the spot (browsers ask once); other machines need https for WebGPU",
  );
  command.option("--tls-cert <FILE>", "https with this PEM certificate (with --tls-key)");
  command.option("--tls-key <FILE>", "the certificate's private key");
}

export async function configFrom(options: ConfigOptions, defaults: ConfigSources["defaults"] = {}): Promise<RunConfig> {
  const flags = flagsFrom(options);
  const file = await findRunFile(options.config);
  flags.model = await withModel(flags.model, ".");
  return readConfig({ defaults, flags, ...(file ? { file: await withModelIn(file) } : {}) });
}

/** What the command line said of each field, as it was written; undefined where it said nothing. */
export function flagsFrom(options: ConfigOptions): Partial<Record<FieldName, unknown>> {
  const flags: Partial<Record<FieldName, unknown>> = {};
  for (const field of Object.keys(FIELDS).filter(isFieldName)) if (field !== "tls") flags[field] = options[field];
  flags.tls = tlsOf(options);
  return flags;
}

/** A path in the place of a model's name becomes the model that the file describes. */
export async function withModel(model: unknown, folder: string): Promise<unknown> {
  return typeof model === "string" && isModelPath(model) ? loadModelFile(model, folder) : model;
}

/** The run file; a model file is looked for beside it. */
async function withModelIn(file: RunFile): Promise<RunFile> {
  const { path, value } = file;
  if (typeof value !== "object" || value === null || !("model" in value)) return file;
  return { path, value: { ...value, model: await withModel(value.model, dirname(path)) } };
}

function defaultInWords(field: FieldName, defaults: NonNullable<ConfigSources["defaults"]>): string {
  const value = defaults[field] ?? FIELDS[field].initial;
  if (value === null) return "";
  if (typeof value === "string" || typeof value === "number") return ` (default: ${value})`;
  return ` (default: ${typeof value === "object" && "kind" in value ? String(value.kind) : "none"})`;
}

function tlsOf({ tlsSelfSigned, tlsCert, tlsKey }: ConfigOptions): RunConfig["tls"] | undefined {
  if (tlsCert !== undefined && tlsKey !== undefined) return { certificate: tlsCert, key: tlsKey };
  if (tlsCert !== undefined) throw new ConfigError("--tls-cert needs its private key; add --tls-key FILE.");
  if (tlsKey !== undefined) throw new ConfigError("--tls-key needs its certificate; add --tls-cert FILE.");
  return tlsSelfSigned ? "self-signed" : undefined;
}
