/**
 * Both pages against a real coordinator, in a real browser: nothing runs before Start, Start trains, Pause pauses, Stop
 * stops, and what goes wrong is said in words. On the processor, because here it is the pages that are looked at.
 */

import { chromium, type Browser, type BrowserContextOptions, type Page } from "playwright";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { locateBrowser } from "../../coordinator/browser/find.ts";
import { startCoordinator, type CoordinatorProcess } from "../support/coordinator_process.ts";
import { pressStart } from "../support/volunteer_browser.ts";

const REACTION_TIMEOUT_MS = 90_000;
/** Long enough for an exchange that was in flight to arrive. */
const SETTLE_MS = 3000;
const WATCHED_MS = 3000;
const PHONE = { width: 360, height: 780 } as const;
/** A name that is not the browser's own machine to it, and is to us. */
const ELSEWHERE = "drove.example";

let browser: Browser;
let coordinator: CoordinatorProcess;
const pages: Visit[] = [];

beforeAll(async () => {
  const executablePath = await locateBrowser();
  if (!executablePath) throw new Error("There is no browser; run `npx drove doctor --install`.");
  const sandbox = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  [browser, coordinator] = await Promise.all([
    chromium.launch({ executablePath, args: [...sandbox, `--host-resolver-rules=MAP ${ELSEWHERE} 127.0.0.1`] }),
    startCoordinator({ args: ["--name", "page", "--backend", "wasm", "--batch", "16", "--communication-period", "2"] }),
  ]);
});

afterEach(async () => {
  await Promise.all(pages.splice(0).map(({ page }) => page.context().close()));
});

afterAll(async () => {
  await browser.close();
  await coordinator.stop();
});

/** An opened page and everything that it made and said. */
interface Visit {
  readonly page: Page;
  readonly workers: string[];
  readonly sockets: string[];
  readonly errors: string[];
  readonly origins: Set<string>;
}

async function visit(
  path: string,
  { url = coordinator.url, context = {}, prepare }: VisitOptions = {},
): Promise<Visit> {
  const page = await (await browser.newContext(context)).newPage();
  const made: Visit = { page, workers: [], sockets: [], errors: [], origins: new Set() };
  pages.push(made);
  page.on("worker", (worker) => made.workers.push(worker.url()));
  page.on("websocket", (socket) => made.sockets.push(socket.url()));
  page.on("pageerror", (error) => made.errors.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") made.errors.push(message.text());
  });
  page.on("request", (request) => made.origins.add(new URL(request.url()).origin));
  await prepare?.(page);
  await page.goto(new URL(path, url).href);
  return made;
}

interface VisitOptions {
  readonly url?: string;
  readonly context?: BrowserContextOptions;
  readonly prepare?: (page: Page) => Promise<unknown>;
}

async function reaches(page: Page, phase: string, timeout = REACTION_TIMEOUT_MS): Promise<void> {
  await page.locator(`body[data-phase="${phase}"]`).waitFor({ timeout });
}

/** Start can be pressed once the page knows the run. */
async function knowsTheRun(page: Page): Promise<void> {
  await page.locator("#start:enabled").waitFor({ timeout: REACTION_TIMEOUT_MS });
}

/** What the coordinator counts over a while. */
async function samplesGrowth(): Promise<number> {
  const { samples } = await coordinator.view();
  await new Promise((resolve) => setTimeout(resolve, WATCHED_MS));
  return (await coordinator.view()).samples - samples;
}

function overflowPx(page: Page): Promise<number> {
  return page.evaluate<number>("document.documentElement.scrollWidth - document.documentElement.clientWidth");
}

test("[E4] Before Start the page says what is trained, and neither a worker nor a socket exists", async () => {
  const { page, workers, sockets, errors, origins } = await visit("/");
  await knowsTheRun(page);
  const { data } = (await (await fetch(`${coordinator.url}/api/run`)).json()) as { data: { title: string } };
  expect(await page.locator("h1").textContent()).toBe(data.title.replace(/\.$/, ""));
  expect(await page.locator("#network").textContent()).toContain("431,080 parameters");
  await page.waitForTimeout(WATCHED_MS);
  expect(await page.locator("#accuracy").textContent()).toMatch(/ %$/);
  expect({ workers, sockets, errors }).toEqual({ workers: [], sockets: [], errors: [] });
  expect([...origins].filter((origin) => origin !== "null")).toEqual([new URL(coordinator.url).origin]);
});

test("[E4] A link with start=1 starts headless browsers only, never a person's", async () => {
  const person = await visit("/?start=1", {
    prepare: (page) => page.addInitScript("Object.defineProperty(navigator, 'webdriver', { get: () => false })"),
  });
  await knowsTheRun(person.page);
  await person.page.waitForTimeout(WATCHED_MS);
  expect(person.workers).toEqual([]);
  const headless = await visit("/?start=1");
  await reaches(headless.page, "training");
  expect(headless.workers).toHaveLength(1);
});

test("[E4] Start trains, Pause pauses, Resume resumes and Stop stops", async () => {
  const { page, workers, sockets, errors, origins } = await visit("/?backend=wasm");
  await knowsTheRun(page);
  await pressStart(page);
  await reaches(page, "training");
  await expect.poll(() => page.locator("#verdicts").textContent(), { timeout: REACTION_TIMEOUT_MS }).toMatch(/^[1-9]/);
  expect(await page.locator("#loss").textContent()).toMatch(/^\d+\.\d+$/);
  expect(await page.locator("#device-name").textContent()).toContain("WASM");
  expect(workers).toHaveLength(1);
  expect(sockets).toHaveLength(1);

  await page.getByRole("button", { name: "Pause" }).click();
  await reaches(page, "paused");
  await page.waitForTimeout(SETTLE_MS);
  expect(await samplesGrowth()).toBe(0);

  const { samples } = await coordinator.view();
  await page.getByRole("button", { name: "Resume" }).click();
  await reaches(page, "training");
  await coordinator.until("training goes on", (view) => view.samples > samples, REACTION_TIMEOUT_MS);

  await page.getByRole("button", { name: "Stop" }).click();
  await reaches(page, "stopped", 5000);
  expect(page.workers()).toEqual([]);
  await coordinator.until("it left", (view) => view.replicas.every((replica) => !replica.connected), 5000);
  // A push that came before the goodbye is still applied.
  await page.waitForTimeout(SETTLE_MS);
  expect(await samplesGrowth()).toBe(0);
  expect(await page.locator("#phase-detail").textContent()).toContain("Thank you");
  expect(errors).toEqual([]);
  expect([...origins].filter((origin) => origin !== "null")).toEqual([new URL(coordinator.url).origin]);
});

test("[E4] Stop ends a worker that does not answer within 250 ms", async () => {
  const deaf = "self.onmessage = () => self.postMessage({ kind: 'phase', phase: 'training' })";
  const { page } = await visit("/", {
    prepare: (opened) =>
      opened.route(/\/assets\/worker-[^/]*\.js$/, (route) =>
        route.fulfill({
          body: deaf,
          contentType: "text/javascript",
          headers: { "Cross-Origin-Embedder-Policy": "require-corp" },
        }),
      ),
  });
  await knowsTheRun(page);
  await pressStart(page);
  await reaches(page, "training");
  const tookMs = await page.evaluate<number>(`new Promise((resolve) => {
    const pressedMs = performance.now();
    new MutationObserver(() => {
      if (document.body.dataset.phase === "stopped") resolve(performance.now() - pressedMs);
    }).observe(document.body, { attributes: true });
    document.querySelector("#stop").click();
  })`);
  expect(tookMs).toBeLessThan(250);
  await expect.poll(() => page.workers().length).toBe(0);
});

test("The controls are operable by keyboard, and the focus stays with them", async () => {
  const { page } = await visit("/?backend=wasm");
  await knowsTheRun(page);
  const focused = (): Promise<string> => page.evaluate<string>("document.activeElement.id");
  await page.locator("#start").focus();
  await page.keyboard.press("Enter");
  expect(await focused()).toBe("pause");
  await page.keyboard.press("Tab");
  expect(await focused()).toBe("stop");
  await page.keyboard.press("Space");
  await reaches(page, "stopped", 5000);
  expect(await focused()).toBe("start");
});

test("An address over plain http is told why the GPU is closed to it, and that training works all the same", async () => {
  const { port } = coordinator;
  const { page } = await visit("/?backend=auto", { url: `http://${ELSEWHERE}:${port}` });
  await knowsTheRun(page);
  const told = page.locator(".notice");
  // The run asks for WASM, so there is nothing to say; a link that asks for WebGPU has to be told.
  expect(await told.count()).toBe(0);
  await page.goto(`http://${ELSEWHERE}:${port}/?backend=webgpu`);
  await knowsTheRun(page);
  expect(await told.textContent()).toContain(`plain http from ${ELSEWHERE}`);
  expect(await told.textContent()).toContain(`http://localhost:${port}`);
});

test("A coordinator that is gone is missed on both pages, and greeted when it is back", async () => {
  const ours = await startCoordinator({ args: ["--name", "gone", "--backend", "wasm"] });
  const { url } = ours;
  const volunteer = await visit("/", { url });
  const operator = await visit("/operator", { url });
  await knowsTheRun(volunteer.page);
  await operator.page.locator("#state", { hasText: "waiting for replicas" }).waitFor();
  await ours.kill();
  const missing = "The coordinator does not answer";
  await volunteer.page.locator(".notice.trouble", { hasText: missing }).waitFor();
  await operator.page.locator(".notice.trouble", { hasText: missing }).waitFor();
  const state = operator.page.locator("#state");
  await expect.poll(() => state.textContent(), { timeout: REACTION_TIMEOUT_MS }).toBe("coordinator gone");
  const back = await startCoordinator({ args: ["--name", "gone", "--backend", "wasm"], port: ours.port });
  try {
    await volunteer.page.locator(".notice").waitFor({ state: "detached", timeout: REACTION_TIMEOUT_MS });
    await operator.page.locator(".notice").waitFor({ state: "detached", timeout: REACTION_TIMEOUT_MS });
    await operator.page.locator("#state", { hasText: "waiting for replicas" }).waitFor();
  } finally {
    await back.stop();
  }
});

test("The operator's page shows the run and its replicas, and the link to share", async () => {
  const volunteer = await visit("/?backend=wasm");
  await knowsTheRun(volunteer.page);
  await pressStart(volunteer.page);
  const { page, errors, origins } = await visit("/operator");
  await page.locator("#rows tr:not(.left)").first().waitFor({ timeout: REACTION_TIMEOUT_MS });
  expect(await page.locator("#run").textContent()).toBe("page");
  expect(await page.locator("#link").textContent()).toBe(`${new URL(coordinator.url).origin}/`);
  expect(await page.locator("#rows tr").count()).toBe((await coordinator.view()).replicas.length);
  expect(await page.locator("#learning-rate").textContent()).toBe("0.03");
  expect(await page.locator("#period").textContent()).toBe("2");
  expect(await page.locator("#groups").textContent()).toBe("every replica its own");
  // Without compute groups and an autotuner nothing speaks of them.
  expect(await page.locator(".if-groups:visible, #autotune:visible").count()).toBe(0);
  expect(errors).toEqual([]);
  expect([...origins].filter((origin) => origin !== "null")).toEqual([new URL(coordinator.url).origin]);
});

test.each(["light", "dark"] as const)("No page is wider than a phone of 360 px, in %s", async (colorScheme) => {
  const context = { viewport: PHONE, colorScheme };
  const volunteer = await visit("/?backend=wasm", { context });
  await knowsTheRun(volunteer.page);
  expect(await overflowPx(volunteer.page)).toBe(0);
  await pressStart(volunteer.page);
  await reaches(volunteer.page, "training");
  expect(await overflowPx(volunteer.page)).toBe(0);
  const operator = await visit("/operator", { context });
  await operator.page.locator("#rows tr").first().waitFor({ timeout: REACTION_TIMEOUT_MS });
  expect(await overflowPx(operator.page)).toBe(0);
});

test("Members of a compute group read on their page and on the operator's which group they are in", async () => {
  const args = ["--solver", "async-sgd", "--groups", "1", "--backend", "wasm", "--batch", "16"];
  const ours = await startCoordinator({ args: ["--name", "grouped", "--model", "mlp", ...args] });
  try {
    const volunteer = await visit("/", { url: ours.url, context: { viewport: PHONE } });
    await knowsTheRun(volunteer.page);
    await pressStart(volunteer.page);
    const assigned = volunteer.page.locator("#assigned:visible");
    await assigned.waitFor({ timeout: REACTION_TIMEOUT_MS });
    expect(await assigned.textContent()).toContain("compute group 1 of 1");
    expect(await overflowPx(volunteer.page)).toBe(0);
    const operator = await visit("/operator", { url: ours.url });
    const group = operator.page.locator("td.if-groups:visible");
    await group.first().waitFor({ timeout: REACTION_TIMEOUT_MS });
    expect(await group.first().textContent()).toBe("1");
    expect(await operator.page.locator("#groups").textContent()).toBe("1");
  } finally {
    await ours.stop();
  }
});
