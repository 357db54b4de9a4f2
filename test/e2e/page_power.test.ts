/**
 * The rules of power on the volunteer's page, each one as a volunteer uses it: battery, pressure, hours, data cap, duty cycle, screen,
 * hidden and sleeping tabs. What this machine lacks is put into the page before it loads; the coordinator and the training are real.
 */

import type { Page } from "playwright";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { startCoordinator, type CoordinatorProcess } from "../support/coordinator_process.ts";
import {
  knowsTheRun,
  overridePressure,
  PageVisits,
  reaches,
  REACTION_TIMEOUT_MS,
  type VisitOptions,
} from "../support/page_visits.ts";
import { pressStart } from "../support/volunteer_browser.ts";

/** The longest that a change of the machine may stay unheeded (F8, F9 of the acceptance matrix), and what a loaded machine adds. */
const HEED_TIMEOUT_MS = 15_000;

/** A battery that the test plugs in and out: `battery.set(false)`. */
const BATTERY = `
  const battery = Object.assign(new EventTarget(), { charging: true, level: 0.8, chargingTime: 600 });
  battery.set = (charging) => { battery.charging = charging; battery.dispatchEvent(new Event("chargingchange")); };
  globalThis.battery = battery;
  Navigator.prototype.getBattery = () => Promise.resolve(battery);
`;
const WITHOUT_SENSES = `
  delete Navigator.prototype.getBattery;
  delete globalThis.PressureObserver;
  delete Navigator.prototype.wakeLock;
`;
const WAKE_LOCK = `
  globalThis.locks = [];
  Object.defineProperty(Navigator.prototype, "wakeLock", { configurable: true, get: () => ({
    request: async (kind) => {
      const lock = Object.assign(new EventTarget(), { kind, released: false });
      lock.release = async () => { lock.released = true; lock.dispatchEvent(new Event("release")); };
      locks.push(lock);
      return lock;
    } }) });
`;

let visits: PageVisits;
let coordinator: CoordinatorProcess;

beforeAll(async () => {
  const args = [
    "--name",
    "power",
    "--model",
    "mlp",
    "--backend",
    "wasm",
    "--batch",
    "16",
    "--communication-period",
    "8",
  ];
  [visits, coordinator] = await Promise.all([PageVisits.open(), startCoordinator({ args })]);
});

afterEach(async () => {
  await visits.leave();
});

afterAll(async () => {
  await visits.close();
  await coordinator.stop();
});

async function visit(script: string, options: VisitOptions = {}): Promise<Page> {
  const { page } = await visits.visit(`${coordinator.url}/`, {
    ...options,
    prepare: (opened) => opened.addInitScript(script),
  });
  await knowsTheRun(page);
  return page;
}

/** Of one's own page only: replicas of other tests have left. */
async function connected() {
  const { replicas } = await coordinator.view();
  return replicas.filter((replica) => replica.connected);
}

function words(page: Page): Promise<string | null> {
  return page.locator("#phase").textContent();
}

function time(inMinutes: number): string {
  const at = new Date(Date.now() + inMinutes * 60_000);
  return [at.getHours(), at.getMinutes()].map((part) => String(part).padStart(2, "0")).join(":");
}

test("On battery it pauses by itself and goes on when plugged in; the volunteer's own pause stays; a portable device begins at half power", async () => {
  const page = await visit(BATTERY);
  // This machine is as busy as its tests make it.
  await page.getByLabel("Give way when this machine is busy").uncheck();
  expect(await page.locator("#power-value").textContent()).toBe("50 %");
  expect(await page.locator("#power-why").textContent()).toContain("has a battery");
  await page.evaluate("battery.set(false)");
  await pressStart(page);
  // Nothing begins before it may: no worker, no socket.
  await reaches(page, "paused", HEED_TIMEOUT_MS);
  expect(page.workers()).toEqual([]);
  expect(await words(page)).toBe("Paused, on battery");
  expect(await page.locator("#phase-detail").textContent()).toContain("plugged in");
  await page.evaluate("battery.set(true)");
  await reaches(page, "training");
  await page.evaluate("battery.set(false)");
  await reaches(page, "paused", HEED_TIMEOUT_MS);
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByRole("button", { name: "Resume" }).waitFor();
  await page.evaluate("battery.set(true)");
  await expect.poll(() => words(page), { timeout: HEED_TIMEOUT_MS }).toBe("Paused: nothing is computed");
  await page.waitForTimeout(1500);
  expect(await page.locator("body").getAttribute("data-phase")).toBe("paused");
  await page.getByRole("button", { name: "Resume" }).click();
  await reaches(page, "training", HEED_TIMEOUT_MS);
  // Whoever does not want the rule takes it away.
  await page.evaluate("battery.set(false)");
  await reaches(page, "paused", HEED_TIMEOUT_MS);
  await page.getByLabel("Pause on battery").uncheck();
  await reaches(page, "training", HEED_TIMEOUT_MS);
});

test("Under serious pressure it takes half of the power, under critical pressure it pauses, and it comes back after a calm", async () => {
  let press: Awaited<ReturnType<typeof overridePressure>> | undefined;
  const { page } = await visits.visit(`${coordinator.url}/`, {
    prepare: async (opened) => {
      press = await overridePressure(opened);
      await press("nominal");
    },
  });
  await knowsTheRun(page);
  await page.getByLabel("Give way when this machine is busy").check();
  await pressStart(page);
  await reaches(page, "training");
  await press?.("serious");
  await expect.poll(async () => (await connected())[0]?.dutyCycle, { timeout: HEED_TIMEOUT_MS }).toBe(0.5);
  expect(await page.locator("#power-why").textContent()).toContain("Now 50 %");
  await press?.("critical");
  await expect.poll(() => words(page), { timeout: HEED_TIMEOUT_MS }).toBe("Paused, this machine is busy");
  await page.getByLabel("Give way when this machine is busy").uncheck();
  await reaches(page, "training", HEED_TIMEOUT_MS);
  await expect.poll(async () => (await connected())[0]?.dutyCycle, { timeout: HEED_TIMEOUT_MS }).toBe(1);
});

test("Outside its hours it waits and says when it goes on; the slider is the share of the time that the coordinator is told of", async () => {
  const page = await visit("");
  const from = time(125);
  await page.locator("#hours-from").fill(from);
  await page.locator("#hours-to").fill(time(180));
  expect(await page.getByLabel("Only in these hours").isChecked()).toBe(true);
  await pressStart(page);
  await reaches(page, "paused", HEED_TIMEOUT_MS);
  expect(page.workers()).toEqual([]);
  expect(await words(page)).toBe("Paused, outside your hours");
  expect(await page.locator("#phase-detail").textContent()).toMatch(new RegExp(`begin at ${from}, in 2 h [45] min`));
  await page.locator("#power").focus();
  for (let step = 0; step < 14; step++) await page.keyboard.press("ArrowLeft");
  expect(await page.locator("#power-value").textContent()).toBe("30 %");
  await page.locator("#hours-from").fill(time(-5));
  await reaches(page, "training");
  await expect.poll(async () => (await connected())[0]?.dutyCycle, { timeout: HEED_TIMEOUT_MS }).toBe(0.3);
  await page.locator("#power").fill("80");
  await expect.poll(async () => (await connected())[0]?.dutyCycle, { timeout: HEED_TIMEOUT_MS }).toBe(0.8);
});

test("At the data cap it completes its exchange and stops, says so, and starts again only with a higher one", async () => {
  const page = await visit("");
  // An address of this machine costs nobody's line, so it begins without.
  expect(await page.getByLabel("Stop at a data cap").isChecked()).toBe(false);
  // The first shard of images alone is more.
  await page.locator("#cap").fill("3");
  await pressStart(page);
  const notice = page.locator(".notice", { hasText: "data cap is reached" });
  await notice.waitFor({ timeout: REACTION_TIMEOUT_MS });
  await reaches(page, "stopped", REACTION_TIMEOUT_MS);
  expect(await page.locator("#phase-detail").textContent()).toContain("data cap of the day is reached");
  expect(await page.locator("#cap-meter").evaluate((meter: { position: number }) => meter.position)).toBe(1);
  // Up, down and fetched, as the page's own card counts it; what the page itself was told is little beside it.
  const megabytes = async (of: string): Promise<number> =>
    Number.parseFloat((await page.locator(of).textContent()) ?? "");
  await expect
    .poll(async () => (await megabytes("#cap-why")) / (await megabytes("#data-used")), { timeout: HEED_TIMEOUT_MS })
    .toBeCloseTo(1, 1);
  await page.getByRole("button", { name: "Start again" }).click();
  await reaches(page, "stopped", HEED_TIMEOUT_MS);
  expect(page.workers()).toEqual([]);
  // Of the day, not of the visit: a reload does not empty it.
  await page.reload();
  await knowsTheRun(page);
  expect(await page.locator("#cap-why").textContent()).toMatch(/in this visit, \d+(\.\d+)? MB today/);
  await page.locator("#cap").fill("5000");
  expect(await page.getByLabel("Stop at a data cap").isChecked()).toBe(true);
  await pressStart(page);
  await reaches(page, "training");
});

test("Where the browser does not tell, the control is closed and says why", async () => {
  const page = await visit(WITHOUT_SENSES);
  for (const [rule, why] of [
    ["#battery-rule", "does not tell whether it runs on battery"],
    ["#pressure-rule", "does not tell how busy the machine is"],
    ["#wake-rule", "cannot keep the screen on"],
  ] as const) {
    expect(await page.locator(rule).isDisabled()).toBe(true);
    const described = await page.locator(rule).getAttribute("aria-describedby");
    expect(await page.locator(`#${described}`).textContent()).toContain(why);
  }
  expect(await page.locator("#power-value").textContent()).toBe("100 %");
});

test("The screen is kept on while it trains, asked for again when the tab is seen again, and let go at Stop; a hidden tab says so", async () => {
  const page = await visit(WAKE_LOCK);
  const held = (): Promise<number> => page.evaluate<number>("locks.filter((lock) => !lock.released).length");
  await page.getByLabel("Keep the screen on").check();
  expect(await held()).toBe(0);
  await pressStart(page);
  await reaches(page, "training");
  expect(await held()).toBe(1);
  const see = (isHidden: boolean): Promise<unknown> =>
    page.evaluate(`Object.defineProperty(document, "hidden", { configurable: true, value: ${String(isHidden)} });
      document.dispatchEvent(new Event("visibilitychange"))`);
  await see(true);
  await expect.poll(held).toBe(0);
  await expect.poll(async () => (await connected())[0]?.isHidden, { timeout: HEED_TIMEOUT_MS }).toBe(true);
  await expect.poll(() => page.title(), { timeout: HEED_TIMEOUT_MS }).toContain("in the background");
  await expect
    .poll(() => page.locator("#courtesy").textContent(), { timeout: HEED_TIMEOUT_MS })
    .toContain("times further apart");
  await see(false);
  await expect.poll(held).toBe(1);
  await page.getByRole("button", { name: "Stop" }).click();
  await reaches(page, "stopped", HEED_TIMEOUT_MS);
  await expect.poll(held).toBe(0);
});

test("A tab that was put to sleep says so when it wakes", async () => {
  const page = await visit("");
  await pressStart(page);
  await reaches(page, "training");
  // Headless browsers freeze no tab that is in front; what they would say, and when, is said here.
  await page.evaluate(`document.dispatchEvent(new Event("freeze"));
    const now = Date.now.bind(Date);
    Date.now = () => now() + 75_000;
    document.dispatchEvent(new Event("resume"))`);
  const notice = page.locator(".notice", { hasText: "This tab slept for 1 min 15 s" });
  await notice.waitFor({ timeout: HEED_TIMEOUT_MS });
  expect(await notice.textContent()).toContain("energy saver");
});
