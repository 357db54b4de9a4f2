/**
 * The volunteer's Web Worker in a real browser, without the controls of its page: a test posts what the page would, and reads what the
 * worker answers, with times of one clock. Around the worker's script goes a probe that notes when work is handed to a GPU and done.
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

/** On the page's clock. */
export interface GpuTimes {
  readonly submitted: number;
  /** Handed over and not done yet, at most. */
  readonly mostQueued: number;
  readonly lastSubmitMs: number;
  readonly lastDoneMs: number;
}

const ASSETS = fileURLToPath(new URL("../../build/client/assets", import.meta.url));
const PROBE = "/assets/probe.js";

/** Tells of itself by a channel of its own, so that the worker's messages stay as they are. */
function probeOf(worker: string): string {
  return `
    const channel = new BroadcastChannel("probe");
    const told = { submitted: 0, queued: 0, mostQueued: 0, lastSubmitMs: 0, lastDoneMs: 0 };
    const nowMs = () => performance.timeOrigin + performance.now();
    if (self.GPUQueue) {
      const { submit } = GPUQueue.prototype;
      GPUQueue.prototype.submit = function (buffers) {
        submit.call(this, buffers);
        told.submitted++;
        told.mostQueued = Math.max(told.mostQueued, ++told.queued);
        told.lastSubmitMs = nowMs();
        this.onSubmittedWorkDone().then(() => {
          told.queued--;
          told.lastDoneMs = nowMs();
          channel.postMessage(told);
        }, () => {});
        channel.postMessage(told);
      };
    }
    await import(${JSON.stringify(worker)});
    self.postMessage("ready");
  `;
}

const PAGE = `
  const nowMs = () => performance.timeOrigin + performance.now();
  const trial = { messages: [], gpu: undefined, worker: undefined };
  globalThis.trial = trial;
  new BroadcastChannel("probe").addEventListener("message", ({ data }) => { trial.gpu = data; });
  trial.begin = async (script, start) => {
    const settings = await (await fetch("/api/run")).json();
    const { promise, resolve } = Promise.withResolvers();
    trial.worker = new Worker(script, { type: "module" });
    trial.worker.addEventListener("message", ({ data }) => {
      if (data === "ready") return resolve();
      trial.messages.push({ ...data, atMs: nowMs() });
    });
    await promise;
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
    // A script that a test puts in the place of another is from nowhere to the browser, and may not speak to this machine unasked.
    const page = await (await browser.newContext({ permissions: ["local-network-access"] })).newPage();
    const worker = (await readdir(ASSETS)).find((name) => /^worker-.*\.js$/.test(name));
    if (worker === undefined) throw new Error("The client is not built; run `npx vite build`.");
    await page.route(`**${PROBE}`, (route) =>
      route.fulfill({
        body: probeOf(`/assets/${worker}`),
        contentType: "text/javascript",
        headers: { "Cross-Origin-Embedder-Policy": "require-corp", "Cross-Origin-Resource-Policy": "same-origin" },
      }),
    );
    await page.goto(url);
    await page.evaluate(PAGE);
    return new WorkerPage(page, PROBE);
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

  gpu(): Promise<GpuTimes | undefined> {
    return this.page.evaluate<GpuTimes | undefined>("trial.gpu");
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
