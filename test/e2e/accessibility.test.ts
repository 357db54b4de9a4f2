/**
 * Both pages for people who use no mouse, see little or enlarge: axe-core's rules (WCAG 2.x A and AA, best practice) in every state of
 * the pages, narrow and wide, light and dark; and the keyboard alone, which reaches every control, shows where it is and is
 * caught nowhere.
 */

import { AxeBuilder } from "@axe-core/playwright";
import { chromium, type Browser, type Page } from "playwright";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { locateBrowser } from "../../coordinator/browser/find.ts";
import { startCoordinator, type CoordinatorProcess } from "../support/coordinator_process.ts";
import { pressStart } from "../support/volunteer_browser.ts";

const TIMEOUT_MS = 90_000;
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const LOOKS = [
  { width: 360, colorScheme: "light" },
  { width: 1440, colorScheme: "light" },
  { width: 1440, colorScheme: "dark" },
  { width: 360, colorScheme: "dark" },
] as const;
/** For states that differ little from others. */
const TWO_LOOKS = [LOOKS[0], LOOKS[2]] as const;
const HEIGHT = 900;

let browser: Browser;
let coordinator: CoordinatorProcess;
const pages: Page[] = [];

beforeAll(async () => {
  const executablePath = await locateBrowser();
  if (!executablePath) throw new Error("There is no browser; run `npx drove doctor --install`.");
  const sandbox = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  [browser, coordinator] = await Promise.all([
    chromium.launch({ executablePath, args: sandbox }),
    startCoordinator({ args: ["--name", "access", "--model", "mlp", "--backend", "wasm"] }),
  ]);
});

afterEach(async () => {
  await Promise.all(pages.splice(0).map((page) => page.context().close()));
});

afterAll(async () => {
  await browser.close();
  await coordinator.stop();
});

async function openAt(url: string): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1440, height: HEIGHT }, reducedMotion: "reduce" });
  const page = await context.newPage();
  pages.push(page);
  await page.goto(url);
  return page;
}

async function openVolunteer(url = coordinator.url): Promise<Page> {
  const page = await openAt(url);
  await page.locator("#start:enabled").waitFor({ timeout: TIMEOUT_MS });
  return page;
}

async function openOperator(): Promise<Page> {
  const page = await openAt(await coordinator.operatorUrl());
  await page.locator("#runs-box:visible").waitFor({ timeout: TIMEOUT_MS });
  return page;
}

async function reaches(page: Page, phase: string): Promise<void> {
  await page.locator(`body[data-phase="${phase}"]`).waitFor({ timeout: TIMEOUT_MS });
}

/** What axe finds in each look, as lines that name rule, element and what is wrong. */
async function expectAccessible(page: Page, looks: readonly (typeof LOOKS)[number][] = LOOKS): Promise<void> {
  const found: string[] = [];
  for (const { width, colorScheme } of looks) {
    await page.setViewportSize({ width, height: HEIGHT });
    await page.emulateMedia({ colorScheme });
    const { violations } = await new AxeBuilder({ page }).withTags(RULES).setLegacyMode(true).analyze();
    for (const { id, nodes } of violations) {
      for (const { target, failureSummary = "" } of nodes) {
        found.push(
          `${width} px, ${colorScheme}: ${id} at ${target.join(" ")}: ${failureSummary.replaceAll(/\s+/g, " ")}`,
        );
      }
    }
  }
  expect(found).toEqual([]);
}

test("The volunteer's page has no violation before Start, with a model tried, training, and stopped", async () => {
  const page = await openVolunteer();
  await expectAccessible(page);
  await page.locator("#qr-button").click();
  await page.locator("#trial-samples button").first().click();
  await page.getByRole("button", { name: "Test image 1", exact: true }).click();
  await expect.poll(() => page.locator("#trial-answer").textContent(), { timeout: TIMEOUT_MS }).toMatch(/sure/);
  await pressStart(page);
  await expect.poll(() => page.locator("#verdicts").textContent(), { timeout: TIMEOUT_MS }).toMatch(/^[1-9]/);
  await expectAccessible(page);
  await page.getByRole("button", { name: "Stop", exact: true }).click();
  await reaches(page, "stopped");
  await expectAccessible(page, TWO_LOOKS);
});

test("The volunteer's page has no violation where training broke off, and where the run is over", async () => {
  const broken = await openVolunteer();
  const failing = `self.onmessage = () => self.postMessage({ kind: "failed", failure: "exam-failed", sentence: "It failed." })`;
  await broken.route(/\/assets\/worker-[^/]*\.js$/, (route) =>
    route.fulfill({
      body: failing,
      contentType: "text/javascript",
      headers: { "Cross-Origin-Embedder-Policy": "require-corp" },
    }),
  );
  await pressStart(broken);
  await reaches(broken, "failed");
  expect(await broken.locator(".notice.trouble").count()).toBeGreaterThan(0);
  await expectAccessible(broken, TWO_LOOKS);

  const ours = await startCoordinator({ args: ["--name", "ending", "--model", "logistic", "--backend", "wasm"] });
  const over = await openVolunteer(ours.url);
  await pressStart(over);
  await reaches(over, "training");
  await ours.stop();
  await reaches(over, "finished");
  await expectAccessible(over, TWO_LOOKS);
});

test("The operator's page has no violation without a token, live, comparing runs and replaying one", async () => {
  const closed = await openAt(`${coordinator.url}/operator`);
  await closed.locator("#token-card:visible").waitFor({ timeout: TIMEOUT_MS });
  await expectAccessible(closed, TWO_LOOKS);

  const volunteer = await openVolunteer();
  await pressStart(volunteer);
  await reaches(volunteer, "training");
  const page = await openOperator();
  await page.locator("#rows tr").first().waitFor({ timeout: TIMEOUT_MS });
  await expectAccessible(page);

  await page.locator("#run-rows input[type=checkbox]").first().check();
  await page.locator("#run-rows button").first().click();
  await page.locator("#replay:visible").waitFor({ timeout: TIMEOUT_MS });
  await expectAccessible(page);
});

/** Every control that the keyboard should reach, in the order of the page; of radio buttons one for each group. */
const CONTROLS = `(() => {
  const seen = new Set();
  return [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")]
    .filter((element) => !element.matches(":disabled") && element.checkVisibility({ visibilityProperty: true }))
    .filter((element) => {
      if (element.type !== "radio") return true;
      if (!element.checked || seen.has(element.name)) return false;
      seen.add(element.name);
      return true;
    });
})()`;

interface Stop {
  /** Its place among the page's controls; -1 where it is none of them. */
  readonly place: number;
  readonly name: string;
  /** That something is drawn around it, or around the label that it lies in. */
  readonly isShown: boolean;
}

const WHERE = `(() => {
  const at = document.activeElement;
  const drawn = (element) => {
    const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(element);
    return (outlineStyle !== "none" && parseFloat(outlineWidth) >= 2) || boxShadow !== "none";
  };
  const around = at.closest("label");
  const isShown = drawn(at) || (around !== null && drawn(around)) || (at.nextElementSibling !== null && drawn(at.nextElementSibling));
  return { place: ${CONTROLS}.indexOf(at), name: at.id || at.textContent.trim().slice(0, 30) || at.tagName, isShown };
})()`;

/** Tabs through the whole page once, and expects every control on the way, in order, with a mark around it. */
async function expectReachable(page: Page): Promise<void> {
  const count = await page.evaluate<number>(`${CONTROLS}.length`);
  const stops: Stop[] = [];
  // By Tab too, so that the browser knows that it is the keyboard, and draws its mark.
  await page.evaluate(`${CONTROLS}[1].focus()`);
  await page.keyboard.press("Shift+Tab");
  // Fields of a time have several stops in one control.
  while (stops.length <= 3 * count) {
    const stop = await page.evaluate<Stop>(WHERE);
    // Past the last control the browser begins again.
    if (stop.place < 0 || (stop.place === 0 && stops.length > 0)) break;
    stops.push(stop);
    await page.keyboard.press("Tab");
  }
  const names = await page.evaluate<string[]>(
    `${CONTROLS}.map((one) => one.id || one.textContent.trim().slice(0, 30))`,
  );
  const reached = new Set(stops.map(({ place }) => place));
  expect(names.filter((_, place) => !reached.has(place))).toEqual([]);
  expect(stops.map(({ place }) => place)).toEqual(stops.map(({ place }) => place).toSorted((a, b) => a - b));
  expect(stops.filter(({ isShown }) => !isShown).map(({ name }) => name)).toEqual([]);
}

test("The keyboard reaches every control of the volunteer's page, in order, visibly and without a trap", async () => {
  const page = await openVolunteer();
  await expectReachable(page);
  await page.setViewportSize({ width: 360, height: HEIGHT });
  await expectReachable(page);
});

test("The keyboard alone starts, pauses, finishes, stops, sets power, tries the model, offers a name and shares", async () => {
  const page = await openVolunteer();
  const press = (key: string): Promise<void> => page.keyboard.press(key);
  await page.locator("#power").focus();
  await press("ArrowLeft");
  await press("ArrowLeft");
  expect(await page.locator("#power-value").textContent()).toMatch(/^90/);
  await page.locator("#name").focus();
  await page.keyboard.type("Grace");
  await press("Tab");
  await press("Enter");
  await expect.poll(() => page.locator("#copy").textContent()).not.toBe("Copy link");
  await page.locator("#qr-button").focus();
  await press("Space");
  await page.locator("#qr:visible svg").waitFor();
  await page.locator("#trial-samples button").focus();
  await press("Enter");
  await page.locator("#trial-samples .trial-sample:focus").waitFor();
  await press("Enter");
  await expect.poll(() => page.locator("#trial-answer").textContent(), { timeout: TIMEOUT_MS }).toMatch(/sure/);

  await page.locator("#start").focus();
  await press("Enter");
  await reaches(page, "training");
  expect(await page.evaluate<string>("document.activeElement.id")).toBe("pause");
  await press("Enter");
  await reaches(page, "paused");
  await press("Enter");
  await reaches(page, "training");
  await coordinator.until(
    "the name is known",
    ({ replicas }) => replicas.some(({ name }) => name === "Grace"),
    TIMEOUT_MS,
  );
  await expectReachable(page);
  await page.locator("#finish").focus();
  await press("Enter");
  await reaches(page, "stopped");
  expect(await page.evaluate<string>("document.activeElement.id")).toBe("start");
  await press("Enter");
  await reaches(page, "training");
  await page.locator("#stop").focus();
  await press("Space");
  await reaches(page, "stopped");
});

test("The keyboard reaches every control of the operator's page, in order, visibly and without a trap", async () => {
  const volunteer = await openVolunteer();
  await pressStart(volunteer);
  await reaches(volunteer, "training");
  const page = await openOperator();
  await page.locator("#rows tr").first().waitFor({ timeout: TIMEOUT_MS });
  await volunteer.getByRole("button", { name: "Stop", exact: true }).click();
  await reaches(volunteer, "stopped");
  await expectReachable(page);
});
