/** Where an export comes from: a run's folder on this machine, or a coordinator that goes on, asked with the run's token. */

import { join } from "node:path";
import type { IncomingMessage } from "node:http";
import { exportOf } from "../export/export_of.ts";
import { exportedFile, ExportError, type ExportedFile, type ExportFormat } from "../export/formats.ts";
import { listRuns } from "../operator/run_list.ts";
import { ConfigError, listed } from "../run_config.ts";
import { answerOf, askCoordinator, coordinatorUrl, TokenError } from "./coordinator_api.ts";
import { CommandError } from "./exit_codes.ts";
import { foundToken, namedToken, type TokenOptions } from "./operator_access.ts";
import { dataRoot } from "./places.ts";
import { placeOfRun, type PlaceOptions } from "./run_file.ts";

/** The file is made before its first byte comes, and the largest take their time. */
const EXPORT_TIMEOUT_MS = 600_000;

export interface ExportSource {
  readonly name: string;
  file(format: ExportFormat): Promise<ExportedFile>;
  /** Whether an error says that the run has nothing in that format. */
  isMissing(error: unknown): boolean;
}

export interface SourceOptions extends PlaceOptions, TokenOptions {
  readonly trust?: string;
}

/** `run`: a name, or a link; the newest run where left out. */
export async function exportSource(run: string | undefined, options: SourceOptions): Promise<ExportSource> {
  if (run !== undefined && isLink(run)) return coordinatorSource(run, options);
  const { folder, name, runsFolder } = await runFolderOf(run, options);
  return {
    name,
    file: (format) => exportOf(format, { folder, dataRoot: dataRoot(runsFolder) }),
    isMissing: (error) => error instanceof ExportError,
  };
}

/** The folder of the run of that name, or of the newest one. Throws a `ConfigError` that lists those that there are. */
export async function runFolderOf(
  run: string | undefined,
  options: PlaceOptions,
): Promise<{ readonly folder: string; readonly name: string; readonly runsFolder: string }> {
  const { runsFolder } = await placeOfRun(options);
  const runs = await listRuns(runsFolder);
  const found = run === undefined ? runs[0] : runs.find(({ name }) => name === run);
  if (found) return { folder: join(runsFolder, found.name), name: found.name, runsFolder };
  if (runs.length === 0) {
    throw new ConfigError(
      `There are no runs in ${runsFolder} yet; begin one with \`drove train\`, or say with --runs-folder where yours are.`,
    );
  }
  throw new ConfigError(
    `There is no run named "${run}" in ${runsFolder}; accepted is ${listed(runs.map(({ name }) => name))}.`,
  );
}

/** No run's name has a colon or a slash. */
function isLink(text: string): boolean {
  return /[:/]/.test(text);
}

/** By the token that is named, or the one in the run's folder where that is on this machine. */
async function coordinatorSource(link: string, options: SourceOptions): Promise<ExportSource> {
  const { trust } = options;
  const url = coordinatorUrl(link);
  const { run } = (await askCoordinator(url, "/api/run", trust)) as { readonly run: string };
  const { runsFolder } = await placeOfRun(options);
  const token = (await namedToken(link, options)) ?? (await foundToken(url, run, runsFolder));
  if (token === undefined) {
    throw new TokenError(
      `${url.href} gives its model to its operator only; pass the operator's link, --token, or --token-file with operator.token of the run's folder.`,
    );
  }
  return {
    name: run,
    file: (format) => download(url, format, token, trust),
    isMissing: (error) => error instanceof NotThere,
  };
}

/** The coordinator has nothing in this format; the rest of its answers may be as good as ever. */
class NotThere extends CommandError {}

async function download(
  url: URL,
  format: ExportFormat,
  token: string,
  trust: string | undefined,
): Promise<ExportedFile> {
  const address = new URL(`/api/operator/export/${format}`, url);
  const response = await answerOf(address, trust, token, EXPORT_TIMEOUT_MS).catch((error: NodeJS.ErrnoException) => {
    if (error instanceof CommandError) throw error;
    throw new CommandError(
      `No coordinator answers at ${url.href} (${error.code ?? error.message}); check the link, and that the run is on.`,
    );
  });
  const body: Buffer<ArrayBuffer>[] = [];
  for await (const part of response) body.push(part as Buffer<ArrayBuffer>);
  const { statusCode } = response;
  if (statusCode === 200)
    return exportedFile(fileNameOf(response, format), response.headers["content-type"] ?? "", body);
  const sentence = Buffer.concat(body).toString("utf8").trim();
  if (statusCode === 401) {
    throw new TokenError(
      `${url.href} does not take this token; copy the operator's link that its coordinator printed.`,
    );
  }
  if (statusCode === 404 || statusCode === 409) throw new NotThere(`${url.href}: ${sentence}`);
  throw new CommandError(`${url.href} answers ${statusCode}: ${sentence}`);
}

/** The coordinator's name for it; anything that could be a path is not followed. */
function fileNameOf({ headers }: IncomingMessage, format: ExportFormat): string {
  const name = /filename="([A-Za-z0-9][A-Za-z0-9._-]*)"/.exec(headers["content-disposition"] ?? "")?.[1];
  return name ?? `run.${format}`;
}
