/**
 * Finds out in which environment Node gets a graphics adapter: as this process is; with a browser's Vulkan library, which
 * machines without a desktop lack; and with a browser's SwiftShader, which computes in software. Vulkan looks around once in
 * a process, when it starts, so each is tried by a program of its own (0.2 s each, 2-core Xeon, 2026-11-21).
 */

import { execFile } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import * as v from "valibot";
import { locateBrowser } from "../browser/find.ts";

export interface NodeAdapter {
  /** To be set for the volunteers, on top of this process's. */
  readonly environment: Readonly<Record<string, string>>;
  /** In words; undefined where there is none at all, then volunteers compute with WASM. */
  readonly adapter: string | undefined;
  /** True where WebGPU runs in software. */
  readonly isFallback: boolean;
  /** Why WebGPU cannot be loaded at all, where that is so. */
  readonly problem: string | undefined;
}

type Environment = Readonly<Record<string, string>>;

/** A first start from a cold disk reads 22 MB; a driver that never answers must not hold everything. */
const PROBE_TIMEOUT_MS = 30_000;
const VULKAN_LIBRARY = "libvulkan.so.1";
const SOFTWARE_DRIVER = "vk_swiftshader_icd.json";

/** Where the browsers' packages put what belongs to them; the command on the PATH may be a script elsewhere. */
const BROWSER_FOLDERS = [
  "/usr/lib/chromium",
  "/usr/lib/chromium-browser",
  "/opt/google/chrome",
  "/opt/microsoft/msedge",
  "/snap/chromium/current/usr/lib/chromium-browser",
] as const;

const reportSchema = v.object({
  adapter: v.nullable(v.object({ description: v.string(), isFallback: v.boolean() })),
  problem: v.nullable(v.string()),
});
type Report = v.InferOutput<typeof reportSchema>;

const NOTHING: NodeAdapter = { environment: {}, adapter: undefined, isFallback: false, problem: undefined };

/** Asks `program`, `client/node/probe.ts`, until it finds hardware; else takes the first software adapter. */
export async function findNodeAdapter(program: string): Promise<NodeAdapter> {
  let best = NOTHING;
  for (const environment of await environments()) {
    const { adapter, problem } = await probe(program, environment);
    if (problem !== null) return { ...NOTHING, problem };
    if (!adapter || (best.adapter !== undefined && adapter.isFallback)) continue;
    best = { ...adapter, environment, adapter: adapter.description, problem: undefined };
    if (!best.isFallback) break;
  }
  return best;
}

async function environments(): Promise<readonly Environment[]> {
  if (process.platform !== "linux") return [{}];
  const browser = await locateBrowser().catch(() => undefined);
  const folders = [...(browser === undefined ? [] : [dirname(realpathSync(browser))]), ...BROWSER_FOLDERS];
  return linuxEnvironments(process.env, folders, existsSync);
}

/** Pure, for tests: what to try on Linux, best first. */
export function linuxEnvironments(
  { LD_LIBRARY_PATH, VK_DRIVER_FILES, VK_ICD_FILENAMES }: NodeJS.ProcessEnv,
  folders: readonly string[],
  exists: (path: string) => boolean,
): readonly Environment[] {
  const library = folders.find((folder) => exists(join(folder, VULKAN_LIBRARY)));
  const driver = folders.find((folder) => exists(join(folder, SOFTWARE_DRIVER)));
  const withLibrary: Environment =
    library === undefined ? {} : { LD_LIBRARY_PATH: [LD_LIBRARY_PATH || [], library].flat().join(delimiter) };
  // Whoever names drivers means them.
  const isNamed = VK_DRIVER_FILES !== undefined || VK_ICD_FILENAMES !== undefined;
  return [
    {},
    ...(library === undefined ? [] : [withLibrary]),
    ...(driver === undefined || isNamed ? [] : [{ ...withLibrary, VK_DRIVER_FILES: join(driver, SOFTWARE_DRIVER) }]),
  ];
}

/** A program that dies has found nothing: a driver may take its process with it. */
async function probe(program: string, environment: Environment): Promise<Report> {
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [program], {
      env: { ...process.env, ...environment },
      timeout: PROBE_TIMEOUT_MS,
    });
    return v.parse(reportSchema, JSON.parse(stdout));
  } catch {
    return { adapter: null, problem: null };
  }
}
