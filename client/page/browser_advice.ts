/**
 * What this browser and this address allow, told before anything runs: whether WebGPU can be reached, and if not, what
 * the volunteer can do about it. Looks at names only; it asks no device.
 */

import type { BackendWish } from "../../shared/backends.ts";
import { isLoopback } from "./addresses.ts";

export interface Surroundings {
  readonly secureContext: boolean;
  readonly hasWebGpu: boolean;
  readonly hostname: string;
  readonly port: string;
  readonly userAgent: string;
}

export function surroundings(): Surroundings {
  return {
    secureContext: window.isSecureContext,
    hasWebGpu: "gpu" in navigator,
    hostname: location.hostname,
    port: location.port,
    userAgent: navigator.userAgent,
  };
}

/** A sentence with the fix, or nothing where WebGPU is within reach or not asked for. */
export function adviceFor(around: Surroundings, backend: BackendWish): string | undefined {
  if (backend === "wasm" || (around.hasWebGpu && around.secureContext)) return undefined;
  const consequence =
    backend === "webgpu" || backend === "hybrid"
      ? "This run or link asks for WebGPU, so training cannot start here."
      : "Training still works, on the processor (WASM), only slower.";
  if (!around.secureContext && !isLoopback(around.hostname)) {
    const local = `http://localhost${around.port === "" ? "" : `:${around.port}`}`;
    return `Browsers open the GPU only to pages from https:// or from localhost, and this one came over plain http from ${around.hostname}. ${consequence} For the GPU, ask whoever runs Drove for its https:// address, or on the coordinator's own machine open ${local}.`;
  }
  return `${NO_WEBGPU[familyOf(around.userAgent)]} ${consequence}`;
}

type Family = "firefox" | "firefox-android" | "ios" | "safari" | "android" | "chromium-linux" | "chromium" | "other";

const GRAPHICS_SWITCH = "switch on “Use graphics acceleration when available” in the browser's system settings";

/** Where WebGPU is there by name but gives no adapter. */
const NO_ADAPTER: Record<Family, string> = {
  firefox: "If this machine has a GPU, update its driver and Firefox, and look under about:support for “WebGPU”.",
  "firefox-android": "Update Firefox and the phone's system, or use Chrome.",
  ios: "Update the system: WebGPU needs iOS or iPadOS 26 or newer.",
  safari: "If this machine has a GPU, update the system; WebGPU needs Safari 26 or newer.",
  android: "Update Chrome and the phone's system; WebGPU needs Android 12 or newer and a GPU that the browser trusts.",
  "chromium-linux": `If this machine has a GPU, install its Vulkan driver, enable chrome://flags/#enable-unsafe-webgpu and chrome://flags/#enable-vulkan, ${GRAPHICS_SWITCH}, and look under chrome://gpu for “WebGPU”.`,
  chromium: `If this machine has a GPU, update its driver, ${GRAPHICS_SWITCH}, and look under chrome://gpu for “WebGPU”.`,
  other: "If this machine has a GPU, update its driver and the browser.",
};

/** Where there is no WebGPU at all. */
const NO_WEBGPU: Record<Family, string> = {
  firefox:
    "This Firefox offers no WebGPU. It is on from Firefox 141 on Windows and 145 on Macs with Apple silicon; elsewhere open about:config and set dom.webgpu.enabled to true, or use Chrome or Edge.",
  "firefox-android": "Firefox for Android offers no WebGPU yet. Open this link in Chrome 121 or newer.",
  ios: "This browser offers no WebGPU. On iPhones and iPads every browser gets it from the system: update to iOS or iPadOS 26 or newer.",
  safari: "This Safari offers no WebGPU. Update to Safari 26 (macOS 26) or newer, or use Chrome.",
  android: "This browser offers no WebGPU. Open this link in Chrome 121 or newer, on Android 12 or newer.",
  "chromium-linux": `This browser offers no WebGPU. Update it, ${GRAPHICS_SWITCH}, and on Linux also enable chrome://flags/#enable-unsafe-webgpu and chrome://flags/#enable-vulkan; then restart the browser.`,
  chromium: `This browser offers no WebGPU. Update it (Chrome or Edge 113 or newer), and ${GRAPHICS_SWITCH}.`,
  other: "This browser offers no WebGPU. Current versions of Chrome, Edge, Safari and Firefox do.",
};

export function adapterAdvice(userAgent: string): string {
  return NO_ADAPTER[familyOf(userAgent)];
}

function familyOf(userAgent: string): Family {
  // All of them are WebKit there, whatever they call themselves.
  if (/iPhone|iPad|iPod/.test(userAgent)) return "ios";
  const isAndroid = /Android/.test(userAgent);
  if (/Firefox\//.test(userAgent)) return isAndroid ? "firefox-android" : "firefox";
  if (/Chrome\/|Chromium\//.test(userAgent)) {
    if (isAndroid) return "android";
    return /Linux|X11/.test(userAgent) && !/CrOS/.test(userAgent) ? "chromium-linux" : "chromium";
  }
  return /Safari\//.test(userAgent) ? "safari" : "other";
}
