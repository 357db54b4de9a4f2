/**
 * Volunteers without a browser: `client/node/volunteer.ts` as programs of their own, so that a driver that crashes takes one
 * of them. They end with this process even if it is killed, because their standard input ends then.
 */

import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import type { BackendWish } from "../../shared/backends.ts";

export interface NodeSwarmRequest {
  /** `client/node/volunteer.ts`. */
  readonly program: string;
  readonly url: string;
  readonly volunteers: number;
  readonly backend: BackendWish;
  /** Of WASM, of each volunteer. */
  readonly threads: number;
  /** The share of the time in which they compute, above 0 and up to 1; all of it where left out. */
  readonly dutyCycle?: number;
  /** They allow direct connections to other volunteers; they do not where left out. */
  readonly allowsPeers?: boolean;
  /** Offered for the leaderboard and the model card. */
  readonly name?: string | undefined;
  /** The key of a self-signed coordinator. */
  readonly trust: string | undefined;
  /** From `adapter.ts`. */
  readonly environment: Readonly<Record<string, string>>;
  /** Told what they say, and when one ends that nobody stopped. */
  readonly onLine: (line: string) => void;
}

/** Between asking them to end and ending them. */
const GRACE_MS = 4000;

export class NodeSwarm {
  /** Resolves when all have ended, stopped or not, with whether all of them were at their end. */
  readonly ended: Promise<{ readonly isFine: boolean }>;
  readonly #children: readonly ChildProcess[];
  readonly #exits: readonly Promise<boolean>[];
  #stopping = false;

  constructor(request: NodeSwarmRequest) {
    const {
      program,
      url,
      volunteers,
      backend,
      threads,
      dutyCycle = 1,
      allowsPeers,
      name,
      trust,
      environment,
    } = request;
    const asked = ["--backend", backend, "--threads", String(threads), "--duty-cycle", String(dutyCycle)];
    if (allowsPeers) asked.push("--peers");
    if (name !== undefined) asked.push(`--name=${name}`);
    const flags = [program, url, ...asked, ...(trust === undefined ? [] : ["--trust", trust])];
    const env = { ...process.env, ...environment };
    this.#children = Array.from({ length: volunteers }, () =>
      // A process group of its own: a terminal's Ctrl-C would reach it beside ours, and a second one stops at once.
      spawn(process.execPath, flags, { env, stdio: "pipe", detached: process.platform !== "win32" }),
    );
    this.#exits = this.#children.map((child, index) => this.#watch(child, index, request));
    this.ended = Promise.all(this.#exits).then((fine) => ({ isFine: fine.every(Boolean) }));
  }

  /** Has them complete their exchanges and end; resolves when they have. */
  async finish(): Promise<void> {
    for (const child of this.#children) child.kill("SIGINT");
    await this.ended;
  }

  /** Lets them say goodbye to the coordinator; who does not in time is killed. */
  async stop(): Promise<void> {
    this.#stopping = true;
    for (const child of this.#children) child.kill("SIGTERM");
    const timer = setTimeout(() => {
      for (const child of this.#children) child.kill("SIGKILL");
    }, GRACE_MS);
    await this.ended;
    clearTimeout(timer);
  }

  async #watch(child: ChildProcess, index: number, { volunteers, onLine }: NodeSwarmRequest): Promise<boolean> {
    const who = `Volunteer ${index + 1} of ${volunteers}`;
    let lastWords = "";
    for (const stream of [child.stdout, child.stderr]) {
      if (!stream) continue;
      createInterface({ input: stream }).on("line", (line) => {
        // Dawn says on stderr what it looked for and did not find; that matters only where it ends the program.
        if (stream === child.stderr) lastWords = line === "" ? lastWords : line;
        else onLine(`${who}: ${line}`);
      });
    }
    const how = await new Promise<string>((resolve) => {
      child.on("error", (error) => resolve(error.message));
      child.on("close", (code, signal) => resolve(signal ? `ended by ${signal}` : `exit code ${code}`));
    });
    const isFine = how === "exit code 0";
    if (!isFine && !this.#stopping) onLine(`${who} is gone: ${how}${lastWords === "" ? "" : ` (${lastWords})`}.`);
    return isFine;
  }
}
