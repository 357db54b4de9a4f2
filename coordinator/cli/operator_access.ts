/**
 * How a command gets at what is the operator's alone: by a token that it is given, by the operator's link, or, of a coordinator on this
 * machine, by the token that lies in the run's folder.
 */

import { join } from "node:path";
import { keptToken, TOKEN_FILE } from "../operator/token.ts";
import { ConfigError } from "../run_config.ts";
import { isLoopback } from "../server/addresses.ts";
import { isRunName } from "../store/run_folder.ts";

export interface TokenOptions {
  readonly token?: string;
  readonly tokenFile?: string;
}

export const TOKEN_FLAG = ["--token <TOKEN>", "the operator's token, for what is not for everybody's eyes"] as const;
export const TOKEN_FILE_FLAG = [
  "--token-file <FILE>",
  "the file that holds it: operator.token in the run's folder",
] as const;

/** The token that whoever calls the command names; undefined where none is named. */
export async function namedToken(link: string | undefined, options: TokenOptions): Promise<string | undefined> {
  if (options.token !== undefined) return options.token.trim();
  if (options.tokenFile !== undefined) return tokenIn(options.tokenFile);
  // As it is printed and copied.
  const [, fragment = ""] = (link ?? "").split("#", 2);
  return new URLSearchParams(fragment).get("token") ?? undefined;
}

/** Of a coordinator of this machine: the token in the folder of the run that it says it has. */
export async function foundToken(url: URL, run: string, runsFolder: string): Promise<string | undefined> {
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  if (!isLoopback(host) || !isRunName(run)) return undefined;
  return keptToken(join(runsFolder, run, TOKEN_FILE));
}

async function tokenIn(path: string): Promise<string> {
  const token = await keptToken(path);
  if (token !== undefined) return token;
  throw new ConfigError(
    `--token-file is ${path}, where no token can be read; pass the file ${TOKEN_FILE} of the run's folder.`,
  );
}
