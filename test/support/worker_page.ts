/**
 * The volunteer's Web Worker in a real browser, without the controls of its page: a test posts what the page would, and reads what the
 * worker answers, with times of one clock.
 */

import { readdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright";
import type { BackendWish } from "../../shared/backends.ts";
import type { FromWorker, ToWorker } from "../../client/messages.ts";

/** A message, and when it came on the page's clock. */
export type Timed<M = FromWorker> = M & { readonly atMs: number };

export interface StartWish {
  readonly backend: BackendWish;
  readonly threads?: number;
  readonly dutyCycle?: number;
  readonly name?: string;
}

const ASSETS = fileURLToPath(new URL("../../build/client/assets", import.meta.url));
const PAGE = `
  const nowMs = () => performance.timeOrigin + performance.now();
  const trial = { messages: [], worker: undefined };
  globalThis.trial = trial;
  trial.begin = async (script, start) => {
    const settings = await (await fetch("/api/run")).json();
    trial.worker = new Worker(script, { type: "module" });
    trial.worker.addEventListener("message", ({ data }) => trial.messages.push({ ...data, atMs: nowMs() }));
    const socketUrl = new URL("/ws", location.href.replace(/^http/, "ws")).href;
    const message = { kind: "start", settings, socketUrl, dataUrl: new URL("/", location.href).href, ...start };
    trial.worker.postMessage(message);
    return nowMs();
  };
  // As client/page/training.ts stops: asks, and terminates after 200 ms.
  trial.stop = async () => {
    const askedMs = nowMs();
    const said = new Promise((resolve) => trial.worker.addEventListener("message", ({ data }) => {
      if (data.kind === "phase" && data.phase === "stopped") resolve();
    }));
    trial.worker.postMessage({ kind: "stop" });
    await Promise.race([said, new Promise((resolve) => setTimeout(resolve, 200))]);
    trial.worker.terminate();
    return { askedMs, endedMs: nowMs() };
  };
`;

export class WorkerPage {
  readonly page: Page;
  readonly #script: string;

  private constructor(page: Page, script: string) {
    this.page = page;
    this.#script = script;
  }

  static async open(browser: Browser, url: string): Promise<WorkerPage> {
    const page = await (await browser.newContext()).newPage();
    const worker = (await readdir(ASSETS)).find((name) => /^worker-.*\.js$/.test(name));
    if (worker === undefined) throw new Error("The client is not built; run `npx vite build`.");
    // Where the worker comes from, and nothing that draws or computes by itself.
    await page.goto(new URL("/api/run", url).href);
    await page.evaluate(PAGE);
    return new WorkerPage(page, `/assets/${worker}`);
  }

  /** Returns when `start` was posted. */
  begin({ backend, threads = 1, dutyCycle, name }: StartWish): Promise<number> {
    const start = { backend, threads, dutyCycle, name, allowsPeers: false };
    return this.page.evaluate<number>(`trial.begin(${JSON.stringify(this.#script)}, ${JSON.stringify(start)})`);
  }

  async post(message: ToWorker): Promise<void> {
    await this.page.evaluate(`trial.worker.postMessage(${JSON.stringify(message)})`);
  }

  messages(): Promise<readonly Timed[]> {
    return this.page.evaluate<readonly Timed[]>("trial.messages");
  }

  /** As the page stops. */
  stop(): Promise<{ readonly askedMs: number; readonly endedMs: number }> {
    return this.page.evaluate("trial.stop()");
  }

  /** Waits for a message; rejects with what came instead. */
  async until<M extends Timed>(
    what: string,
    found: (messages: readonly Timed[]) => M | undefined,
    timeoutMs: number,
  ): Promise<M> {
    const endMs = performance.now() + timeoutMs;
    for (;;) {
      const messages = await this.messages();
      const message = found(messages);
      if (message) return message;
      const told = JSON.stringify(messages.filter(({ kind }) => kind !== "progress"));
      if (performance.now() > endMs) throw new Error(`${what} did not come in ${timeoutMs} ms. Instead: ${told}`);
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }

  close(): Promise<void> {
    return this.page.context().close();
  }
}
