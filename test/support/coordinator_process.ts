/**
 * A whole coordinator as an operator starts it: the real command in a process of its own, on a port of the system's
 * choice and with a folder of its own for its runs. It can be killed without warning and started again.
 */

import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { OperatorAnswer, OperatorRequest } from "../../shared/operator.ts";
import type { RunView } from "../../shared/run_view.ts";

const DROVE = fileURLToPath(new URL("../../coordinator/cli/drove.ts", import.meta.url));
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 30_000;

export interface CoordinatorOptions {
  /** `serve` unless said otherwise. */
  readonly command?: "serve" | "train";
  readonly args?: readonly string[];
  /** Where runs are kept; a temporary folder of its own otherwise. */
  readonly runsFolder?: string;
  readonly port?: number;
}

export interface CoordinatorProcess {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly runsFolder: string;
  /** The run's name, and the token of its operator. */
  name(): Promise<string>;
  token(): Promise<string>;
  /** The link of the operator's page, token and all. */
  operatorUrl(): Promise<string>;
  view(): Promise<RunView>;
  control(request: OperatorRequest): Promise<{ readonly status: number; readonly answer: OperatorAnswer }>;
  /** Waits until the view says so; rejects with the newest view and the log after the time is over. */
  until(what: string, holds: (view: RunView) => boolean, timeoutMs: number): Promise<RunView>;
  /** SIGKILL: nothing is finished, nothing is said. */
  kill(): Promise<void>;
  /** SIGINT, as Ctrl-C does; resolves with exit code and the last line of stdout. */
  stop(): Promise<Ended>;
  /** Resolves when the process ends by itself. */
  readonly ended: Promise<Ended>;
  log(): string;
}

interface Ended {
  readonly exitCode: number | null;
  readonly lastLine: string;
}

export async function startCoordinator(options: CoordinatorOptions = {}): Promise<CoordinatorProcess> {
  const runsFolder = options.runsFolder ?? (await mkdtemp(join(tmpdir(), "drove-test-")));
  const child = spawn(
    process.execPath,
    [
      DROVE,
      options.command ?? "serve",
      "--port",
      String(options.port ?? 0),
      "--runs-folder",
      runsFolder,
      "--json",
      ...(options.args ?? []),
    ],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  const output = new Output(child);
  const ended = endOf(child, output).then(async (end) => {
    if (!options.runsFolder) await rm(runsFolder, { recursive: true, force: true });
    return end;
  });
  const url = await output.address(ended);
  return new StartedCoordinator(child, output, ended, url, runsFolder);
}

class StartedCoordinator implements CoordinatorProcess {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly runsFolder: string;
  readonly ended: Promise<Ended>;
  readonly #child: ChildProcess;
  readonly #output: Output;
  #token: Promise<string> | undefined = undefined;

  constructor(child: ChildProcess, output: Output, ended: Promise<Ended>, url: string, runsFolder: string) {
    this.#child = child;
    this.#output = output;
    this.ended = ended;
    this.url = url;
    this.port = Number(new URL(url).port);
    this.pid = child.pid ?? 0;
    this.runsFolder = runsFolder;
  }

  async name(): Promise<string> {
    const settings = (await (await fetch(`${this.url}/api/run`)).json()) as { readonly run: string };
    return settings.run;
  }

  async token(): Promise<string> {
    const path = join(this.runsFolder, await this.name(), "operator.token");
    return (await readFile(path, "utf8")).trim();
  }

  async operatorUrl(): Promise<string> {
    return `${this.url}/operator#token=${await this.token()}`;
  }

  async view(): Promise<RunView> {
    const response = await this.#ask("view");
    return (await response.json()) as RunView;
  }

  async control(request: OperatorRequest): Promise<{ readonly status: number; readonly answer: OperatorAnswer }> {
    const headers = { "Content-Type": "application/json" };
    const response = await this.#ask("control", { method: "POST", headers, body: JSON.stringify(request) });
    return { status: response.status, answer: (await response.json()) as OperatorAnswer };
  }

  /** Behind the token, which is read once: the same for as long as the run's folder is there. */
  async #ask(path: string, init: { method?: string; headers?: Record<string, string>; body?: string } = {}) {
    this.#token ??= this.token();
    const headers = { ...init.headers, Authorization: `Bearer ${await this.#token}` };
    return fetch(`${this.url}/api/operator/${path}`, { ...init, headers });
  }

  async until(what: string, holds: (view: RunView) => boolean, timeoutMs: number): Promise<RunView> {
    const deadlineMs = performance.now() + timeoutMs;
    let view = await this.view();
    while (!holds(view)) {
      if (performance.now() > deadlineMs) {
        throw new Error(
          `${what}: not within ${timeoutMs} ms.\n${JSON.stringify({ ...view, history: [] })}\n${this.log()}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 250));
      view = await this.view();
    }
    return view;
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.ended;
  }

  async stop(): Promise<Ended> {
    this.#child.kill("SIGINT");
    const lastResort = setTimeout(() => this.#child.kill("SIGKILL"), STOP_TIMEOUT_MS);
    const ended = await this.ended;
    clearTimeout(lastResort);
    return ended;
  }

  log(): string {
    return this.#output.stderr.slice(-4000);
  }
}

/** What the process wrote. */
class Output {
  stdout = "";
  stderr = "";
  readonly #child: ChildProcess;

  constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
    });
  }

  /** The link that the command prints. */
  async address(ended: Promise<Ended>): Promise<string> {
    const found = Promise.withResolvers<string>();
    const look = (): void => {
      const [address] = /https?:\/\/(?:localhost|127\.0\.0\.1):\d+/.exec(this.stderr) ?? [];
      if (address) found.resolve(address);
    };
    this.#child.stderr?.on("data", look);
    void ended.then(() => found.reject(new Error(`the coordinator ended before it printed its link:\n${this.stderr}`)));
    const timer = setTimeout(() => {
      this.#child.kill("SIGKILL");
      found.reject(new Error(`the coordinator printed no link in ${START_TIMEOUT_MS} ms:\n${this.stderr}`));
    }, START_TIMEOUT_MS);
    try {
      return await found.promise;
    } finally {
      clearTimeout(timer);
      this.#child.stderr?.off("data", look);
    }
  }
}

function endOf(child: ChildProcess, output: Output): Promise<Ended> {
  const { promise, resolve } = Promise.withResolvers<Ended>();
  child.once("close", (exitCode) => resolve({ exitCode, lastLine: output.stdout.trimEnd().split("\n").at(-1) ?? "" }));
  return promise;
}
