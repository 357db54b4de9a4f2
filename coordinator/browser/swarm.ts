/**
 * Local volunteers: headless browsers that open the volunteer page and train (`drove train --volunteers N`). A browser
 * each, not tabs of one: raw headless Chromium takes one page only, they share no GPU process that could take all of them
 * down, and no profile in which the page would see that another tab trains already.
 *
 * Proportional set size on SwiftShader (Chromium 156, 2026-11): 340 MB for the first, about 100 MB for each further one;
 * two tabs take 260 MB, four 310. Work per processor second differs by less than the noise (35 against 39 dispatches).
 */

import type { BackendWish } from "../../shared/backends.ts";
import { BrowserError } from "./find.ts";
import { RawBrowser } from "./raw_browser.ts";

export interface SwarmRequest {
  readonly executable: string;
  /** The coordinator's address, as volunteers open it. */
  readonly url: string;
  readonly volunteers: number;
  readonly backend: BackendWish;
  /** Of WASM, of each volunteer. */
  readonly threads: number;
  /** The share of the time in which they compute, above 0 and up to 1; all of it where left out. */
  readonly dutyCycle?: number;
  /** They allow direct connections to other volunteers; they do not where left out. */
  readonly allowsPeers?: boolean;
  /** Offered for the leaderboard and the model card. */
  readonly name?: string | undefined;
  /** From `probe.ts`; with a certificate of one's own also `--ignore-certificate-errors-spki-list=…`. */
  readonly flags: readonly string[];
  /** Told when a browser ends that nobody stopped. */
  readonly onDeath: (sentence: string) => void;
}

/** Presses Finish once; true when nothing is under way any more. */
const FINISH = `(() => {
  const { phase = "idle" } = document.body.dataset;
  if (["idle", "stopped", "finished", "failed"].includes(phase)) return true;
  if (!globalThis.hasAskedToFinish) document.querySelector("#finish")?.click();
  globalThis.hasAskedToFinish = true;
  return false;
})()`;
/** A page bounds it by itself, a little sooner. */
const FINISH_TIMEOUT_MS = 25_000;

export class Swarm {
  /** Resolves when every browser has ended, stopped or not. */
  readonly ended: Promise<void>;
  readonly #browsers: readonly RawBrowser[];
  #living: number;
  #stopping = false;

  private constructor(browsers: readonly RawBrowser[], onDeath: (sentence: string) => void) {
    this.#browsers = browsers;
    this.#living = browsers.length;
    const watched = browsers.map(async (browser, index) => {
      const sentence = await browser.ended;
      this.#living--;
      if (!this.#stopping) onDeath(`Volunteer ${index + 1} of ${browsers.length} is gone: ${sentence}`);
    });
    this.ended = Promise.all(watched).then(() => undefined);
  }

  /** Resolves when all browsers run; the pages join by themselves some seconds later. */
  static async start(request: SwarmRequest): Promise<Swarm> {
    const { executable, flags, volunteers, onDeath } = request;
    if (!Number.isInteger(volunteers) || volunteers < 0) {
      throw new Error(`invariant violation: a swarm of ${volunteers} volunteers`);
    }
    const url = volunteerUrl(request);
    const launched = await Promise.allSettled(
      Array.from({ length: volunteers }, () => RawBrowser.launch({ executable, url, flags })),
    );
    const browsers = launched.flatMap((launch) => (launch.status === "fulfilled" ? [launch.value] : []));
    const failed = launched.find((launch) => launch.status === "rejected");
    if (failed) {
      await Promise.all(browsers.map((browser) => browser.stop()));
      throw failed.reason instanceof Error ? failed.reason : new BrowserError(String(failed.reason));
    }
    return new Swarm(browsers, onDeath);
  }

  /** Browsers that run. */
  get living(): number {
    return this.#living;
  }

  /** Has all volunteers complete their exchanges; resolves when they have, or after as long as that may take. */
  async finish(): Promise<void> {
    await Promise.all(this.#browsers.map((browser) => browser.until(FINISH, FINISH_TIMEOUT_MS)));
  }

  /** Ends all browsers of this swarm, and nothing else. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#browsers.map((browser) => browser.stop()));
    await this.ended;
  }
}

/** The volunteer page, told to start by itself (it does so only in automated browsers). */
export function volunteerUrl({
  url,
  backend,
  threads,
  dutyCycle = 1,
  allowsPeers = false,
  name,
}: Pick<SwarmRequest, "url" | "backend" | "threads" | "dutyCycle" | "allowsPeers" | "name">): string {
  const address = new URL(url);
  address.searchParams.set("start", "1");
  address.searchParams.set("backend", backend);
  address.searchParams.set("threads", String(threads));
  if (allowsPeers) address.searchParams.set("peers", "1");
  if (name !== undefined) address.searchParams.set("name", name);
  if (dutyCycle < 1) address.searchParams.set("duty", String(dutyCycle));
  return address.href;
}
