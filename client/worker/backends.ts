/** Opens the backends of a browser: finds the adapter, fetches the kernels' sources, and says in plain words what is missing. */

import type { GradientSource, StepOwner } from "../../shared/engine/shares.ts";
import { createWasmBackend } from "../../shared/engine/wasm/wasm_backend.ts";
import plainUrl from "../../shared/engine/wasm/build/plain.wasm?url";
import plainSharedUrl from "../../shared/engine/wasm/build/plain_shared.wasm?url";
import relaxedUrl from "../../shared/engine/wasm/build/relaxed.wasm?url";
import relaxedSharedUrl from "../../shared/engine/wasm/build/relaxed_shared.wasm?url";
import { openAdapter } from "../participation/adapter.ts";
import type { OpenedBackend } from "../participation/surroundings.ts";
import type { Clock } from "../replica/clock.ts";
import { startHelper } from "./helper_threads.ts";

const shaderFiles = import.meta.glob<string>("../../shaders/*.wgsl", { query: "?raw", import: "default", eager: true });

/** By file name, without folder and ending. */
const SHADERS: ReadonlyMap<string, string> = new Map(
  Object.entries(shaderFiles).map(([path, text]) => [path.replace(/^.*\/|\.wgsl$/g, ""), text]),
);

/** Several threads need a page that is cross-origin isolated. */
export async function openWasm(threads: number): Promise<OpenedBackend<GradientSource>> {
  const isShared = threads > 1 && crossOriginIsolated;
  const urls = isShared ? [plainSharedUrl, relaxedSharedUrl] : [plainUrl, relaxedUrl];
  try {
    const [plain, relaxed] = await Promise.all(urls.map(bytesOf));
    return await createWasmBackend(
      { plain: plain!, relaxed: relaxed! },
      isShared ? { threads, startHelper } : undefined,
    );
  } catch (error) {
    return { note: `Its kernels could not be loaded (${sentenceOf(error)}). Reload the page.` };
  }
}

export async function openWebGpu(clock: Clock): Promise<OpenedBackend<StepOwner>> {
  // The types promise it; older browsers and plain http: pages lack it.
  const gpu = navigator.gpu as GPU | undefined;
  if (!gpu) return { note: isSecureContext ? NO_WEBGPU : NOT_SECURE };
  try {
    return (await openAdapter(gpu, SHADERS, clock)) ?? { note: NO_ADAPTER };
  } catch (error) {
    return {
      note: `The browser has WebGPU, but gave no device (${sentenceOf(error)}). Restart the browser, or update the graphics driver.`,
    };
  }
}

const NOT_SECURE =
  "Browsers offer WebGPU only to pages from https: or localhost, and this page is from neither. Ask the operator for an https: link.";
const NO_WEBGPU = "This browser has no WebGPU. A current Chrome, Edge, Safari or Firefox has it.";
const NO_ADAPTER =
  "The browser has WebGPU, but offers no graphics adapter. Turn on graphics acceleration in its settings, or update the graphics driver.";

async function bytesOf(url: string): Promise<ArrayBuffer> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`HTTP ${response.status} for ${url}`);
  return response.arrayBuffer();
}

function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
