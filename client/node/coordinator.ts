/**
 * The coordinator as a volunteer in Node reaches it: files over HTTP, and its WebSocket. A self-signed one is trusted by the
 * SHA-256 of its public key, and by nothing less: a connection to another key ends before anything is sent over it.
 */

import { createHash } from "node:crypto";
import { once } from "node:events";
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest, type AgentOptions } from "node:https";
import type { Duplex } from "node:stream";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import { readRunSettings, type RunSettings } from "../../shared/run_settings.ts";
import type { Fetched } from "../participation/surroundings.ts";
import { NODE_CLOCK } from "./node_clock.ts";

const RETRY_MS = 3000;
const TIMEOUT_MS = 30_000;

export class Coordinator {
  /** For http, https and the WebSocket alike. */
  readonly agent: HttpAgent;
  readonly #url: URL;

  /** `trust` is the base64 of the SHA-256 of the public key. */
  constructor(url: URL, trust: string | undefined) {
    this.#url = url;
    // Connections of an agent that keeps them wait for the next request, and those of `ws` are its own anyway.
    if (url.protocol === "http:") this.agent = new HttpAgent({ keepAlive: true });
    else this.agent = trust === undefined ? new HttpsAgent({ keepAlive: true }) : new PinnedAgent(trust);
  }

  get socketUrl(): string {
    const address = new URL("/ws", this.#url);
    address.protocol = this.#url.protocol === "https:" ? "wss:" : "ws:";
    return address.href;
  }

  /** Rejects where no answer comes; an answer of any status is one. */
  async fetch(path: string, signal: AbortSignal, onBytes: (bytes: number) => void = () => {}): Promise<Fetched> {
    const address = new URL(path, this.#url);
    const request = address.protocol === "https:" ? httpsRequest : httpRequest;
    const asked = request(address, { agent: this.agent, signal, timeout: TIMEOUT_MS });
    asked.on("timeout", () => asked.destroy(new Error(`no answer in ${TIMEOUT_MS / 1000} s`)));
    asked.end();
    const [response] = (await once(asked, "response")) as [IncomingMessage];
    const parts: Buffer[] = [];
    for await (const part of response as AsyncIterable<Buffer>) {
      parts.push(part);
      onBytes(part.byteLength);
    }
    const body = Buffer.concat(parts);
    const status = response.statusCode ?? 0;
    return { ok: status >= 200 && status < 300, status, arrayBuffer: async () => new Uint8Array(body).buffer };
  }

  /** Asks until the coordinator answers; rejects where what answers is none, or another version. */
  async settings(signal: AbortSignal, onProblem: (sentence: string) => void): Promise<RunSettings> {
    for (;;) {
      try {
        return await this.#settingsOnce(signal);
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof WrongAnswer) throw error;
        onProblem(`${this.#url.origin} does not answer (${(error as Error).message}); trying again.`);
      }
      await NODE_CLOCK.sleep(RETRY_MS);
      signal.throwIfAborted();
    }
  }

  async #settingsOnce(signal: AbortSignal): Promise<RunSettings> {
    const answer = await this.fetch("/api/run", signal);
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    const settings = readRunSettings(parsed(await answer.arrayBuffer()));
    if ("problem" in settings) throw new WrongAnswer(`${settings.problem} Take the coordinator's version of Drove.`);
    return settings;
  }
}

/** What no second question changes. */
class WrongAnswer extends Error {}

function parsed(bytes: ArrayBuffer): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString("utf8")) as unknown;
  } catch {
    throw new WrongAnswer("What answers there is no coordinator of Drove; check the link.");
  }
}

/** Believes in one key instead of in authorities. */
class PinnedAgent extends HttpsAgent {
  readonly #trust: string;

  constructor(trust: string) {
    super({ keepAlive: true });
    this.#trust = trust;
  }

  override createConnection(options: AgentOptions & ConnectionOptions): Duplex {
    const socket = connectTls({ ...options, rejectUnauthorized: false });
    socket.once("secureConnect", () => {
      const key = socket.getPeerX509Certificate()?.publicKey.export({ type: "spki", format: "der" });
      if (key !== undefined && createHash("sha256").update(key).digest("base64") === this.#trust) return;
      socket.destroy(
        new WrongAnswer("The coordinator has another key than --trust names; copy the hash that it prints."),
      );
    });
    return socket;
  }
}
