/**
 * Pages opened in one real browser, each in a context of its own unless told otherwise, with everything that they made and said:
 * workers, sockets, errors, and the origins that were asked. On the processor: what is looked at here are the pages.
 */

import {
  chromium,
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  type CDPSession,
  type Page,
} from "playwright";
import { locateBrowser } from "../../coordinator/browser/find.ts";

export const REACTION_TIMEOUT_MS = 90_000;

/** An opened page and everything that it made and said. */
export interface Visit {
  readonly page: Page;
  readonly workers: string[];
  readonly sockets: string[];
  readonly errors: string[];
  readonly origins: Set<string>;
}

export interface VisitOptions {
  readonly context?: BrowserContextOptions;
  /** Shared with another visit, as two tabs of one browser are. */
  readonly beside?: Page;
  /** Before the page is loaded. */
  readonly prepare?: (page: Page) => Promise<unknown>;
}

export class PageVisits {
  readonly #browser: Browser;
  readonly #contexts: BrowserContext[] = [];

  private constructor(browser: Browser) {
    this.#browser = browser;
  }

  static async open(flags: readonly string[] = []): Promise<PageVisits> {
    const executablePath = await locateBrowser();
    if (!executablePath) throw new Error("There is no browser; run `npx drove doctor --install`.");
    const sandbox = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
    return new PageVisits(await chromium.launch({ executablePath, args: [...sandbox, ...flags] }));
  }

  async visit(url: string, { context, beside, prepare }: VisitOptions = {}): Promise<Visit> {
    const page = await (beside?.context() ?? (await this.#newContext(context))).newPage();
    const made: Visit = { page, workers: [], sockets: [], errors: [], origins: new Set() };
    page.on("worker", (worker) => made.workers.push(worker.url()));
    page.on("websocket", (socket) => made.sockets.push(socket.url()));
    page.on("pageerror", (error) => made.errors.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error") made.errors.push(message.text());
    });
    page.on("request", (request) => made.origins.add(new URL(request.url()).origin));
    await prepare?.(page);
    await page.goto(url);
    return made;
  }

  /** Ends every visit since the last time. */
  async leave(): Promise<void> {
    await Promise.all(this.#contexts.splice(0).map((context) => context.close()));
  }

  async close(): Promise<void> {
    await this.#browser.close();
  }

  async #newContext(options: BrowserContextOptions | undefined): Promise<BrowserContext> {
    const context = await this.#browser.newContext(options);
    this.#contexts.push(context);
    return context;
  }
}

export async function reaches(page: Page, phase: string, timeout = REACTION_TIMEOUT_MS): Promise<void> {
  await page.locator(`body[data-phase="${phase}"]`).waitFor({ timeout });
}

/** Start can be pressed once the page knows the run. */
export async function knowsTheRun(page: Page): Promise<void> {
  await page.locator("#start:enabled").waitFor({ timeout: REACTION_TIMEOUT_MS });
}

export function overflowPx(page: Page): Promise<number> {
  return page.evaluate<number>("document.documentElement.scrollWidth - document.documentElement.clientWidth");
}

/** The processors' load as the page's observer gets to see it, whatever this machine does. */
export async function overridePressure(
  page: Page,
): Promise<(state: "nominal" | "serious" | "critical") => Promise<void>> {
  const session: CDPSession = await page.context().newCDPSession(page);
  await session.send("Emulation.setPressureSourceOverrideEnabled", {
    source: "cpu",
    enabled: true,
    metadata: { available: true },
  });
  return async (state) => {
    await session.send("Emulation.setPressureStateOverride", { source: "cpu", state });
  };
}
