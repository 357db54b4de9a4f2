/**
 * "Try the model" in a real browser against a real run: digits that are drawn with a mouse are known by the center that volunteers
 * have trained, pictures of any kind are taken, and before the first of them nothing is fetched.
 */

import { Buffer } from "node:buffer";
import { chromium, type Browser, type Page } from "playwright";
import sharp from "sharp";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { locateBrowser } from "../../coordinator/browser/find.ts";
import { startCoordinator, type CoordinatorProcess } from "../support/coordinator_process.ts";
import { DIGIT_STROKES } from "../support/digit_strokes.ts";
import { pressStart } from "../support/volunteer_browser.ts";

const TIMEOUT_MS = 90_000;
const WELL_TRAINED = 0.95;

let browser: Browser;
let coordinator: CoordinatorProcess;
const pages: Page[] = [];

beforeAll(async () => {
  const executablePath = await locateBrowser();
  if (!executablePath) throw new Error("There is no browser; run `npx drove doctor --install`.");
  const sandbox = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  [browser, coordinator] = await Promise.all([
    chromium.launch({ executablePath, args: sandbox }),
    startCoordinator({ args: ["--name", "trial", "--model", "mlp", "--backend", "wasm"] }),
  ]);
  const { page } = await visit();
  await pressStart(page);
  await coordinator.until("it is trained", ({ accuracy }) => (accuracy ?? 0) >= WELL_TRAINED, TIMEOUT_MS);
  await page.context().close();
});

afterEach(async () => {
  await Promise.all(pages.splice(0).map((page) => page.context().close()));
});

afterAll(async () => {
  await browser.close();
  await coordinator.stop();
});

interface Visit {
  readonly page: Page;
  /** Paths that were asked for. */
  readonly asked: string[];
  readonly errors: string[];
}

async function visit(url = coordinator.url): Promise<Visit> {
  const page = await (await browser.newContext()).newPage();
  pages.push(page);
  const made: Visit = { page, asked: [], errors: [] };
  page.on("request", (request) => made.asked.push(new URL(request.url()).pathname));
  page.on("pageerror", (error) => made.errors.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") made.errors.push(message.text());
  });
  await page.goto(url);
  await page.locator("#start:enabled").waitFor({ timeout: TIMEOUT_MS });
  await page.locator("#trial-pad, #trial p").first().scrollIntoViewIfNeeded();
  return made;
}

async function draw(page: Page, digit: number): Promise<void> {
  await page.locator("#trial-clear").click();
  const box = await page.locator("#trial-pad").boundingBox();
  if (!box) throw new Error("The pad is not on the screen.");
  for (const stroke of DIGIT_STROKES[digit] ?? []) {
    for (const [index, { x, y }] of stroke.entries()) {
      await page.mouse.move(box.x + x * box.width, box.y + y * box.height);
      if (index === 0) await page.mouse.down();
    }
    await page.mouse.up();
  }
}

/** The sentence, once the newest center has answered. */
async function answerOn(page: Page): Promise<string> {
  const said = page.locator("#trial-answer");
  await expect.poll(() => said.textContent(), { timeout: TIMEOUT_MS }).toMatch(/sure/);
  return (await said.textContent()) ?? "";
}

/** A picture by hand: dark strokes on light ground, far larger than the model's input. */
async function picture(digit: number, format: "png" | "webp" | "jpeg"): Promise<Buffer> {
  const paths = (DIGIT_STROKES[digit] ?? []).map((stroke) =>
    stroke.map(({ x, y }, index) => `${index === 0 ? "M" : "L"}${60 + 500 * x} ${30 + 500 * y}`).join(""),
  );
  const drawn = `<svg xmlns="http://www.w3.org/2000/svg" width="700" height="560"><rect width="700" height="560" fill="#e8e4da"/>
    <path d="${paths.join("")}" fill="none" stroke="#232c44" stroke-width="42" stroke-linecap="round"/></svg>`;
  return sharp(Buffer.from(drawn)).toFormat(format).toBuffer();
}

async function choose(page: Page, name: string, buffer: Buffer): Promise<void> {
  await page.locator("#trial-file").setInputFiles({ name, mimeType: "application/octet-stream", buffer });
}

test("Drawn digits are known by the center that was trained, and nothing is fetched before one is drawn", async () => {
  const { page, asked, errors } = await visit();
  expect(await page.locator("#trial-title").textContent()).toBe("Try the model");
  expect(await page.locator("#trial").textContent()).toMatch(/Nothing is downloaded before that; then about \d+ kB/);
  expect(page.workers()).toHaveLength(0);
  expect(asked.filter((path) => path.startsWith("/center/") || path.endsWith(".wasm"))).toEqual([]);

  const answers: string[] = [];
  for (const digit of DIGIT_STROKES.keys()) {
    await draw(page, digit);
    answers.push(await answerOn(page));
  }
  const known = answers.filter((answer, digit) => answer.startsWith(`${digit}, `));
  expect(known.length, answers.join(" ")).toBeGreaterThanOrEqual(9);
  expect(await page.locator("#trial-version").textContent()).toMatch(/version [\d,]+, \d+\.\d % accurate/);
  expect(await page.locator("#trial-classes li").count()).toBe(10);
  // The version file is int8: a quarter of f32, and asked for at most every few seconds.
  expect(asked.filter((path) => /^\/center\/.*\.int8$/.test(path)).length).toBeGreaterThan(0);
  expect(asked.filter((path) => /^\/center\/.*\.f32$/.test(path))).toEqual([]);
  expect(errors).toEqual([]);
});

test("Pictures of digits are taken in any format, from a button or dropped, and what is no picture is told so", async () => {
  const { page, errors } = await visit();
  for (const [digit, format] of [
    [2, "png"],
    [7, "webp"],
    [3, "jpeg"],
  ] as const) {
    await page.locator("#trial-clear").click();
    await choose(page, `digit.${format}`, await picture(digit, format));
    expect(await answerOn(page)).toContain(String(digit));
  }
  await page.locator("#trial-clear").click();
  const bytes = (await picture(4, "png")).toString("base64");
  await page.evaluate(`{
    const bytes = Uint8Array.from(atob("${bytes}"), (letter) => letter.charCodeAt(0));
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([bytes], "dropped.png", { type: "image/png" }));
    document.querySelector("#trial").dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
  }`);
  expect(await answerOn(page)).toContain("4");

  await choose(page, "letter.txt", Buffer.from("No picture at all."));
  await expect.poll(() => page.locator("#trial-answer").textContent()).toContain("“letter.txt” is no picture that");
  const blank = sharp({ create: { width: 40, height: 30, channels: 3, background: "#ddd" } });
  await choose(page, "blank.png", await blank.png().toBuffer());
  await expect.poll(() => page.locator("#trial-answer").textContent()).toContain("same all over");
  expect(errors).toEqual([]);
});

test("By keyboard alone a test image is taken, moved and cleared", async () => {
  const { page } = await visit();
  await page.locator("#trial-clear").focus();
  const press = async (key: string): Promise<void> => page.keyboard.press(key);
  const focused = (): Promise<string> => page.evaluate<string>("document.activeElement.textContent");
  await press("Tab");
  await press("Tab");
  expect(await focused()).toMatch(/^Show test images/);
  await press("Enter");
  const label = (): Promise<string | null> =>
    page.evaluate<string | null>("document.activeElement.getAttribute('aria-label')");
  // The focus goes to the first of them.
  await expect.poll(label).toBe("Test image 1");
  await press("Space");
  expect(await answerOn(page)).toMatch(/^0, \d+ % sure\. Right!$/);
  const seen = (): Promise<string> => page.evaluate<string>("document.querySelector('.trial-preview').toDataURL()");
  const before = await seen();
  await page.locator("#trial-pad").focus();
  await press("ArrowRight");
  const moved = await seen();
  expect(moved).not.toBe(before);
  await press("ArrowLeft");
  expect(await seen()).toBe(before);
  await press("Delete");
  expect(await page.locator("#trial-answer").textContent()).toMatch(/^Draw a digit/);
  expect(await page.locator(".trial-preview:visible").count()).toBe(0);
});

test("A coordinator that is gone is said to be, and a center that was fetched answers on", async () => {
  const ours = await startCoordinator({ args: ["--name", "leaving", "--model", "logistic", "--backend", "wasm"] });
  const first = await visit(ours.url);
  await draw(first.page, 1);
  await answerOn(first.page);
  const late = await visit(ours.url);
  await ours.kill();
  await draw(late.page, 1);
  const told = late.page.locator("#trial-answer");
  await expect
    .poll(() => told.textContent(), { timeout: TIMEOUT_MS })
    .toMatch(/coordinator (is in reach|does not answer).*try again/);
  await draw(first.page, 4);
  expect(await answerOn(first.page)).toMatch(/ sure\.$/);
});
