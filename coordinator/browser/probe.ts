/**
 * Finds out which flags give this machine's browser a WebGPU adapter, by starting it as the swarm would and letting a
 * page report: a real GPU without flags, on Linux with the flags that headless Vulkan needs, else in software.
 */

import { createServer, type Server } from "node:http";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import type { AddressInfo } from "node:net";
import * as v from "valibot";
import { BrowserError } from "./find.ts";
import { RawBrowser } from "./raw_browser.ts";

export interface BrowserProbe {
  /** What to hand to the swarm. */
  readonly flags: readonly string[];
  /** The adapter in words; undefined where there is none at all, then volunteers compute with WASM. */
  readonly adapter: string | undefined;
  /** True where WebGPU runs in software. */
  readonly isFallback: boolean;
}

/** A first start from a cold disk takes up to 10 s on a slow machine. */
const REPORT_TIMEOUT_MS = 30_000;
const SOFTWARE_FLAGS = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"] as const;
const LINUX_GPU_FLAGS = [
  "--enable-unsafe-webgpu",
  "--enable-features=Vulkan",
  "--use-angle=vulkan",
  "--disable-vulkan-surface",
] as const;

/** Asks for a device too: an adapter that gives none is of no use. */
const PAGE = `<!doctype html><title>Drove asks for a GPU</title><script type="module">
const ask = async () => {
  const adapter = await navigator.gpu?.requestAdapter();
  if (!adapter) return { adapter: null };
  const { vendor, architecture, description } = adapter.info;
  const isFallback = adapter.info.isFallbackAdapter ?? adapter.isFallbackAdapter ?? false;
  (await adapter.requestDevice()).destroy();
  return { adapter: { vendor, architecture, description, isFallback } };
};
const report = await ask().catch(() => ({ adapter: null }));
await fetch("/report", { method: "POST", body: JSON.stringify(report) });
</script>`;

const reportSchema = v.object({
  adapter: v.nullable(
    v.object({ vendor: v.string(), architecture: v.string(), description: v.string(), isFallback: v.boolean() }),
  ),
});
type Adapter = NonNullable<v.InferOutput<typeof reportSchema>["adapter"]>;

/** Takes 1.5 s per attempt; throws a `BrowserError` where the browser does not even start. */
export async function probeBrowser(executable: string): Promise<BrowserProbe> {
  const attempts: readonly (readonly string[])[] = [[], ...(hasGpuDevice() ? [LINUX_GPU_FLAGS] : []), SOFTWARE_FLAGS];
  let best: BrowserProbe = { flags: [], adapter: undefined, isFallback: false };
  for (const flags of attempts) {
    const adapter = await askForAdapter(executable, flags);
    if (!adapter) continue;
    best = { flags, adapter: describe(adapter), isFallback: isSoftware(adapter) };
    if (!best.isFallback) break;
  }
  return best;
}

async function askForAdapter(executable: string, flags: readonly string[]): Promise<Adapter | null> {
  const { server, url, report } = await startPage();
  const timeout = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    timeout.reject(
      new BrowserError(
        `${executable} did not show a page within ${REPORT_TIMEOUT_MS / 1000} s; set DROVE_BROWSER to another Chrome, Chromium or Edge.`,
      ),
    );
  }, REPORT_TIMEOUT_MS);
  let browser: RawBrowser | undefined;
  try {
    browser = await RawBrowser.launch({ executable, url, flags });
    const died = browser.ended.then((sentence): never => {
      throw new BrowserError(`${executable} did not work: ${sentence}`);
    });
    return await Promise.race([report, died, timeout.promise]);
  } finally {
    clearTimeout(timer);
    await browser?.stop();
    server.closeAllConnections();
    server.close();
  }
}

/** 127.0.0.1 counts as secure, so that the page has `navigator.gpu` without TLS. */
async function startPage(): Promise<{ server: Server; url: string; report: Promise<Adapter | null> }> {
  const reported = Promise.withResolvers<Adapter | null>();
  const server = createServer((request, response) => {
    if (request.method !== "POST") {
      response.setHeader("Content-Type", "text/html; charset=utf-8").end(PAGE);
      return;
    }
    let body = "";
    request.setEncoding("utf8").on("data", (text: string) => (body += text));
    request.on("end", () => {
      response.end();
      try {
        reported.resolve(v.parse(reportSchema, JSON.parse(body)).adapter);
      } catch (error) {
        reported.reject(error);
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return { server, url: `http://127.0.0.1:${port}/`, report: reported.promise };
}

function isSoftware({ isFallback, architecture, description }: Adapter): boolean {
  return isFallback || architecture === "swiftshader" || /swiftshader|llvmpipe/i.test(description);
}

function describe(adapter: Adapter): string {
  const words = adapter.description || [adapter.vendor, adapter.architecture].filter((word) => word !== "").join(" ");
  return isSoftware(adapter) ? `${words} (in software)` : words;
}

/** Only then are Linux' GPU flags worth 1.5 s. */
function hasGpuDevice(): boolean {
  if (process.platform !== "linux") return false;
  return namesIn("/dev/dri").some((name) => name.startsWith("renderD")) || namesIn("/dev").includes("nvidia0");
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
