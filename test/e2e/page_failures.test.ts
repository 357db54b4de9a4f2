/**
 * Whatever goes wrong on the volunteer's page is a sentence with the fix, and a button where a button is the fix. Kicks, drains and the
 * end of the run are real; where this machine has no such fault (another browser, a lost GPU, a full run), the browser or the worker is
 * made to say what it would say there.
 */

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Page } from "playwright";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { FailureKind } from "../../client/messages.ts";
import { startCoordinator, type CoordinatorProcess } from "../support/coordinator_process.ts";
import { knowsTheRun, PageVisits, reaches, REACTION_TIMEOUT_MS, type Visit } from "../support/page_visits.ts";
import { pressStart } from "../support/volunteer_browser.ts";

/** A name that is not the browser's own machine to it, and is to us. */
const ELSEWHERE = "drove.example";
const SHORT_TIMEOUT_MS = 20_000;
const WORKER = /\/assets\/worker-[^/]*\.js$/;
const WITHOUT_WEBGPU = "delete Navigator.prototype.gpu";

let visits: PageVisits;
let coordinator: CoordinatorProcess;

beforeAll(async () => {
  const args = ["--name", "failures", "--model", "mlp", "--backend", "wasm", "--batch", "16"];
  [visits, coordinator] = await Promise.all([
    PageVisits.open([`--host-resolver-rules=MAP ${ELSEWHERE} 127.0.0.1`]),
    startCoordinator({ args }),
  ]);
});

afterEach(async () => {
  await visits.leave();
});

afterAll(async () => {
  await visits.close();
  await coordinator.stop();
});

/** Whose worker is this script. */
function visitWithWorker(script: string): Promise<Visit> {
  return visits.visit(`${coordinator.url}/`, {
    prepare: (page) => page.route(WORKER, (route) => route.fulfill(workerOf(script))),
  });
}

function workerOf(body: string) {
  return { body, contentType: "text/javascript", headers: { "Cross-Origin-Embedder-Policy": "require-corp" } };
}

/** Says so as soon as it is to start. */
function failing(failure: FailureKind, sentence: string): string {
  return `onmessage = ({ data }) => { if (data.kind === "start") postMessage(${JSON.stringify({ kind: "failed", failure, sentence })}) }`;
}

async function train(page: Page): Promise<void> {
  await knowsTheRun(page);
  await pressStart(page);
  await reaches(page, "training");
}

test("Without WebGPU a browser is told before Start how to get it, in its own words", async () => {
  // The other browsers' sentences are in test/null/browser_advice.test.ts.
  const userAgent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
  const { page } = await visits.visit(`${coordinator.url}/?backend=webgpu`, {
    context: { userAgent },
    prepare: (opened) => opened.addInitScript(WITHOUT_WEBGPU),
  });
  await knowsTheRun(page);
  const told = await page.locator(".notice").textContent();
  expect(told).toContain("offers no WebGPU");
  expect(told).toContain("dom.webgpu.enabled");
  expect(told).toContain("cannot start here");
});

test("Where the run asks for WebGPU and there is none, Start says so and offers the processor, which trains", async () => {
  const { page, errors } = await visits.visit(`${coordinator.url}/?backend=webgpu`, {
    prepare: (opened) => opened.addInitScript(WITHOUT_WEBGPU),
  });
  // The worker's own navigator has WebGPU or has none, as this browser does; its sentence says which.
  await knowsTheRun(page);
  await pressStart(page);
  await reaches(page, "failed");
  const notice = page.locator(".notice.trouble");
  expect(await notice.textContent()).toMatch(/WebGPU|graphics adapter/);
  expect(errors).toEqual([]);
  await page.goto(`${coordinator.url}/?backend=wasm`);
  await train(page);
});

test("An address over plain http is told why the GPU is closed to it", async () => {
  const { port } = coordinator;
  const { page } = await visits.visit(`http://${ELSEWHERE}:${port}/?backend=auto`);
  await knowsTheRun(page);
  const told = page.locator(".notice");
  // The run asks for WASM, so there is nothing to say; a link that asks for WebGPU has to be told.
  expect(await told.count()).toBe(0);
  await page.goto(`http://${ELSEWHERE}:${port}/?backend=webgpu`);
  await knowsTheRun(page);
  expect(await told.textContent()).toContain(`plain http from ${ELSEWHERE}`);
  expect(await told.textContent()).toContain(`http://localhost:${port}`);
});

test("A link that asks for a backend that does not exist is told which ones do", async () => {
  const { page } = await visits.visit(`${coordinator.url}/?backend=cuda`);
  expect(await page.locator(".notice").textContent()).toContain("use webgpu, wasm, hybrid or auto");
});

test("Every kind of failure has a heading, the worker's sentence, and the buttons that are the fix", async () => {
  const kinds = [
    ["out-of-reach", "The run could not be reached", ["Try again"]],
    ["run-full", "The run is full", ["Try again"]],
    ["other", "Training broke off", ["Try again", "Reload the page"]],
    ["device-lost", "The GPU was lost", ["Reload the page", "Train on the processor instead"]],
    [
      "exam-failed",
      "This device does not compute what it should",
      ["Train on the processor instead", "Reload the page"],
    ],
  ] as const;
  let script = "";
  const { page, workers } = await visits.visit(`${coordinator.url}/?backend=webgpu`, {
    prepare: (opened) => opened.route(WORKER, (route) => route.fulfill(workerOf(script))),
  });
  await knowsTheRun(page);
  for (const [kind, heading, buttons] of kinds) {
    const sentence = `What happened, and what to do about ${kind}.`;
    script = failing(kind, sentence);
    await page.locator("#start").click();
    const notice = page.locator(".notice.trouble", { hasText: sentence });
    await notice.waitFor({ timeout: SHORT_TIMEOUT_MS });
    expect(await page.locator("body").getAttribute("data-phase")).toBe("failed");
    expect(await notice.locator("strong").textContent()).toBe(heading);
    expect(await notice.locator("button").allTextContents()).toEqual(buttons);
    const before = workers.length;
    await notice.getByRole("button", { name: buttons[0] }).click();
    if (buttons[0] === "Try again")
      await expect.poll(() => workers.length, { timeout: SHORT_TIMEOUT_MS }).toBe(before + 1);
    else await notice.waitFor({ state: "detached", timeout: SHORT_TIMEOUT_MS });
    if (buttons[0] === "Train on the processor instead") expect(page.url()).toContain("backend=wasm");
    await knowsTheRun(page);
  }
});

test("A page that is older than its coordinator loads itself anew once, says so, and only then asks the volunteer", async () => {
  const { page } = await visitWithWorker(failing("old-client", "Reload the page to get the current client."));
  await knowsTheRun(page);
  const loads: string[] = [];
  page.on("load", () => loads.push(page.url()));
  await pressStart(page);
  const renewed = page.locator(".notice", { hasText: "loaded itself anew" });
  await renewed.waitFor({ timeout: SHORT_TIMEOUT_MS });
  expect(loads).toHaveLength(1);
  await knowsTheRun(page);
  await pressStart(page);
  await reaches(page, "failed", SHORT_TIMEOUT_MS);
  expect(loads).toHaveLength(1);
  const notice = page.locator(".notice.trouble");
  expect(await notice.locator("strong").textContent()).toBe("This page is older than its coordinator");
  expect(await notice.locator("button").allTextContents()).toEqual(["Reload the page"]);
});

test("Settings that this page cannot read, and a worker that is gone from the coordinator, make it load itself anew too", async () => {
  const { page } = await visits.visit(`${coordinator.url}/`, {
    prepare: async (opened) => {
      await opened.route("**/api/run", async (route) => {
        const settings = (await (await route.fetch()).json()) as object;
        await route.fulfill({ json: { ...settings, invention: 1 } });
      });
    },
  });
  const notice = page.locator(".notice.trouble", { hasText: "Reload the page to get the current client" });
  await notice.waitFor({ timeout: SHORT_TIMEOUT_MS });
  expect(await page.evaluate("performance.getEntriesByType('navigation')[0].type")).toBe("reload");
  const gone = await visits.visit(`${coordinator.url}/`, {
    prepare: (opened) => opened.route(WORKER, (route) => route.fulfill({ status: 404 })),
  });
  await knowsTheRun(gone.page);
  await pressStart(gone.page);
  await gone.page.locator(".notice", { hasText: "loaded itself anew" }).waitFor({ timeout: SHORT_TIMEOUT_MS });
});

test("The operator's pause, drain and kick are told in words, and a kicked page may come back as another replica only", async () => {
  const { page } = await visits.visit(`${coordinator.url}/?backend=wasm`);
  await train(page);
  await coordinator.control({ kind: "pause" });
  await reaches(page, "held", SHORT_TIMEOUT_MS);
  expect(await page.locator("#phase").textContent()).toContain("operator has the run wait");
  await coordinator.control({ kind: "resume" });
  await reaches(page, "training", SHORT_TIMEOUT_MS);
  const ownId = async (): Promise<string> => {
    const view = await coordinator.until("one is here", (one) => one.replicas.some((row) => row.connected), 5000);
    return view.replicas.findLast((row) => row.connected)?.id ?? "";
  };
  const first = await ownId();
  await coordinator.control({ kind: "drain", replica: first });
  await reaches(page, "stopped", 30_000);
  expect(await page.locator("#phase-detail").textContent()).toContain(
    "operator of this run asked this device to finish",
  );
  await page.getByRole("button", { name: "Start again" }).click();
  await reaches(page, "training");
  const second = await ownId();
  expect(second).toBe(first);
  await coordinator.control({ kind: "kick", replica: second });
  await reaches(page, "failed", SHORT_TIMEOUT_MS);
  const notice = page.locator(".notice.trouble");
  expect(await notice.locator("strong").textContent()).toBe("The operator removed your replica");
  expect(await notice.locator("p").textContent()).toContain("ask whoever sent you the link");
  await page.getByRole("button", { name: "Start again" }).click();
  await reaches(page, "training");
  expect(await ownId()).not.toBe(second);
});

test("Inside another site's page it refuses, where headers do not forbid it already, and says why", async () => {
  const host = await serveFrame(coordinator.url);
  try {
    const { page, workers } = await visits.visit(host.url, {
      prepare: (opened) =>
        opened.route(`${coordinator.url}/`, async (route) => {
          const response = await route.fetch();
          const headers = { ...response.headers() };
          // As a proxy may lose it.
          delete headers["content-security-policy"];
          await route.fulfill({ response, headers });
        }),
    });
    const frame = page.frameLocator("iframe");
    await frame.locator(".embedded").waitFor({ timeout: SHORT_TIMEOUT_MS });
    expect(await frame.locator(".embedded").textContent()).toContain("Drove does not train");
    expect(await frame.locator("a").getAttribute("href")).toBe(`${coordinator.url}/`);
    expect(await frame.locator("#start").count()).toBe(0);
    expect(workers).toEqual([]);
    // With the header the browser itself shows nothing of it.
    await page.unrouteAll();
    await page.goto(host.url);
    await page.waitForTimeout(500);
    expect(await page.frameLocator("iframe").locator("#start, .embedded").count()).toBe(0);
  } finally {
    host.server.close();
  }
});

test("A run that its operator ends says so and thanks, and a page that comes later has nothing to start", async () => {
  const ours = await startCoordinator({
    args: ["--name", "over", "--model", "mlp", "--backend", "wasm", "--batch", "16"],
  });
  const { page } = await visits.visit(`${ours.url}/?backend=wasm`);
  await train(page);
  await ours.control({ kind: "finish" });
  await reaches(page, "finished", REACTION_TIMEOUT_MS);
  expect(await page.locator("#phase").textContent()).toBe("The run is over. Thank you!");
  expect(await page.locator("#start").isVisible()).toBe(false);
  await ours.ended;
});

async function serveFrame(address: string): Promise<{ readonly server: Server; readonly url: string }> {
  const server = createServer((_request, response) => {
    response.setHeader("Content-Type", "text/html");
    response.end(
      `<!doctype html><title>Another site</title><iframe src="${address}/" width="600" height="400"></iframe>`,
    );
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` };
}
