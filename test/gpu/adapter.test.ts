import { expect, test } from "vitest";

test("This browser gives a WebGPU adapter in a page that is cross-origin isolated", async () => {
  const adapter = await navigator.gpu.requestAdapter();
  expect(adapter).not.toBeNull();
  expect(crossOriginIsolated).toBe(true);
});
