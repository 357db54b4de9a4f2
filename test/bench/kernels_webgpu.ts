/**
 * A training step on the WebGPU backend in Chromium, launch by launch, beside the adapter's multiply-add peak:
 * `node test/bench/kernels_webgpu.ts [--model lenet|mlp|gemm] [--batch 64] [--rounds 7] [--traits quads|plain|hardware]
 * [--json]`. The page measures and reports by itself; Playwright only opens it.
 */

import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { chromium } from "playwright";
import { createServer, type ViteDevServer } from "vite";
import type { KernelTimes, KernelTimesOptions } from "./kernels/report.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const PAGE_PATH = "/kernel-times";
const BROWSER_FLAGS = ["--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];

function pageServer(): Promise<ViteDevServer> {
  return createServer({
    root,
    configFile: false,
    appType: "custom",
    logLevel: "error",
    optimizeDeps: { noDiscovery: true },
    server: { host: "127.0.0.1", port: 0, hmr: false },
    plugins: [
      {
        name: "empty-page",
        configureServer: ({ middlewares }) => {
          middlewares.use(PAGE_PATH, (_request, response) => {
            response.setHeader("Content-Type", "text/html");
            response.end("<!doctype html><title>kernel times</title>");
          });
        },
      },
    ],
  });
}

async function measure(options: KernelTimesOptions): Promise<KernelTimes> {
  const server = await (await pageServer()).listen();
  const browser = await chromium.launch({
    executablePath: process.env["DROVE_BROWSER"] ?? "/usr/bin/chromium",
    args: BROWSER_FLAGS,
  });
  try {
    const page = await browser.newPage();
    await page.goto(new URL(PAGE_PATH, server.resolvedUrls!.local[0]).href);
    const call = `import("/test/gpu/kernel_times.ts").then((times) => times.measureKernels(${JSON.stringify(options)}))`;
    return await page.evaluate<KernelTimes>(call);
  } finally {
    await browser.close();
    await server.close();
  }
}

const { values } = parseArgs({
  options: {
    json: { type: "boolean" },
    model: { type: "string", default: "lenet" },
    batch: { type: "string", default: "64" },
    rounds: { type: "string", default: "7" },
    traits: { type: "string", default: "quads" },
  },
});
const { traits } = values;
if (traits !== "quads" && traits !== "plain" && traits !== "hardware") {
  throw new Error(`There are no traits "${traits}"; there are quads, plain and hardware.`);
}
const times = await measure({
  model: values.model,
  batch: Number(values.batch),
  rounds: Number(values.rounds),
  traits,
});
if (values.json) {
  process.stdout.write(`${JSON.stringify({ ...values, ...times })}\n`);
} else {
  process.stdout.write(
    `${times.adapter}: compiled in ${times.compileMs.toFixed(0)} ms, step ${times.stepMs.toFixed(1)} ms, peak ${times.peakGflops.toFixed(2)} GFLOP/s\n`,
  );
  for (const { name, ms, gflops } of times.launches) {
    const share = `${gflops.toFixed(2).padStart(7)} GFLOP/s ${((100 * gflops) / times.peakGflops).toFixed(0).padStart(3)} %`;
    process.stdout.write(`${name.padEnd(34)} ${ms.toFixed(2).padStart(9)} ms ${gflops > 0 ? share : ""}\n`);
  }
}
