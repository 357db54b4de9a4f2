/** Opens the backends in Node: reads the kernels' sources from the checkout, and says in plain words what is missing. */

import { readdir, readFile } from "node:fs/promises";
import type { GradientSource, StepOwner } from "../../shared/engine/shares.ts";
import { createWasmBackend } from "../../shared/engine/wasm/wasm_backend.ts";
import { openAdapter } from "../participation/adapter.ts";
import type { OpenedBackend } from "../participation/surroundings.ts";
import { sentenceOf } from "../replica/replica.ts";
import { loadDawn } from "./dawn.ts";
import { startHelper } from "./helper_threads.ts";
import { NODE_CLOCK } from "./node_clock.ts";

const WASM_FOLDER = new URL("../../shared/engine/wasm/build/", import.meta.url);
const SHADER_FOLDER = new URL("../../shaders/", import.meta.url);

export async function openWasm(threads = 1): Promise<OpenedBackend<GradientSource>> {
  const suffix = threads > 1 ? "_shared" : "";
  try {
    const [plain, relaxed] = await Promise.all(
      ["plain", "relaxed"].map((name) => readFile(new URL(`${name}${suffix}.wasm`, WASM_FOLDER))),
    );
    return await createWasmBackend(
      { plain: plain!, relaxed: relaxed! },
      threads > 1 ? { threads, startHelper } : undefined,
    );
  } catch (error) {
    return { note: `Its kernels could not be loaded (${sentenceOf(error)}). Run: npm run build:wasm.` };
  }
}

/** `load` gives WebGPU's entry point. */
export async function openWebGpu(load: () => Promise<GPU> = loadDawn): Promise<OpenedBackend<StepOwner>> {
  let gpu: GPU;
  try {
    gpu = await load();
  } catch (error) {
    return {
      note: `The package webgpu cannot be loaded on this machine (${firstLine(error)}). Run npm ci where it has a binary: Linux, macOS and Windows on x64 and arm64.`,
    };
  }
  try {
    return (await openAdapter(gpu, await readShaders(), NODE_CLOCK)) ?? { note: NO_ADAPTER };
  } catch (error) {
    return { note: `Dawn gave no device (${sentenceOf(error)}). Update the graphics driver.` };
  }
}

const NO_ADAPTER =
  "Dawn finds no graphics adapter here. Install a graphics driver with Vulkan, or a Chromium, whose software adapter serves too.";

/** By file name, without ending. */
export async function readShaders(): Promise<ReadonlyMap<string, string>> {
  const files = (await readdir(SHADER_FOLDER)).filter((file) => file.endsWith(".wgsl"));
  const texts = await Promise.all(files.map((file) => readFile(new URL(file, SHADER_FOLDER), "utf8")));
  return new Map(files.map((file, index) => [file.slice(0, -".wgsl".length), texts[index]!]));
}

export function firstLine(error: unknown): string {
  return sentenceOf(error).split("\n", 1)[0]!;
}
