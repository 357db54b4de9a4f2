/**
 * One headless Chromium as a plain process, with a profile of its own and one page. No debugger while it trains: attached
 * debuggers make the network ten times slower (DESIGN §8). What the page does it must report by itself; it is asked for its end alone.
 *
 * A browser never outlives this process, however that ends: a small shell beside it waits on a pipe that only we hold,
 * and when the pipe closes it kills the browser's process group. (Not on Windows, which has no process groups.)
 */

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { statfsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable, Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { DebuggingPipe } from "./debugging_pipe.ts";
import { BrowserError } from "./find.ts";

export interface BrowserLaunch {
  readonly executable: string;
  readonly url: string;
  /** Beyond the usual ones; from `probe.ts`. */
  readonly flags: readonly string[];
}

/** How long a browser may take to close its page and end. */
const STOP_TIMEOUT_MS = 3000;
/** For an answer of the page, and between two questions. */
const ANSWER_MS = 2000;
const POLL_MS = 100;
const KEPT_STDERR_CHARACTERS = 4000;
/** Below this, Chromium must not keep its buffers in /dev/shm (containers have 64 MB by default). */
const MIN_SHARED_MEMORY_BYTES = 512 * 2 ** 20;

const BASE_FLAGS = [
  "--headless=new",
  // Sets navigator.webdriver, which lets the page start by itself.
  "--enable-automation",
  "--remote-debugging-pipe",
  "--no-first-run",
  "--no-default-browser-check",
  "--disable-background-networking",
  "--disable-breakpad",
  "--disable-component-update",
  "--disable-default-apps",
  "--disable-extensions",
  "--disable-component-extensions-with-background-pages",
  "--disable-sync",
  "--disable-quic",
  "--mute-audio",
  "--password-store=basic",
  "--use-mock-keychain",
  // A hidden page trains as fast as a visible one.
  "--disable-background-timer-throttling",
  "--disable-backgrounding-occluded-windows",
  "--disable-renderer-backgrounding",
  // After a second crash of the GPU process a page gets an adapter again (measured: none without it).
  "--disable-domain-blocking-for-3d-apis",
  "--disable-features=SpareRendererForSitePerProcess,Translate,OptimizationHints,MediaRouter",
] as const;

export class RawBrowser {
  /** Resolves with a sentence when the browser's main process has ended. */
  readonly ended: Promise<string>;
  readonly #child: ChildProcess;
  readonly #guard: ChildProcess | undefined;
  readonly #profile: string;
  readonly #pipe: DebuggingPipe | undefined;
  #stopping: Promise<void> | undefined;
  #stderr = "";

  private constructor(child: ChildProcess, guard: ChildProcess | undefined, profile: string) {
    this.#child = child;
    this.#guard = guard;
    this.#profile = profile;
    const [, , , toBrowser, fromBrowser] = child.stdio;
    if (toBrowser instanceof Writable && fromBrowser instanceof Readable)
      this.#pipe = new DebuggingPipe(toBrowser, fromBrowser);
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-KEPT_STDERR_CHARACTERS);
    });
    this.ended = once(child, "exit").then(async ([code, signal]) => {
      const sentence = this.#endSentence(code as number | null, signal as NodeJS.Signals | null);
      await this.#cleanUp();
      return sentence;
    });
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  /** Resolves when the process has started (not when the page is there); rejects with a sentence if it cannot. */
  static async launch(launch: BrowserLaunch): Promise<RawBrowser> {
    const profile = await mkdtemp(join(tmpdir(), "drove-browser-"));
    const surroundings = {
      platform: process.platform,
      isRoot: process.getuid?.() === 0,
      sharedMemoryBytes: sharedMemoryBytes(),
    };
    const child = spawn(launch.executable, browserArguments(launch, profile, surroundings), {
      // A process group of its own, so that all of it can be ended and nothing else.
      detached: process.platform !== "win32",
      // The last two are the debugging pipe.
      stdio: ["ignore", "ignore", "pipe", "pipe", "pipe"],
    });
    try {
      await once(child, "spawn");
    } catch (error) {
      await rm(profile, { recursive: true, force: true });
      throw new BrowserError(
        `${launch.executable} cannot be started (${(error as Error).message}); set DROVE_BROWSER to a Chrome, Chromium or Edge.`,
      );
    }
    return new RawBrowser(child, startGuard(child.pid, profile), profile);
  }

  /** Does `expression` in the page until it is true; resolves when it is, when the browser has ended, or after so long. */
  async until(expression: string, timeoutMs: number): Promise<void> {
    const endMs = performance.now() + timeoutMs;
    const ended = this.ended.then(() => true);
    while (performance.now() < endMs) {
      // A page that is just being loaded has nothing to say.
      const said = this.#pipe?.evaluate(expression).catch(() => undefined) ?? Promise.resolve(true);
      if ((await Promise.race([said, ended, sleep(ANSWER_MS)])) === true) return;
      await sleep(POLL_MS);
    }
  }

  /** Ends every process of this browser, and nothing else; resolves when they are gone. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    // The main process alone, politely: it closes the page, whose connection then closes properly.
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill("SIGTERM");
    const timeout = new AbortController();
    await Promise.race([this.ended, sleep(STOP_TIMEOUT_MS, undefined, { signal: timeout.signal }).catch(() => {})]);
    timeout.abort();
    killGroup(this.pid);
    await this.ended;
  }

  async #cleanUp(): Promise<void> {
    // Helpers of a main process that crashed.
    killGroup(this.pid);
    this.#guard?.kill("SIGKILL");
    await rm(this.#profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }).catch(() => {});
  }

  #endSentence(code: number | null, signal: NodeJS.Signals | null): string {
    if (this.#stopping) return "The browser was stopped.";
    if (/No usable sandbox|setuid sandbox/i.test(this.#stderr)) {
      return "The browser cannot start its sandbox here; allow unprivileged user namespaces, or run in a container as root.";
    }
    if (/error while loading shared libraries/.test(this.#stderr)) {
      return `The browser lacks a system library (${lastLine(this.#stderr)}); install it again with its dependencies.`;
    }
    const how = signal ? `was killed by ${signal}` : `ended with code ${code}`;
    return `The browser ${how}${this.#stderr ? `; its last words: ${lastLine(this.#stderr)}` : ""}`;
  }
}

/** Pure, for tests. */
export function browserArguments(
  { url, flags }: BrowserLaunch,
  profile: string,
  surroundings: { readonly platform: NodeJS.Platform; readonly isRoot: boolean; readonly sharedMemoryBytes: number },
): string[] {
  const onLinux = surroundings.platform === "linux";
  return [
    ...BASE_FLAGS,
    `--user-data-dir=${profile}`,
    // Chromium's sandbox refuses root; whoever runs this as root is in a container.
    ...(onLinux && surroundings.isRoot ? ["--no-sandbox"] : []),
    ...(onLinux && surroundings.sharedMemoryBytes < MIN_SHARED_MEMORY_BYTES ? ["--disable-dev-shm-usage"] : []),
    ...flags,
    // A window without tab strip and toolbar: 57 MB and 1 s of processor time less at start (Chromium 156, 2026-11).
    `--app=${new URL(url).href}`,
  ];
}

/** Ends the group when we are gone, SIGKILL included: then the kernel closes our end of its stdin. */
function startGuard(group: number | undefined, profile: string): ChildProcess | undefined {
  if (process.platform === "win32" || group === undefined) return undefined;
  const script = 'read -r _; kill -KILL "-$1"; sleep 1; rm -rf -- "$2"';
  const guard = spawn("/bin/sh", ["-c", script, "drove-guard", String(group), profile], {
    // Not in our group either, so that whatever ends ours leaves it its moment of work.
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  // Without a shell there is no guard; the browser is then ended by `stop` alone.
  guard.on("error", () => {});
  guard.unref();
  (guard.stdin as Socket | null)?.unref();
  return guard;
}

function killGroup(group: number): void {
  if (group <= 0) return;
  if (process.platform === "win32") {
    spawn("taskkill", ["/pid", String(group), "/T", "/F"], { stdio: "ignore" }).on("error", () => {});
    return;
  }
  try {
    process.kill(-group, "SIGKILL");
  } catch {
    // ESRCH: nobody is left.
  }
}

function sharedMemoryBytes(): number {
  try {
    const { bavail, bsize } = statfsSync("/dev/shm");
    return bavail * bsize;
  } catch {
    return 0;
  }
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "";
}
