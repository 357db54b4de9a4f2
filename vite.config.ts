/**
 * Builds the two pages from `client/page` into `build/client`, in mode `engine` the engine alone as one module into
 * `build/engine`, and lists the test groups by what they need:
 * `null` nothing, `gpu` a browser with a WebGPU adapter (software will do), `pages` a coordinator and a browser, `e2e` these and the machine to
 * themselves: swarms, speeds, kills.
 */

import { fileURLToPath } from "node:url";
import { playwright } from "@vitest/browser-playwright";
import { defineConfig, type ViteUserConfig } from "vitest/config";
import { findBrowser } from "./coordinator/browser/find.ts";

/** They wait for pages most of the time: two files at once, after the groups that want the machine to themselves. */
const PAGE_TESTS = "test/e2e/{page,page_*,trial,privacy,accessibility,operator_page,documents}.test.ts";

const root = fileURLToPath(new URL(".", import.meta.url));

/** Without one the `gpu` group fails by itself, with Playwright's own sentence. */
const browser = findBrowser();
const sandbox = process.getuid?.() === 0 ? ["--no-sandbox"] : [];

/** What threaded WASM and shared memory need of the page. */
const isolationHeaders = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

const engineModule: ViteUserConfig = {
  root,
  publicDir: false,
  build: {
    outDir: `${root}build/engine`,
    emptyOutDir: true,
    target: "es2024",
    lib: { entry: `${root}client/engine_module/entry.ts`, formats: ["es"], fileName: () => "drove_engine.js" },
  },
};

const pagesAndTests: ViteUserConfig = {
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
        // Found in the middle of a test otherwise, which reloads the page.
        optimizeDeps: { include: ["@tensorflow/tfjs"] },
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
                ...(browser ? { executablePath: browser } : {}),
                args: [...sandbox, "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"],
              },
            }),
            instances: [{ browser: "chromium" }],
          },
        },
      },
      {
        root,
        test: {
          name: "pages",
          include: [PAGE_TESTS],
          testTimeout: 600_000,
          hookTimeout: 180_000,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        root,
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          exclude: [PAGE_TESTS],
          testTimeout: 600_000,
          hookTimeout: 180_000,
          fileParallelism: false,
        },
      },
    ],
  },
};

export default defineConfig(({ mode }) => (mode === "engine" ? engineModule : pagesAndTests));
