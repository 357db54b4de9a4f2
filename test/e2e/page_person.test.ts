/**
 * What is the volunteer's own: a name and the leaderboard, coming back as the same replica, being forgotten, inviting others, and a
 * second tab that waits its turn. Against a real coordinator, in a real browser.
 */

import type { Page } from "playwright";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { startCoordinator, type CoordinatorProcess } from "../support/coordinator_process.ts";
import { knowsTheRun, PageVisits, reaches, REACTION_TIMEOUT_MS } from "../support/page_visits.ts";
import { pressStart } from "../support/volunteer_browser.ts";

const SHORT_TIMEOUT_MS = 20_000;

let visits: PageVisits;
let coordinator: CoordinatorProcess;

beforeAll(async () => {
  const args = ["--name", "person", "--model", "mlp", "--backend", "wasm", "--batch", "16"];
  [visits, coordinator] = await Promise.all([PageVisits.open(), startCoordinator({ args })]);
});

afterEach(async () => {
  await visits.leave();
});

afterAll(async () => {
  await visits.close();
  await coordinator.stop();
});

async function train(page: Page): Promise<void> {
  await knowsTheRun(page);
  await pressStart(page);
  await reaches(page, "training");
}

async function namesHere(): Promise<(string | null)[]> {
  const { replicas } = await coordinator.view();
  return replicas.filter((one) => one.connected).map(({ name }) => name);
}

function storage(page: Page): Promise<[string, string][]> {
  return page.evaluate<[string, string][]>("Object.entries(localStorage)");
}

test("A name is shown on the leaderboard as text, can be changed, and comes back with the replica after a reload", async () => {
  const { page, errors } = await visits.visit(`${coordinator.url}/`);
  await knowsTheRun(page);
  expect(await storage(page)).toEqual([]);
  await page.getByLabel("Name").fill("<b>Ada</b>");
  await pressStart(page);
  await reaches(page, "training");
  const row = page.locator("#leaderboard li.own-row .who");
  await row.waitFor({ timeout: REACTION_TIMEOUT_MS });
  expect(await row.textContent()).toContain("<b>Ada</b>");
  expect(await row.locator("b").count()).toBe(0);
  await page.getByLabel("Name").fill("Grace");
  await page.getByLabel("Name").blur();
  await expect.poll(namesHere, { timeout: SHORT_TIMEOUT_MS }).toEqual(["Grace"]);
  // One entry, and a short one.
  const [[key, value] = ["", ""], ...others] = await storage(page);
  expect(others).toEqual([]);
  expect(key.length).toBeLessThanOrEqual(5);
  expect(value.length).toBeLessThanOrEqual(64);
  expect(await page.context().cookies()).toEqual([]);

  const before = await coordinator.view();
  await page.reload();
  await knowsTheRun(page);
  await expect.poll(() => page.locator("#phase-detail").textContent()).toContain("Welcome back");
  expect(await page.getByLabel("Name").inputValue()).toBe("Grace");
  await coordinator.until(
    "its place is free",
    ({ replicas }) => replicas.every((one) => !one.connected),
    SHORT_TIMEOUT_MS,
  );
  await pressStart(page);
  await reaches(page, "training");
  const again = await coordinator.until(
    "it pushes as the same replica",
    ({ replicas, applied }) => applied > before.applied && replicas.some((one) => one.connected),
    REACTION_TIMEOUT_MS,
  );
  expect(again.replicas).toHaveLength(before.replicas.length);
  expect(await namesHere()).toEqual(["Grace"]);
  expect(errors).toEqual([]);
});

test("Forget me takes the one entry away and says what it was; the next start is another replica", async () => {
  const { page } = await visits.visit(`${coordinator.url}/`);
  await train(page);
  const known = (await coordinator.view()).replicas.length;
  await page.getByRole("button", { name: "Use dark colours" }).click();
  expect(await storage(page)).toHaveLength(1);
  await page.getByRole("button", { name: "Stop" }).click();
  await reaches(page, "stopped", SHORT_TIMEOUT_MS);
  await page.getByRole("button", { name: "Forget me" }).click();
  expect(await page.locator("#forgotten").textContent()).toContain("which replica you are");
  expect(await storage(page)).toEqual([]);
  await page.getByRole("button", { name: "Start again" }).click();
  await reaches(page, "training");
  await coordinator.until("another replica is here", ({ replicas }) => replicas.length === known + 1, SHORT_TIMEOUT_MS);
});

test("The link can be copied, handed to the system's sharing, and read from a QR code", async () => {
  const { page, errors, origins } = await visits.visit(`${coordinator.url}/`, {
    context: { permissions: ["clipboard-read", "clipboard-write"] },
    prepare: (opened) =>
      opened.addInitScript("navigator.share = (what) => { globalThis.shared = what; return Promise.resolve(); }"),
  });
  await knowsTheRun(page);
  const link = `${new URL(coordinator.url).origin}/`;
  expect(await page.locator("#link").textContent()).toBe(link);
  await page.getByRole("button", { name: "Copy link" }).click();
  await page.getByRole("button", { name: "Copied" }).waitFor();
  expect(await page.evaluate("navigator.clipboard.readText()")).toBe(link);
  await page.getByRole("button", { name: "Share…" }).click();
  expect(await page.evaluate<{ url: string }>("shared")).toMatchObject({ url: link });
  await page.getByRole("button", { name: "Show QR code" }).click();
  const code = page.getByRole("img", { name: `QR code of ${link}` });
  await code.waitFor();
  // 25 modules of version 2 and a quiet zone of 4 on each side; the finder pattern stands in its corner.
  expect(await code.getAttribute("viewBox")).toBe("0 0 33 33");
  expect(await code.locator("path").getAttribute("d")).toMatch(/^M4 4h1v1h-1zM5 4h1v1h-1z/);
  await page.getByRole("button", { name: "Hide QR code" }).click();
  expect(await code.isVisible()).toBe(false);
  expect(errors).toEqual([]);
  expect([...origins].filter((origin) => origin !== "null")).toEqual([new URL(coordinator.url).origin]);
});

test("A second tab of the run waits its turn, starts by itself when the first ends, and may take over", async () => {
  const first = await visits.visit(`${coordinator.url}/`);
  await train(first.page);
  const second = await visits.visit(`${coordinator.url}/`, { beside: first.page });
  await knowsTheRun(second.page);
  await pressStart(second.page);
  await reaches(second.page, "queued", SHORT_TIMEOUT_MS);
  expect(await second.page.locator("#phase").textContent()).toContain("waits its turn");
  expect(second.workers).toEqual([]);
  await first.page.getByRole("button", { name: "Stop" }).click();
  await reaches(second.page, "training");

  await first.page.getByRole("button", { name: "Start again" }).click();
  await reaches(first.page, "queued", SHORT_TIMEOUT_MS);
  await first.page.getByRole("button", { name: "Train here instead" }).click();
  await reaches(second.page, "stopped", SHORT_TIMEOUT_MS);
  expect(await second.page.locator("#phase-detail").textContent()).toContain("Another tab of this run trains now");
  await reaches(first.page, "training");

  // Whoever does not want to wait does not.
  await second.page.getByRole("button", { name: "Start again" }).click();
  await reaches(second.page, "queued", SHORT_TIMEOUT_MS);
  await second.page.getByRole("button", { name: "Do not wait" }).click();
  await reaches(second.page, "stopped", SHORT_TIMEOUT_MS);
  await first.page.close();
  await second.page.waitForTimeout(500);
  expect(await second.page.locator("body").getAttribute("data-phase")).toBe("stopped");
  await coordinator.until(
    "the closed tab left",
    ({ replicas }) => replicas.every((one) => !one.connected),
    SHORT_TIMEOUT_MS,
  );
});
