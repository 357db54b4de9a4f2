/**
 * What a machine needs for Drove, one check each: what was found, and what to do where it is missing. Only what no run
 * can do without is required; the rest are hints.
 */

import { access, statfs } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { findNodeAdapter } from "../node/adapter.ts";
import { locateBrowser } from "../browser/find.ts";
import { installBrowser } from "../browser/install.ts";
import { probeBrowser } from "../browser/probe.ts";
import { layoutOf } from "../../shared/model/layout.ts";
import { misfitOf } from "../data/dataset.ts";
import type { DatasetDescription } from "../data/description.ts";
import { describeDataset } from "../data/library.ts";
import { modelOf } from "../run_config.ts";
import { readClientFiles } from "../server/client_files.ts";
import { configFrom } from "./config_flags.ts";
import { sizeInWords } from "./data_words.ts";
import { describeFailure } from "./exit_codes.ts";
import { thousands } from "./output.ts";
import { CHECKOUT, CLIENT_FOLDER, dataRoot, NODE_CLIENT } from "./places.ts";

export interface Check {
  readonly name: string;
  readonly isOk: boolean;
  /** False where runs work without it. */
  readonly isRequired: boolean;
  /** What was found, or a sentence with the fix. */
  readonly detail: string;
}

export interface CheckRequest {
  readonly install: boolean;
  readonly port: number;
  readonly runsFolder: string;
  /** Its path; undefined where there is none to check. */
  readonly runFile: string | undefined;
  /** Told what takes long. */
  readonly onStep: (sentence: string) => void;
}

const LEAST_NODE_MAJOR = 24;
const LEAST_FREE_BYTES = 500e6;
const WASM_FILES = [
  "shared/engine/wasm/build/plain.wasm",
  "shared/engine/wasm/build/relaxed.wasm",
  "shared/engine/wasm/build/plain_shared.wasm",
  "shared/engine/wasm/build/relaxed_shared.wasm",
  "coordinator/center/build/center.wasm",
] as const;

type Finding = () => Promise<string>;

export async function runChecks(request: CheckRequest): Promise<Check[]> {
  const checks: Check[] = [];
  const look = async (name: string, isRequired: boolean, finding: Finding): Promise<void> => {
    checks.push(
      await finding().then(
        (detail) => ({ name, isRequired, isOk: true, detail }),
        (error: unknown) => ({
          name,
          isRequired,
          isOk: false,
          detail: error instanceof Missing ? error.message : describeFailure(error),
        }),
      ),
    );
  };
  let browser: string | undefined;
  await look("node", true, nodeVersion);
  await look("wasm builds", true, wasmBuilds);
  await look("pages", true, pages);
  const { runFile } = request;
  if (runFile === undefined) await look("data", true, async () => inWords(await describeDataset("", "mnist")));
  else await look("run file", true, () => checkedRunFile(runFile));
  await look("browser", true, async () => {
    browser = (await locateBrowser()) ?? (request.install ? await installBrowser(request.onStep) : undefined);
    if (!browser)
      throw new Missing(
        "No Chrome, Chromium or Edge is installed; run `drove doctor --install`, or set DROVE_BROWSER to one.",
      );
    return browser;
  });
  if (browser) await look("webgpu", false, () => webGpu(browser!));
  await look("webgpu in node", false, webGpuInNode);
  await look("webrtc in node", false, webRtcInNode);
  await look("disk", false, () => freeDisk(request.runsFolder));
  await look("port", false, () => freePort(request.port));
  return checks;
}

class Missing extends Error {}

async function nodeVersion(): Promise<string> {
  const [major = 0] = process.versions.node.split(".").map(Number);
  if (major >= LEAST_NODE_MAJOR) return `Node ${process.versions.node}`;
  throw new Missing(
    `This is Node ${process.versions.node}; Drove needs ${LEAST_NODE_MAJOR}, which \`npm ci\` installs for \`npx drove\` and npm scripts.`,
  );
}

async function wasmBuilds(): Promise<string> {
  for (const file of WASM_FILES) {
    await access(join(CHECKOUT, file)).catch(() => {
      throw new Missing(`${file} is not built; run \`npm run build\`.`);
    });
  }
  return `${WASM_FILES.length} modules`;
}

async function pages(): Promise<string> {
  const files = await readClientFiles(CLIENT_FOLDER);
  return `${new Set(files.values()).size} files in ${CLIENT_FOLDER}`;
}

/** Its fields, its model file, and that the data set is there and fits. */
async function checkedRunFile(path: string): Promise<string> {
  const config = await configFrom({ config: path });
  const model = modelOf(config);
  const { parameters } = layoutOf(model);
  const data = await describeDataset(dataRoot(config.runsFolder), config.data);
  const misfit = misfitOf(model, data);
  if (misfit !== undefined) throw new Missing(`${path}: ${misfit}`);
  return `${path}: ${model.name} (${thousands(parameters)} parameters) with ${config.solver} on ${inWords(data)}`;
}

function inWords(data: DatasetDescription): string {
  return `${data.name}, ${sizeInWords(data)}`;
}

async function webGpu(browser: string): Promise<string> {
  const { adapter, flags, isFallback } = await probeBrowser(browser);
  if (adapter === undefined)
    throw new Missing("This browser has no WebGPU adapter; volunteers here compute with WASM.");
  const how = flags.length === 0 ? "without flags" : `with ${flags.join(" ")}`;
  return `${adapter}, ${how}${isFallback ? "; there is no GPU behind it, so WASM may be faster" : ""}`;
}

async function webGpuInNode(): Promise<string> {
  const { adapter, environment, isFallback, problem } = await findNodeAdapter(join(NODE_CLIENT, "probe.ts"));
  if (problem !== undefined)
    throw new Missing(
      `The package webgpu cannot be loaded (${problem}); \`drove join --node\` computes with WASM here.`,
    );
  if (adapter === undefined)
    throw new Missing(
      "Dawn finds no adapter, not even a browser's in software; `drove join --node` computes with WASM.",
    );
  const how = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  return `${adapter}${how.length === 0 ? "" : `, with ${how.join(" ")}`}${isFallback ? "; there is no GPU behind it" : ""}`;
}

async function webRtcInNode(): Promise<string> {
  await import("@roamhq/wrtc").catch((error: unknown) => {
    throw new Missing(
      `The package @roamhq/wrtc cannot be loaded (${String(error).split("\n", 1)[0]}); exchanges travel by WebSocket only.`,
    );
  });
  return "simple-peer over @roamhq/wrtc";
}

async function freeDisk(folder: string): Promise<string> {
  // Before the first run the folder is not there yet.
  const { bavail, bsize } = await statfs(folder).catch(() => statfs("."));
  const freeBytes = bavail * bsize;
  const detail = `${(freeBytes / 1e9).toFixed(1)} GB free for ${folder}`;
  if (freeBytes < LEAST_FREE_BYTES)
    throw new Missing(`Only ${detail}; a long run needs some hundred MB, so free some or name another --runs-folder.`);
  return detail;
}

function freePort(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) =>
      reject(
        new Missing(
          `Port ${port} on 127.0.0.1 cannot be listened on (${error.code}); pass another with --port (0 takes a free one).`,
        ),
      ),
    );
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(`${port} on 127.0.0.1 is free`)));
  });
}
