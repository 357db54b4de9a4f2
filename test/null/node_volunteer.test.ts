/** A volunteer's Node: where a graphics adapter is looked for, and what is said where there is none. */

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { openWasm, openWebGpu } from "../../client/node/backends.ts";
import { chooseBackend } from "../../client/participation/choice.ts";
import { linuxEnvironments } from "../../coordinator/node/adapter.ts";

const PROBE = fileURLToPath(new URL("../../client/node/probe.ts", import.meta.url));
const FOLDERS = ["/usr/bin", "/usr/lib/chromium", "/opt/google/chrome"];

/** Makes a process one on a machine for which the package has no binary. */
const WITHOUT_PACKAGE = `data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from "node:module";
  registerHooks({
    resolve(specifier, context, next) {
      if (specifier === "webgpu") throw new Error("Cannot find module 'dawn.node'");
      return next(specifier, context);
    },
  });`)}`;

function hasChromium(path: string): boolean {
  return path.startsWith("/usr/lib/chromium/");
}

test("Vulkan is taken as it is, then with a browser's library, then in software by a browser's driver", () => {
  const library = { LD_LIBRARY_PATH: "/usr/lib/chromium" };
  const software = { ...library, VK_DRIVER_FILES: "/usr/lib/chromium/vk_swiftshader_icd.json" };
  expect(linuxEnvironments({}, FOLDERS, hasChromium)).toEqual([{}, library, software]);
  expect(linuxEnvironments({ LD_LIBRARY_PATH: "/opt/cuda" }, FOLDERS, hasChromium)[1]).toEqual({
    LD_LIBRARY_PATH: "/opt/cuda:/usr/lib/chromium",
  });
  expect(linuxEnvironments({ VK_DRIVER_FILES: "/etc/mine.json" }, FOLDERS, hasChromium)).toEqual([{}, library]);
  expect(linuxEnvironments({}, FOLDERS, () => false)).toEqual([{}]);
});

test("Where the package webgpu cannot be loaded the probe says so instead of dying", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ["--import", WITHOUT_PACKAGE, PROBE]);
  expect(JSON.parse(stdout)).toEqual({ adapter: null, problem: "Cannot find module 'dawn.node'" });
});

test("Without Dawn a volunteer computes with WASM, and a sentence says why", async () => {
  const gpu = await openWebGpu(() => Promise.reject(new Error("Cannot find module 'dawn.node'\nRequire stack: …")));
  if (!("note" in gpu)) throw new Error("a backend was opened on nothing");
  expect(gpu.note).toBe(
    "The package webgpu cannot be loaded on this machine (Cannot find module 'dawn.node'). Run npm ci where it has a binary: Linux, macOS and Windows on x64 and arm64.",
  );
  const wasm = await openWasm();
  if ("note" in wasm) throw new Error(wasm.note);
  const choice = chooseBackend(
    [
      { backend: "wasm", device: wasm.device, samplesPerSecond: 800, note: undefined },
      { backend: "webgpu", device: "WebGPU", samplesPerSecond: undefined, note: gpu.note },
    ],
    "auto",
    "",
  );
  expect(choice).toMatchObject({ backend: "wasm", reason: expect.stringContaining("package webgpu cannot be loaded") });
});

test("A machine without an adapter gets a sentence with the fix", async () => {
  const empty = { requestAdapter: () => Promise.resolve(null) } as unknown as GPU;
  expect(await openWebGpu(() => Promise.resolve(empty))).toEqual({
    note: expect.stringMatching(/no graphics adapter here\. Install/),
  });
});
