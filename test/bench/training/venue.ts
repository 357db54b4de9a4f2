/** Where contestants run: Web Workers of one page in Chromium, or processes of Node with Dawn. */

import { spawn, type ChildProcess } from "node:child_process";
import type { IncomingMessage, ServerResponse } from "node:http";
import { fileURLToPath } from "node:url";
import { createServer } from "vite";
import { locateBrowser } from "../../../coordinator/browser/find.ts";
import { probeBrowser } from "../../../coordinator/browser/probe.ts";
import { RawBrowser } from "../../../coordinator/browser/raw_browser.ts";
import { findNodeAdapter } from "../../../coordinator/node/adapter.ts";
import { Conductor } from "./conductor.ts";
import { groupProcessorMs } from "./processor_time.ts";

export interface Venue {
  readonly conductor: Conductor;
  /** The runtime and its adapter, in words. */
  readonly description: string;
  start(id: number): void;
  end(id: number): void;
  /** Processor time until now of everything that computes for contestant `id`; null where it cannot be told. */
  processorMs(id: number): number | null;
  close(): Promise<void>;
}

class VenueError extends Error {
  override readonly name = "VenueError";
}

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const PEERS = [
  "@tensorflow/tfjs",
  "@tensorflow/tfjs-backend-webgpu",
  "@tensorflow/tfjs-backend-wasm",
  "@jax-js/jax",
  "convnetjs",
];
const PAGE = `<!doctype html><title>Training benchmark</title><link rel="icon" href="data:,">
<script type="module" src="/test/bench/training/contestant/page.ts"></script>`;
/** What threaded WASM and shared memory need of the page. */
const ISOLATION_HEADERS = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};
const PAGE_LIMIT_MS = 60_000;

export async function openChromium(): Promise<Venue> {
  const executable = await locateBrowser();
  if (!executable) throw new VenueError("No browser is installed; run: npx drove doctor --install.");
  const { flags, adapter } = await probeBrowser(executable);
  const vite = await createServer({
    root: ROOT,
    configFile: false,
    appType: "custom",
    logLevel: "error",
    cacheDir: `${ROOT}build/bench`,
    optimizeDeps: { noDiscovery: true, include: PEERS },
    worker: { format: "es" },
    server: { middlewareMode: true, hmr: false, ws: false, headers: ISOLATION_HEADERS },
  });
  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    if (request.url === "/") {
      response.writeHead(200, { "Content-Type": "text/html; charset=utf-8", ...ISOLATION_HEADERS }).end(PAGE);
    } else vite.middlewares(request, response, () => response.writeHead(404).end());
  };
  const conductor = await Conductor.open(serve);
  const browser = await RawBrowser.launch({ executable, url: conductor.url.href, flags });
  const died = browser.ended.then((sentence): never => {
    throw new VenueError(sentence);
  });
  died.catch(() => {});
  const timeout = AbortSignal.timeout(PAGE_LIMIT_MS);
  const late = new Promise<never>((_resolve, reject) => {
    timeout.addEventListener("abort", () => reject(new VenueError("The browser did not open the page.")));
  });
  const page = await Promise.race([conductor.page(), died, late]);
  return {
    conductor,
    description: `Chromium, ${adapter ?? "no WebGPU adapter"}`,
    start: (id) => conductor.tell(page, { kind: "start", id }),
    end: (id) => conductor.tell(page, { kind: "end", id }),
    processorMs: () => groupProcessorMs(browser.pid),
    close: async () => {
      await browser.stop();
      conductor.close();
      await vite.close();
    },
  };
}

export async function openNode(): Promise<Venue> {
  const { environment, adapter, problem } = await findNodeAdapter(`${ROOT}client/node/probe.ts`);
  if (problem !== undefined) throw new VenueError(`WebGPU cannot be loaded in Node: ${problem}`);
  const conductor = await Conductor.open();
  const processes = new Map<number, ChildProcess>();
  return {
    conductor,
    description: `Node ${process.version}, ${adapter ?? "no WebGPU adapter"}`,
    start: (id) => {
      const program = fileURLToPath(new URL("contestant/process.ts", import.meta.url));
      const child = spawn(process.execPath, [program, conductor.url.href, String(id)], {
        env: { ...process.env, ...environment },
        stdio: ["ignore", "ignore", "pipe"],
        // A group of its own, whose processor time can be told.
        detached: process.platform !== "win32",
      });
      let lastWords = "";
      child.stderr.setEncoding("utf8").on("data", (text: string) => (lastWords = (lastWords + text).slice(-2000)));
      child.on("exit", (code, signal) => {
        const words = lastWords.trim().split("\n").slice(-3).join(" ");
        conductor.fail(id, `Its process ended (${signal ?? code})${words === "" ? "." : `: ${words}`}`);
      });
      processes.set(id, child);
    },
    end: (id) => {
      processes.get(id)?.kill("SIGKILL");
      processes.delete(id);
    },
    processorMs: (id) => groupProcessorMs(processes.get(id)?.pid ?? -1),
    close: () => {
      for (const child of processes.values()) child.kill("SIGKILL");
      conductor.close();
      return Promise.resolve();
    },
  };
}
