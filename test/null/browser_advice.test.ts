/** What each browser is told before Start where WebGPU is missing: the sentence names the fix that works there. */

import { expect, test } from "vitest";
import { adviceFor } from "../../client/page/browser_advice.ts";

const AROUND = { secureContext: true, hasWebGpu: false, hostname: "drove.example", port: "" };

test.each([
  ["Firefox on Linux", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "dom.webgpu.enabled"],
  ["Firefox on Android", "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0", "Chrome 121"],
  [
    "Safari on a Mac",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
    "Safari 26 (macOS 26)",
  ],
  [
    "Chrome on an iPhone",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/138.0 Mobile/15E148 Safari/604.1",
    "iOS or iPadOS 26",
  ],
  [
    "Chrome on Linux",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
    "chrome://flags/#enable-unsafe-webgpu",
  ],
  [
    "Chrome on Windows",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/110.0.0.0 Safari/537.36",
    "Use graphics acceleration when available",
  ],
  [
    "Chrome on Android",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/115.0.0.0 Mobile Safari/537.36",
    "Android 12",
  ],
] as const)("Without WebGPU, %s is told how to get it", (_browser, userAgent, fix) => {
  const told = adviceFor({ ...AROUND, userAgent }, "webgpu");
  expect(told).toContain(fix);
  expect(told).toContain("cannot start here");
  expect(adviceFor({ ...AROUND, userAgent }, "auto")).toContain("Training still works, on the processor");
});

test("Whoever has WebGPU, or was asked for the processor, is told nothing", () => {
  expect(adviceFor({ ...AROUND, hasWebGpu: true, userAgent: "" }, "webgpu")).toBeUndefined();
  expect(adviceFor({ ...AROUND, userAgent: "" }, "wasm")).toBeUndefined();
});

test("Plain http is told from a browser without WebGPU, and what to open instead", () => {
  const told = adviceFor({ ...AROUND, secureContext: false, port: "8080", userAgent: "" }, "auto");
  expect(told).toContain("plain http from drove.example");
  expect(told).toContain("http://localhost:8080");
});
