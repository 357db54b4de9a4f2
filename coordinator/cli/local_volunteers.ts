/**
 * The volunteers that `drove train --volunteers N` starts: `drove join` as a program of its own, so that the coordinator
 * imports no browser, and so that they end with it even if it is killed (their standard input ends then).
 */

import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { DROVE } from "./places.ts";

export interface LocalVolunteersOptions {
  readonly url: string;
  readonly count: number;
  readonly backend: string;
  /** Without a browser. */
  readonly node: boolean;
  /** They allow direct connections among each other, and to other volunteers. */
  readonly allowsPeers: boolean;
  /** The key of a self-signed coordinator. */
  readonly trust: string | undefined;
  /** Their words, line by line. */
  readonly onLine: (line: string) => void;
}

/** Between asking them to end and ending them. */
const GRACE_MS = 5000;

export class LocalVolunteers {
  readonly #child: ChildProcess;
  readonly #exit: Promise<string>;
  #stopping = false;

  constructor({ url, count, backend, node, allowsPeers, trust, onLine }: LocalVolunteersOptions) {
    const flags = ["join", url, "--volunteers", String(count), "--backend", backend, "--with-parent"];
    if (node) flags.push("--node");
    if (allowsPeers) flags.push("--peers");
    if (trust !== undefined) flags.push("--trust", trust);
    this.#child = spawn(process.execPath, [DROVE, ...flags], { stdio: ["pipe", "pipe", "pipe"] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream) createInterface({ input: stream }).on("line", onLine);
    }
    this.#exit = new Promise((resolve) => {
      this.#child.on("error", (error) => resolve(error.message));
      this.#child.on("close", (code, signal) => resolve(signal ? `ended by ${signal}` : `exit code ${code}`));
    });
  }

  /** How they ended, if nobody asked them to; stays open otherwise. */
  get lost(): Promise<string> {
    return this.#exit.then((how) => (this.#stopping ? new Promise<string>(() => {}) : how));
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), GRACE_MS);
    await this.#exit;
    clearTimeout(timer);
  }
}
