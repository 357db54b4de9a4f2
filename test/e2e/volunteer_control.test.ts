/**
 * What a volunteer's controls do to the device, in a real browser: how soon it is idle after Stop, whether a duty cycle holds, whether
 * Finish completes what was begun, and whether a GPU that is lost is replaced. The worker is asked directly; its page has tests of its own.
 */

import type { Browser } from "playwright";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Phase, ReplicaProgress } from "../../client/messages.ts";
import { startCoordinator, type CoordinatorProcess } from "../support/coordinator_process.ts";
import { processorMsOf } from "../support/processor_time.ts";
import { startVolunteerBrowser, type VolunteerBrowser } from "../support/volunteer_browser.ts";
import { WorkerPage, type StartWish, type Timed } from "../support/worker_page.ts";

const REACTION_TIMEOUT_MS = 120_000;
/** After which nothing is computed any more, if nothing was for so long. */
const QUIET_MS = 600;
/** Of a browser that shows a page and computes nothing, in so long. */
const IDLE_MS = 40;

let volunteers: VolunteerBrowser;
let browser: Browser;
let coordinator: CoordinatorProcess;
const pages: WorkerPage[] = [];

beforeAll(async () => {
  [volunteers, coordinator] = await Promise.all([
    startVolunteerBrowser(),
    startCoordinator({ args: ["--name", "control", "--model", "mlp", "--batch", "32", "--communication-period", "4"] }),
  ]);
  ({ browser } = volunteers);
});

afterEach(async () => {
  await Promise.all(pages.splice(0).map((page) => page.close()));
});

afterAll(async () => {
  await volunteers.close();
  await coordinator.stop();
});

async function begun(wish: StartWish): Promise<WorkerPage> {
  const page = await WorkerPage.open(browser, coordinator.url);
  pages.push(page);
  await page.begin(wish);
  return page;
}

function phaseIn(
  messages: readonly Timed[],
  phase: Phase,
): Timed<{ kind: "phase"; phase: Phase; detail?: string }> | undefined {
  return messages.findLast((message) => message.kind === "phase" && message.phase === phase) as never;
}

async function reaches(page: WorkerPage, phase: Phase) {
  return page.until(phase, (messages) => phaseIn(messages, phase), REACTION_TIMEOUT_MS);
}

function progressIn(messages: readonly Timed[]): ReplicaProgress | undefined {
  const newest = messages.findLast((message) => message.kind === "progress");
  return newest?.kind === "progress" ? newest.progress : undefined;
}

async function progressOnce(page: WorkerPage, what: string, holds: (progress: ReplicaProgress) => boolean) {
  return page.until(
    what,
    (messages) =>
      messages.findLast(
        (message): message is Extract<Timed, { kind: "progress" }> =>
          message.kind === "progress" && holds(message.progress),
      ),
    REACTION_TIMEOUT_MS,
  );
}

/** Stops as the page does; the processor time that is still spent on what was handed over before, and until when. */
async function stopped(page: WorkerPage, kind: "gpu-process" | "renderer") {
  const before = processorMsOf(kind);
  const beganMs = performance.now();
  const stopping = page.stop();
  let last = before;
  let busyUntilMs = beganMs;
  while (performance.now() - busyUntilMs < QUIET_MS) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    const now = processorMsOf(kind);
    if (now - last >= IDLE_MS / 4) busyUntilMs = performance.now();
    last = now;
    if (performance.now() - beganMs > REACTION_TIMEOUT_MS) throw new Error("It is never idle.");
  }
  const { askedMs, endedMs } = await stopping;
  return { endedMs: endedMs - askedMs, processorMs: last - before, idleMs: busyUntilMs - beganMs };
}

describe("On WASM", () => {
  test("the first step comes soon, a duty cycle holds, and Finish completes the exchange and leaves", async () => {
    const page = await begun({ backend: "wasm", dutyCycle: 0.25, name: "Ada" });
    await progressOnce(page, "an exchange", ({ applied }) => applied >= 1);
    const first = progressIn(await page.messages());
    const { afterMs, measuringMs } = first!.firstStep!;
    expect(measuringMs).toBeGreaterThan(0);
    // 3 s on a quiet machine; this one may have other things to do.
    expect(afterMs - measuringMs).toBeLessThan(30_000);
    // A shard has 5,000 images of 784 bytes.
    expect(first!.bytesFetched).toBeGreaterThan(5000 * 784);
    const { replicas } = await coordinator.until(
      "its name",
      (view) => view.replicas.some(({ name }) => name === "Ada"),
      10_000,
    );
    expect(replicas.find(({ name }) => name === "Ada")).toMatchObject({ dutyCycle: 0.25, isHidden: false });
    await page.page.waitForTimeout(8000);
    const share = progressIn(await page.messages())!.computingShare;
    expect(Math.abs(share - 0.25)).toBeLessThan(0.1);

    await page.post({ kind: "power", dutyCycle: 1 });
    await page.post({ kind: "visibility", isHidden: true });
    await progressOnce(page, "a longer period", ({ periodFactor }) => periodFactor > 1);
    await page.post({ kind: "finish" });
    const { detail } = await reaches(page, "stopped");
    expect(detail).toBe("The last exchange was completed.");
    const ended = progressIn(await page.messages())!;
    expect(ended.applied + ended.refused).toBe(ended.exchanges);
    const id = first!.replica;
    const view = await coordinator.until(
      "it left",
      (one) => one.replicas.some((replica) => replica.id === id && !replica.connected),
      10_000,
    );
    // Everything that it trained has arrived.
    expect(view.replicas.find((replica) => replica.id === id)?.samples).toBe(ended.samples);
  });

  test("[V3] Stop while it trains leaves nothing to compute", async () => {
    const page = await begun({ backend: "wasm" });
    await progressOnce(page, "steps", ({ localSteps }) => localSteps >= 8);
    const { processorMs, endedMs, idleMs } = await stopped(page, "renderer");
    console.log(
      `WASM: the worker ended ${Math.round(endedMs)} ms after Stop, idle after ${Math.round(idleMs)} ms (${processorMs} ms of processor time).`,
    );
    expect(processorMs).toBeLessThan(500);
  });
});

describe("On WebGPU", () => {
  test("[V3] Stop in the middle of measuring leaves two pipelines to compile at most", async () => {
    const page = await begun({ backend: "webgpu" });
    await reaches(page, "measuring");
    await page.page.waitForTimeout(300);
    const { processorMs, endedMs, idleMs } = await stopped(page, "gpu-process");
    console.log(
      `WebGPU, measuring: the worker ended ${Math.round(endedMs)} ms after Stop, idle after ${Math.round(idleMs)} ms (${processorMs} ms of processor time).`,
    );
    // Two pipelines, which in software may take 1.8 s each and cannot be given up; all of them take several times as long.
    expect(processorMs).toBeLessThan(4000);
  });

  test("a GPU that is lost is replaced, training goes on from the last center, and Stop leaves little to compute", async () => {
    const page = await begun({ backend: "webgpu" });
    const { progress } = await progressOnce(page, "an exchange", ({ applied }) => applied >= 1);
    const choice = (await page.messages()).find((message) => message.kind === "backend");
    expect(choice?.kind === "backend" && choice.choice.gflops).toBeGreaterThan(0);
    const session = await browser.newBrowserCDPSession();
    // The answer may never come.
    session.send("Browser.crashGpuProcess").catch(() => {});
    await page.until(
      "news of the loss",
      (messages) =>
        messages.find((message) => message.kind === "phase" && message.detail?.includes("The GPU device was lost")),
      REACTION_TIMEOUT_MS,
    );
    await page.until(
      "training with words",
      (messages) =>
        messages.find(
          (message) =>
            message.kind === "phase" &&
            message.phase === "training" &&
            message.detail?.includes("from the last center"),
        ),
      REACTION_TIMEOUT_MS,
    );
    await progressOnce(page, "more exchanges", ({ applied }) => applied > progress.applied);
    const { processorMs, endedMs, idleMs } = await stopped(page, "gpu-process");
    console.log(
      `WebGPU, training: the worker ended ${Math.round(endedMs)} ms after Stop, idle after ${Math.round(idleMs)} ms (${processorMs} ms of processor time).`,
    );
    expect(processorMs).toBeLessThan(1000);
  });
});
