/**
 * A headless browser under Playwright, with the flags that give this machine a WebGPU adapter, and volunteers in it: one
 * context each, as if on machines of their own. For what pages do, not for how fast (DESIGN §8).
 */

import { chromium, type Browser, type Page } from "playwright";
import { BrowserError, locateBrowser } from "../../coordinator/browser/find.ts";
import { probeBrowser } from "../../coordinator/browser/probe.ts";

export interface VolunteerBrowser {
  readonly browser: Browser;
  /** Opens the volunteer's page, not yet started. */
  open(url: string): Promise<Page>;
  close(): Promise<void>;
}

export async function startVolunteerBrowser(): Promise<VolunteerBrowser> {
  const executablePath = await locateBrowser();
  if (!executablePath) throw new BrowserError("There is no browser; run `npx drove doctor --install`.");
  const { flags } = await probeBrowser(executablePath);
  const sandbox = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  const browser = await chromium.launch({ executablePath, args: [...sandbox, ...flags] });
  return {
    browser,
    open: async (url) => {
      const context = await browser.newContext();
      const page = await context.newPage();
      await page.goto(url);
      return page;
    },
    close: () => browser.close(),
  };
}

/** Presses Start as a volunteer does. */
export async function pressStart(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Start", exact: true }).click();
}

/** The renderer dies, as when the system takes its memory: no goodbye is said. */
export async function crash(page: Page): Promise<void> {
  const session = await page.context().newCDPSession(page);
  const crashed = page.waitForEvent("crash");
  // The answer never comes: who would send it is gone.
  session.send("Page.crash").catch(() => {});
  await crashed;
}
