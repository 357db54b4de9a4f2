/**
 * A coordinator as commands ask it: JSON over http or https. A self-signed one is trusted by the SHA-256 of its public key,
 * which it prints, and by nothing less.
 */

import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { TLSSocket } from "node:tls";
import type { PublicView } from "../../shared/run_view.ts";
import { ConfigError } from "../run_config.ts";
import { keyHashOf } from "../server/tls.ts";
import { CommandError } from "./exit_codes.ts";

const TIMEOUT_MS = 10_000;

/** `--trust` as the commands that ask coordinators describe it. */
export const TRUST_FLAG = [
  "--trust <HASH>",
  "for a self-signed coordinator: the hash of its key, which it prints",
] as const;

/** A coordinator's address as people write it: with or without a scheme, with or without a path behind it. */
export function coordinatorUrl(text: string): URL {
  const withScheme = /^[a-z]+:\/\//i.test(text) ? text : `http://${text}`;
  if (!URL.canParse(withScheme) || !/^https?:/i.test(withScheme)) {
    throw new ConfigError(`"${text}" is no link of a run; accepted is one such as http://127.0.0.1:8080.`);
  }
  return new URL("/", withScheme);
}

/** The coordinator wants the token of the run's operator, and was given none or another. */
export class TokenError extends CommandError {}

/**
 * What `path` answers, parsed. The caller knows the type: it is the same program at the other end. `token`: of the run's operator, for
 * what is theirs alone.
 */
export async function askCoordinator(
  url: URL,
  path: string,
  trust: string | undefined,
  token?: string,
): Promise<unknown> {
  const response = await answerOf(new URL(path, url), trust, token).catch((error: NodeJS.ErrnoException) => {
    if (error instanceof CommandError) throw error;
    throw new CommandError(
      `No coordinator answers at ${url.href} (${error.code ?? error.message}); check the link, and that the run is on.`,
    );
  });
  let text = "";
  for await (const part of response.setEncoding("utf8")) text += String(part);
  try {
    if (response.statusCode === 200) return JSON.parse(text) as unknown;
  } catch {
    // Not JSON: the sentence below says what that means.
  }
  if (response.statusCode === 401) {
    throw new TokenError(
      `${url.href} does not take this token; pass the one that its coordinator printed, with --token or --token-file.`,
    );
  }
  throw new CommandError(
    `${url.href} answers ${response.statusCode} without a run in it: it is no coordinator of Drove; check the link.`,
  );
}

/** Everybody's views of the run as they come, until the stream ends for whatever reason. */
export async function* followCoordinator(
  url: URL,
  trust: string | undefined,
): AsyncGenerator<Omit<PublicView, "history">> {
  const response = await answerOf(new URL("/api/events", url), trust);
  let text = "";
  for await (const part of response.setEncoding("utf8")) {
    text += String(part);
    const events = text.split("\n\n");
    text = events.pop() ?? "";
    for (const event of events) yield JSON.parse(event.replace(/^data: /, "")) as PublicView;
  }
}

/** `token`: the run's, for what only its operator may see (SPEC O1). `timeoutMs`: without a byte. */
export function answerOf(
  address: URL,
  trust: string | undefined,
  token?: string,
  timeoutMs = TIMEOUT_MS,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const settings = { timeout: timeoutMs, agent: false, headers } as const;
    const asked =
      address.protocol === "http:"
        ? httpRequest(address, settings)
        : httpsRequest(address, { ...settings, rejectUnauthorized: trust === undefined });
    asked.on("response", (response) => {
      if (trust === undefined || isTrusted(response, trust)) resolve(response);
      else
        reject(
          new CommandError(
            `${address.origin} has another key than --trust names; copy the hash that the coordinator prints.`,
          ),
        );
    });
    asked.on("timeout", () => asked.destroy(new Error(`no answer in ${timeoutMs / 1000} s`)));
    asked.on("error", (error: NodeJS.ErrnoException) => {
      const isUntrusted = error.code === "DEPTH_ZERO_SELF_SIGNED_CERT" || error.code?.startsWith("UNABLE_TO_") === true;
      reject(
        isUntrusted
          ? new CommandError(
              `${address.origin} has a certificate that nobody vouches for; add --trust with the hash that the coordinator prints.`,
            )
          : error,
      );
    });
    asked.end();
  });
}

function isTrusted({ socket }: IncomingMessage, trust: string): boolean {
  if (!(socket instanceof TLSSocket)) return true;
  const certificate = socket.getPeerX509Certificate();
  return certificate !== undefined && keyHashOf(certificate) === trust;
}
