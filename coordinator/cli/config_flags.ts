/**
 * The flags of `serve` and `train`, made from the fields of a run, and the config that they, the run file and the defaults
 * give together.
 */

import { access, readFile } from "node:fs/promises";
import { Option, type Command } from "commander";
import { ConfigError, readConfig, type ConfigSources, type RunConfig } from "../run_config.ts";
import { FIELDS, flagOf, isFieldName, type FieldName } from "../run_fields.ts";

const RUN_FILE = "drove.run.json";

/** What commander makes of the flags; texts are checked by `readConfig`. */
export type ConfigOptions = Readonly<Partial<Record<FieldName, string>>> & {
  readonly config?: string;
  readonly tls?: boolean;
  readonly cert?: string;
  readonly key?: string;
};

export function addConfigFlags(command: Command, defaults: ConfigSources["defaults"] = {}): void {
  command.option("--config <FILE>", `run file to read before the flags (default: ${RUN_FILE}, where there is one)`);
  for (const field of Object.keys(FIELDS).filter(isFieldName)) {
    if (field === "tls") continue;
    const { placeholder, help } = FIELDS[field];
    command.addOption(new Option(`${flagOf(field)} <${placeholder}>`, help + defaultInWords(field, defaults)));
  }
  command.option(
    "--tls",
    "https with a certificate made on the spot (browsers ask once); other machines need https for WebGPU",
  );
  command.option("--cert <FILE>", "https with this PEM certificate (with --key)");
  command.option("--key <FILE>", "the certificate's private key");
}

export async function configFrom(options: ConfigOptions, defaults: ConfigSources["defaults"] = {}): Promise<RunConfig> {
  const flags: Partial<Record<FieldName, unknown>> = {};
  for (const field of Object.keys(FIELDS).filter(isFieldName)) if (field !== "tls") flags[field] = options[field];
  flags.tls = tlsOf(options);
  const path = options.config ?? (await exists(RUN_FILE));
  return readConfig({ defaults, flags, ...(path === undefined ? {} : { file: await readRunFile(path) }) });
}

export async function readRunFile(path: string): Promise<{ path: string; value: unknown }> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new ConfigError(
      `The run file ${path} cannot be read (${error.code}); pass the path of a JSON file with --config.`,
    );
  });
  try {
    return { path, value: JSON.parse(text) as unknown };
  } catch (error) {
    throw new ConfigError(`The run file ${path} is not JSON (${(error as Error).message}); correct it there.`);
  }
}

function defaultInWords(field: FieldName, defaults: NonNullable<ConfigSources["defaults"]>): string {
  const value = defaults[field] ?? FIELDS[field].initial;
  if (value === null) return "";
  return ` (default: ${typeof value === "string" || typeof value === "number" ? value : "none"})`;
}

function tlsOf({ tls, cert, key }: ConfigOptions): RunConfig["tls"] | undefined {
  if (cert !== undefined && key !== undefined) return { certificate: cert, key };
  if (cert !== undefined) throw new ConfigError("--cert needs its private key; add --key FILE.");
  if (key !== undefined) throw new ConfigError("--key needs its certificate; add --cert FILE.");
  return tls ? "self-signed" : undefined;
}

async function exists(path: string): Promise<string | undefined> {
  return access(path).then(
    () => path,
    () => undefined,
  );
}
