/**
 * Builds the two pages from `client/page` into `build/client`, and lists the test groups by what they need:
 * `null` nothing, `gpu` a browser with a WebGPU adapter (software will do), `e2e` a coordinator and a swarm of browsers.
 */

import { fileURLToPath } from "node:url";
import { playwright } from "@vitest/browser-playwright";
import { defineConfig } from "vitest/config";

const root = fileURLToPath(new URL(".", import.meta.url));

/** What threaded WASM and shared memory need of the page. */
const isolationHeaders = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

export default defineConfig({
  root: `${root}client/page`,
  cacheDir: `${root}node_modules/.vite`,
  base: "./",
  worker: { format: "es" },
  server: { fs: { allow: [root] }, headers: isolationHeaders },
  build: {
    outDir: `${root}build/client`,
    emptyOutDir: true,
    target: "es2024",
    rolldownOptions: {
      input: { volunteer: `${root}client/page/index.html`, operator: `${root}client/page/operator.html` },
    },
  },
  test: {
    reporters: ["default", `${root}test/support/summary_reporter.ts`],
    projects: [
      { root, test: { name: "null", include: ["test/null/**/*.test.ts"], testTimeout: 60_000 } },
      {
        root,
        server: { headers: isolationHeaders },
        test: {
          name: "gpu",
          include: ["test/gpu/**/*.test.ts"],
          testTimeout: 240_000,
          hookTimeout: 120_000,
          fileParallelism: false,
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            provider: playwright({
              launchOptions: {
                executablePath: process.env["DROVE_BROWSER"] ?? "/usr/bin/chromium",
                args: ["--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"],
              },
            }),
            instances: [{ browser: "chromium" }],
          },
        },
      },
      {
        root,
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          testTimeout: 600_000,
          hookTimeout: 180_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
