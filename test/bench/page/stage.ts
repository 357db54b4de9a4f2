/**
 * A coordinator whose volunteer's page carries the probe, and visits to it by raw Chromium: what the page tells comes in here as it
 * happens, and what it is to press goes out.
 */

import { once } from "node:events";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { stripTypeScriptTypes } from "node:module";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { WebSocketServer, type WebSocket } from "ws";
import { locateBrowser } from "../../../coordinator/browser/find.ts";
import { probeBrowser } from "../../../coordinator/browser/probe.ts";
import { RawBrowser } from "../../../coordinator/browser/raw_browser.ts";
import { CLIENT_FOLDER } from "../../../coordinator/cli/places.ts";
import { readConfig } from "../../../coordinator/run_config.ts";
import { startService } from "../../../coordinator/service.ts";

/** As `probe/probe.ts` tells it; times in milliseconds since 1970. */
export interface Report {
  readonly kind: "opened" | "startable" | "worker" | "phase" | "shown" | "progress" | "pressed" | "long-task";
  readonly atMs: number;
  readonly phase?: string;
  readonly durationMs?: number;
  readonly localSteps?: number;
  readonly firstStep?: { readonly afterMs: number; readonly measuringMs: number };
}

export interface Visit {
  readonly reports: readonly Report[];
  /** Of the browser's process group. */
  readonly group: number;
  until(what: string, holds: (report: Report) => boolean): Promise<Report>;
  press(selector: string): void;
  set(selector: string, value: string): void;
  close(): Promise<void>;
}

export interface Stage {
  /** The adapter in words. */
  readonly adapter: string;
  visit(query: Readonly<Record<string, string>>): Promise<Visit>;
  close(): Promise<void>;
}

const PATIENCE_MS = 120_000;
const LOOK_MS = 5;

export function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

export async function openStage(model: string): Promise<Stage> {
  const executable = await locateBrowser();
  if (!executable) throw new Error("No browser is installed; run: npx drove doctor --install.");
  const { flags, adapter } = await probeBrowser(executable);
  const folder = await mkdtemp(join(tmpdir(), "drove-bench-page-"));
  const clientFolder = join(folder, "client");
  await cp(CLIENT_FOLDER, clientFolder, { recursive: true });
  await plantProbe(clientFolder);
  const config = readConfig({ flags: { model, runsFolder: join(folder, "runs"), port: 0 } });
  const service = await startService(config, {
    clientFolder,
    dataRoot: join(folder, "data"),
    resume: false,
    measuresCurvature: false,
    onFailure: (error) => console.error(error),
    onNote: (sentence) => console.error(sentence),
  });
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    adapter: adapter ?? "no WebGPU adapter",
    visit: async (query) => {
      const url = new URL(service.url);
      for (const [name, value] of Object.entries({ probe: String(port), ...query })) url.searchParams.set(name, value);
      const connected = once(server, "connection", { signal: AbortSignal.timeout(PATIENCE_MS) });
      const browser = await RawBrowser.launch({ executable, url: url.href, flags });
      const [socket] = (await connected) as [WebSocket];
      return openVisit(browser, socket);
    },
    close: async () => {
      server.close();
      await service.close("The benchmark is over.");
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Before the page's own code, which waits until the page is parsed. */
async function plantProbe(clientFolder: string): Promise<void> {
  const script = await readFile(new URL("probe/probe.ts", import.meta.url), "utf8");
  await writeFile(join(clientFolder, "probe.js"), stripTypeScriptTypes(script));
  const page = join(clientFolder, "index.html");
  const html = await readFile(page, "utf8");
  await writeFile(page, html.replace("<head>", '<head><script src="/probe.js"></script>'));
}

function openVisit(browser: RawBrowser, socket: WebSocket): Visit {
  const reports: Report[] = [];
  socket.on("message", (data: Buffer) => reports.push(JSON.parse(data.toString()) as Report));
  let gone: string | undefined;
  void browser.ended.then((sentence) => (gone = sentence));
  return {
    reports,
    group: browser.pid,
    until: async (what, holds) => {
      const deadlineMs = nowMs() + PATIENCE_MS;
      for (;;) {
        const found = reports.find(holds);
        if (found) return found;
        if (gone !== undefined) throw new Error(gone);
        if (nowMs() > deadlineMs) throw new Error(`The page did not come so far: ${what}.`);
        await sleep(LOOK_MS);
      }
    },
    press: (selector) => socket.send(JSON.stringify({ press: selector })),
    set: (selector, value) => socket.send(JSON.stringify({ set: { selector, value } })),
    close: () => browser.stop(),
  };
}
