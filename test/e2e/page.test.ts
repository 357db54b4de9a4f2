/**
 * The volunteer's page against a real coordinator, in a real browser: nothing runs before Start, Start trains, Pause pauses, Finish
 * finishes, Stop stops, and a coordinator that goes is missed. On the processor, because here it is the page that is looked at.
 */

import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { startCoordinator, type CoordinatorProcess } from "../support/coordinator_process.ts";
import {
  knowsTheRun,
  overflowPx,
  PageVisits,
  reaches,
  REACTION_TIMEOUT_MS,
  type Visit,
  type VisitOptions,
} from "../support/page_visits.ts";
import { pressStart } from "../support/volunteer_browser.ts";

/** Long enough for an exchange that was in flight to arrive. */
const SETTLE_MS = 2000;
const WATCHED_MS = 2000;
const PHONE = { width: 360, height: 780 } as const;

let visits: PageVisits;
let coordinator: CoordinatorProcess;

beforeAll(async () => {
  [visits, coordinator] = await Promise.all([
    PageVisits.open(),
    startCoordinator({
      args: ["--name", "page", "--model", "mlp", "--backend", "wasm", "--batch", "16", "--communication-period", "2"],
    }),
  ]);
});

afterEach(async () => {
  await visits.leave();
});

afterAll(async () => {
  await visits.close();
  await coordinator.stop();
});

function visit(path: string, options: VisitOptions = {}, url = coordinator.url): Promise<Visit> {
  return visits.visit(new URL(path, url).href, options);
}

/** What the coordinator counts over a while. */
async function samplesGrowth(): Promise<number> {
  const { samples } = await coordinator.view();
  await new Promise((resolve) => setTimeout(resolve, WATCHED_MS));
  return (await coordinator.view()).samples - samples;
}

test("[E4] Before Start the page says what is trained, and neither a worker nor a socket exists", async () => {
  const { page, workers, sockets, errors, origins } = await visit("/");
  await knowsTheRun(page);
  const { data } = (await (await fetch(`${coordinator.url}/api/run`)).json()) as { data: { title: string } };
  expect(await page.locator("h1").textContent()).toBe(data.title.replace(/\.$/, ""));
  expect(await page.locator("#network").textContent()).toMatch(/^mlp, [\d,]+ parameters$/);
  expect(await page.locator("#for-whom").textContent()).toContain("“page”");
  expect(await page.locator("#costs").textContent()).toMatch(
    /MB to download before the first step.*an hour up and down/,
  );
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
  expect(await page.title()).toMatch(/^\d+\.\d % · Drove$/);
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
  expect(await focused()).toBe("finish");
  await page.keyboard.press("Tab");
  expect(await focused()).toBe("stop");
  await page.keyboard.press("Space");
  await reaches(page, "stopped", 5000);
  expect(await focused()).toBe("start");
});

test("Finish completes the exchange that is begun, says so, and then stops", async () => {
  const { page, errors } = await visit("/?backend=wasm");
  await knowsTheRun(page);
  await pressStart(page);
  await expect.poll(() => page.locator("#verdicts").textContent(), { timeout: REACTION_TIMEOUT_MS }).toMatch(/^[1-9]/);
  const { exchanges } = await coordinator.view();
  await page.evaluate(`window.phases = []; new MutationObserver(() => window.phases.push(document.body.dataset.phase))
    .observe(document.body, { attributes: true })`);
  await page.getByRole("button", { name: "Finish" }).click();
  await reaches(page, "stopped", 20_000);
  expect(await page.evaluate<string[]>("window.phases")).toContain("finishing");
  expect(await page.locator("#phase-detail").textContent()).toContain("Thank you");
  const view = await coordinator.until("it left", ({ replicas }) => replicas.every((one) => !one.connected), 5000);
  expect(view.exchanges).toBeGreaterThan(exchanges);
  // Nothing that it trained on was thrown away: its own count is the coordinator's.
  const own = await page.locator("#samples").textContent();
  expect(Number(own?.split(" ")[0]?.replaceAll(",", ""))).toBe(view.replicas.at(-1)?.samples);
  expect(errors).toEqual([]);
});

test("What goes on is always to be seen: in the title and in the controls, renewed every second", async () => {
  const { page } = await visit("/?backend=wasm");
  await knowsTheRun(page);
  await pressStart(page);
  await reaches(page, "training");
  const detail = page.locator("#phase-detail");
  await expect.poll(() => detail.textContent(), { timeout: 20_000 }).toMatch(/images\/s · .* · \d+ s · .*[MkG]B/);
  expect(await page.title()).toMatch(/training · Drove$/);
  const told = new Set<string | null>();
  for (let seconds = 0; seconds < 4; seconds++) {
    told.add(await detail.textContent());
    await page.waitForTimeout(1100);
  }
  expect(told.size).toBe(4);
  // A screen reader is told of phases, not of every number.
  expect(await page.locator("[aria-live] #phase-detail, [role=status] #phase-detail").count()).toBe(0);
});

test("A coordinator that is gone is missed, and greeted when it is back", async () => {
  const ours = await startCoordinator({ args: ["--name", "gone", "--model", "mlp", "--backend", "wasm"] });
  const { page } = await visit("/", {}, ours.url);
  await knowsTheRun(page);
  await ours.kill();
  await page.locator(".notice.trouble", { hasText: "The coordinator does not answer" }).waitFor();
  await expect.poll(() => page.locator("#run-state").textContent(), { timeout: 20_000 }).toBe("out of reach");
  const back = await startCoordinator({
    args: ["--name", "gone", "--model", "mlp", "--backend", "wasm"],
    port: ours.port,
  });
  try {
    await page.locator(".notice").waitFor({ state: "detached", timeout: REACTION_TIMEOUT_MS });
  } finally {
    await back.stop();
  }
});

test("The page is not wider than a phone of 360 px, and its controls are always in reach", async () => {
  const { page } = await visit("/?backend=wasm", { context: { viewport: PHONE } });
  await knowsTheRun(page);
  expect(await overflowPx(page)).toBe(0);
  const start = await page.locator("#start").boundingBox();
  expect((start?.y ?? PHONE.height) + (start?.height ?? 0)).toBeLessThanOrEqual(PHONE.height);
  await pressStart(page);
  await reaches(page, "training");
  await page.locator("#device").waitFor();
  expect(await overflowPx(page)).toBe(0);
  // However far one has scrolled, the controls are in reach.
  await page.evaluate("window.scrollTo(0, document.body.scrollHeight / 2)");
  await page.waitForTimeout(100);
  const box = await page.locator("#stop").boundingBox();
  expect(box?.y).toBeGreaterThanOrEqual(0);
  expect(box?.y).toBeLessThan(PHONE.height);
});

test("Members of a compute group read which group they are in", async () => {
  const args = ["--solver", "async-sgd", "--groups", "1", "--backend", "wasm", "--batch", "16"];
  const ours = await startCoordinator({ args: ["--name", "grouped", "--model", "mlp", ...args] });
  try {
    const { page } = await visit("/", { context: { viewport: PHONE } }, ours.url);
    await knowsTheRun(page);
    await pressStart(page);
    const assigned = page.locator("#assigned:visible");
    await assigned.waitFor({ timeout: REACTION_TIMEOUT_MS });
    await expect.poll(() => assigned.textContent(), { timeout: 20_000 }).toContain("compute group 1 of 1");
    expect(await overflowPx(page)).toBe(0);
  } finally {
    await ours.stop();
  }
});
