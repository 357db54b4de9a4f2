/**
 * A benchmark's server in a process of its own, as its main program sees it: started with its task, asked for its processor
 * time, ended. `serving.ts` is the other side.
 */

import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";

/** Processor time, user and system, of all threads and of the processes that it started, and its memory. */
export interface Usage {
  readonly cpuMs: number;
  readonly residentBytes: number;
}

/** Where it listens: the first thing that it says. */
interface Ready {
  readonly url: string;
}

const START_LIMIT_MS = 60_000;

export class ServerProcess {
  /** Of all that were started. */
  static readonly pids = new Set<number>();
  readonly url: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, url: string) {
    this.#child = child;
    this.url = url;
  }

  /** `program` is told its `task` as JSON. */
  static async start(program: URL, task: unknown): Promise<ServerProcess> {
    const child = fork(program, [JSON.stringify(task)], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    if (child.pid !== undefined) ServerProcess.pids.add(child.pid);
    const ended = once(child, "exit").then(([code]) => {
      throw new Error(`${program.pathname} ended with code ${String(code)} before it was ready.`);
    });
    const limit = setTimeout(() => child.kill("SIGKILL"), START_LIMIT_MS);
    const [ready] = (await Promise.race([once(child, "message"), ended])) as [Ready];
    clearTimeout(limit);
    ended.catch(() => {});
    return new ServerProcess(child, ready.url);
  }

  async usage(): Promise<Usage> {
    const answer = once(this.#child, "message");
    this.#child.send("usage");
    const [usage] = (await answer) as [Usage];
    return usage;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.disconnect();
    const limit = setTimeout(() => this.#child.kill("SIGKILL"), 5000);
    await ended;
    clearTimeout(limit);
  }
}
