/**
 * The run file, `drove.run.json` in the current folder or another: reading it, and what commands that start no run take from
 * it, which is where runs are kept and where the coordinator is.
 */

import { access, readFile } from "node:fs/promises";
import type { Command } from "commander";
import { ConfigError, readConfig, type RunConfig } from "../run_config.ts";
import type { FieldName } from "../run_fields.ts";
import { coordinatorUrl } from "./coordinator_api.ts";

export const RUN_FILE = "drove.run.json";

export interface RunFile {
  /** As the user wrote it. */
  readonly path: string;
  /** Parsed, not checked. */
  readonly value: unknown;
}

/** Of the flags that such a command has; they win over the run file. */
export interface PlaceOptions {
  readonly config?: string;
  readonly runsFolder?: string;
  readonly name?: string;
}

export interface RunPlace extends Pick<RunConfig, "name" | "runsFolder" | "host" | "port" | "tls"> {
  /** Of the run file that was read; undefined where there is none. */
  readonly path: string | undefined;
}

const PLACE_FIELDS = ["name", "runsFolder", "host", "port", "tls"] as const satisfies readonly FieldName[];

export function addRunFileFlag(command: Command): Command {
  return command.option(
    "--config <FILE>",
    `run file that says where runs are kept and how the coordinator is reached (default: ${RUN_FILE}, where there is one)`,
  );
}

/** Of `--config`, else of the current folder where there is one. */
export async function findRunFile(config: string | undefined): Promise<RunFile | undefined> {
  if (config !== undefined) return readRunFile(config);
  const isThere = await access(RUN_FILE).then(
    () => true,
    () => false,
  );
  return isThere ? readRunFile(RUN_FILE) : undefined;
}

export async function readRunFile(path: string): Promise<RunFile> {
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

/** Nothing else of the run file is looked at, so that a model file that is being written keeps nobody from looking at runs. */
export async function placeOfRun({ config, runsFolder, name }: PlaceOptions): Promise<RunPlace> {
  const file = await findRunFile(config);
  const value = file?.value;
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  const given = isObject ? Object.entries(value).filter(([field]) => PLACE_FIELDS.some((one) => one === field)) : [];
  const read = readConfig({
    ...(file ? { file: { path: file.path, value: isObject ? Object.fromEntries(given) : value } } : {}),
    flags: { runsFolder, name },
  });
  return {
    path: file?.path,
    name: read.name,
    runsFolder: read.runsFolder,
    host: read.host,
    port: read.port,
    tls: read.tls,
  };
}

/** The link that was given, else the one that a coordinator with this run file has on this machine. */
export async function runUrl(given: string | undefined, options: PlaceOptions): Promise<URL> {
  if (given !== undefined) return coordinatorUrl(given);
  const { path, host, port, tls } = await placeOfRun(options);
  if (path === undefined) {
    throw new ConfigError(
      `No link is given, and there is no ${RUN_FILE} here that would say one; pass a link such as http://127.0.0.1:8080.`,
    );
  }
  if (port === 0) {
    throw new ConfigError(
      `${path}: "port" is 0, which is another one in every run; pass the link that the run printed.`,
    );
  }
  // All addresses of this machine include the one that never leaves it.
  const reached = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
  return coordinatorUrl(
    `${tls === null ? "http" : "https"}://${reached.includes(":") ? `[${reached}]` : reached}:${port}`,
  );
}
