/**
 * Pictures of both pages from a run that is really trained: `node test/bench/screenshots.ts [--folder docs/screenshots]`. Starts a
 * coordinator and volunteers, takes the volunteer's page before Start, while it trains and while somebody tries the model, and the
 * operator's page live, side by side with an earlier run, and in a replay; light and dark, wide and as a phone. About two minutes.
 */

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { chromium, type Browser, type Locator, type Page } from "playwright";
import sharp from "sharp";
import { locateBrowser } from "../../coordinator/browser/find.ts";
import { CHECKOUT } from "../../coordinator/cli/places.ts";
import { startCoordinator, type CoordinatorProcess } from "../support/coordinator_process.ts";
import { DIGIT_STROKES } from "../support/digit_strokes.ts";
import { pressStart } from "../support/volunteer_browser.ts";

const { values: flags } = parseArgs({ options: { folder: { type: "string", default: "docs/screenshots" } } });

type Scheme = "light" | "dark";
const WIDE = { width: 1440, height: 1000 } as const;
const PHONE = { width: 360, height: 780 } as const;
const TIMEOUT_MS = 300_000;
/** For the pictures; the run goes on. */
const WELL_TRAINED = 0.95;
const EARLIER_TRAINED = 0.85;
/** Charts and fonts have come to rest. */
const REST_MS = 1500;
const LOOK_MS = 100;
const MOST_BYTES = 300_000;
const COLOURS = 128;

const executablePath = await locateBrowser();
if (!executablePath) throw new Error("No browser is installed; run: npx drove doctor --install.");
const sandbox = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
const folder = join(CHECKOUT, flags.folder);
const runsFolder = await mkdtemp(join(tmpdir(), "drove-screenshots-"));
await mkdir(folder, { recursive: true });
const browser = await chromium.launch({ executablePath, args: sandbox });
try {
  await trainEarlierRun(browser);
  const coordinator = await startCoordinator({
    runsFolder,
    args: ["--name", "digits", "--model", "mlp", "--backend", "wasm", "--solver", "ea-wild"],
  });
  try {
    await takeAll(browser, coordinator);
  } finally {
    await coordinator.stop();
  }
} finally {
  await browser.close();
  await rm(runsFolder, { recursive: true, force: true });
}

/** To be compared with, and replayed. */
async function trainEarlierRun(chrome: Browser): Promise<void> {
  const earlier = await startCoordinator({
    runsFolder,
    args: ["--name", "digits-before", "--model", "logistic", "--backend", "wasm", "--solver", "async-easgd"],
  });
  const page = await open(chrome, earlier.url, "light");
  await startTraining(page, "Grace");
  await earlier.until("the earlier run is trained", ({ accuracy }) => (accuracy ?? 0) >= EARLIER_TRAINED, TIMEOUT_MS);
  await page.waitForTimeout(5 * REST_MS);
  await page.context().close();
  await earlier.stop();
}

async function takeAll(chrome: Browser, coordinator: CoordinatorProcess): Promise<void> {
  const { url } = coordinator;
  const first = await open(chrome, url, "light");
  await take(first, "volunteer-before-start-light");
  await dress(first, "dark");
  await take(first, "volunteer-before-start-dark");
  const second = await open(chrome, url, "light");
  await startTraining(first, "Ada");
  await startTraining(second, "Emmy");
  await coordinator.until("the run is trained", ({ accuracy }) => (accuracy ?? 0) >= WELL_TRAINED, TIMEOUT_MS);
  await take(first, "volunteer-training-dark");
  await dress(first, "light");
  await take(first, "volunteer-training-light");
  await tryTheModel(first);
  await takePart(first, first.locator("#trial"), "volunteer-trial-light");
  await dress(first, "dark");
  await takePart(first, first.locator("#trial"), "volunteer-trial-dark");
  await dress(first, "light", PHONE);
  await take(first, "volunteer-phone-light");
  await dress(first, "dark", PHONE);
  await take(first, "volunteer-phone-dark");
  await takeOperator(chrome, coordinator);
  await first.context().close();
  await second.context().close();
}

async function takeOperator(chrome: Browser, coordinator: CoordinatorProcess): Promise<void> {
  const { status } = await coordinator.control({ kind: "retune", changes: { learningRate: 0.02 } });
  if (status !== 200) throw new Error(`The learning rate was not changed: HTTP ${status}.`);
  const page = await open(chrome, await coordinator.operatorUrl(), "light");
  await page.locator("#rows tr").first().waitFor({ timeout: TIMEOUT_MS });
  await page.locator("#run-rows input[type=checkbox]").first().waitFor({ timeout: TIMEOUT_MS });
  await takeInBoth(page, "operator-live");
  for (const box of await page.locator("#run-rows input[type=checkbox]").all()) await box.check();
  await page.locator("#comparison:visible").waitFor({ timeout: TIMEOUT_MS });
  await takeInBoth(page, "operator-compare");
  for (const box of await page.locator("#run-rows input[type=checkbox]").all()) await box.uncheck();
  const row = page.locator("#run-rows tr", { hasText: "digits-before" });
  await row.getByRole("button").click();
  await page.locator("#replay:visible").waitFor({ timeout: TIMEOUT_MS });
  const scrub = "document.querySelector('#replay-scrub')";
  // Until the run's events have come. (A predicate of Playwright's own is an `eval`, which the page forbids.)
  while ((await page.evaluate<number>(`Number(${scrub}.max)`)) <= 1) await page.waitForTimeout(LOOK_MS);
  await page.evaluate(`{
    ${scrub}.value = String(0.7 * Number(${scrub}.max));
    ${scrub}.dispatchEvent(new Event("input", { bubbles: true }));
  }`);
  await page.evaluate("window.scrollTo(0, 0)");
  await takeInBoth(page, "operator-replay");
  await page.context().close();
}

async function open(chrome: Browser, url: string, colorScheme: Scheme): Promise<Page> {
  const context = await chrome.newContext({ viewport: WIDE, colorScheme, reducedMotion: "reduce" });
  const page = await context.newPage();
  await page.goto(url);
  if (!url.includes("/operator")) await page.locator("#start:enabled").waitFor({ timeout: TIMEOUT_MS });
  return page;
}

async function startTraining(page: Page, name: string): Promise<void> {
  await page.locator("#name").fill(name);
  await pressStart(page);
}

async function tryTheModel(page: Page): Promise<void> {
  await page.locator("#trial-samples button").first().click();
  await page.locator(".trial-sample").first().waitFor({ timeout: TIMEOUT_MS });
  const pad = page.locator("#trial-pad");
  await pad.scrollIntoViewIfNeeded();
  const box = await pad.boundingBox();
  if (!box) throw new Error("The pad is not on the screen.");
  for (const stroke of DIGIT_STROKES[3] ?? []) {
    for (const [index, { x, y }] of stroke.entries()) {
      await page.mouse.move(box.x + x * box.width, box.y + y * box.height);
      if (index === 0) await page.mouse.down();
    }
    await page.mouse.up();
  }
  await page.locator("#trial-answer", { hasText: "sure" }).waitFor({ timeout: TIMEOUT_MS });
}

async function dress(
  page: Page,
  colorScheme: Scheme,
  viewport: { width: number; height: number } = WIDE,
): Promise<void> {
  await page.setViewportSize(viewport);
  await page.emulateMedia({ colorScheme });
  await page.evaluate("window.scrollTo(0, 0)");
}

async function takeInBoth(page: Page, name: string): Promise<void> {
  for (const scheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme: scheme });
    await take(page, `${name}-${scheme}`);
  }
}

/** The whole page. */
async function take(page: Page, name: string): Promise<void> {
  await page.mouse.move(0, 0);
  await page.waitForTimeout(REST_MS);
  await keep(name, await page.screenshot({ fullPage: true }));
}

/** Cut out of the whole page: there nothing that sticks to the window lies over it. */
async function takePart(page: Page, part: Locator, name: string): Promise<void> {
  await page.evaluate("window.scrollTo(0, 0)");
  await page.mouse.move(0, 0);
  await page.waitForTimeout(REST_MS);
  const clip = await part.boundingBox();
  if (!clip) throw new Error(`${name} is not on the page.`);
  await keep(name, await page.screenshot({ fullPage: true, clip }));
}

/** With few colours, which pages have anyway. */
async function keep(name: string, png: Buffer): Promise<void> {
  const small = await sharp(png).png({ palette: true, colours: COLOURS, effort: 10, compressionLevel: 9 }).toBuffer();
  if (small.byteLength > MOST_BYTES) throw new Error(`${name}.png would have ${small.byteLength} bytes.`);
  await writeFile(join(folder, `${name}.png`), small);
  console.error(`${name}.png, ${Math.round(small.byteLength / 1000)} kB`);
}
