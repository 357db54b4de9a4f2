/** Where kernels are measured: one page in raw Chromium, or one process of Node with Dawn; software where there is no GPU. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { createServer as createVite } from "vite";
import { locateBrowser } from "../../../coordinator/browser/find.ts";
import { probeBrowser } from "../../../coordinator/browser/probe.ts";
import { RawBrowser } from "../../../coordinator/browser/raw_browser.ts";
import { findNodeAdapter } from "../../../coordinator/node/adapter.ts";
import type { Answer, Job, Question } from "./job.ts";
import { StageError } from "./stage_error.ts";
import { wasmInBase64 } from "./wasm_modules.ts";

export type Runtime = "chromium" | "node";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const PAGE = `<!doctype html><title>Kernel benchmark</title><link rel="icon" href="data:,">
<script type="module" src="/test/bench/kernels/rig/page.ts"></script>`;
/** Without them the host's clock has a grain of 0.1 ms. */
const ISOLATION_HEADERS = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

type AnswerTo<J extends Job> = Extract<Answer, { kind: J["kind"] }>;

/** Measures, and says on stderr how it goes. Rejects with a sentence where the device or its runtime gives up. */
export async function perform<J extends Job>(runtime: Runtime, job: J, limitMs: number): Promise<AnswerTo<J>> {
  const answer = await (runtime === "chromium" ? inChromium(job, limitMs) : inNode(job, limitMs));
  if (answer.kind === "failed") throw new StageError(answer.sentence);
  return answer as AnswerTo<J>;
}

async function inChromium(job: Job, limitMs: number): Promise<Answer> {
  const executable = await locateBrowser();
  if (!executable) throw new StageError("No browser is installed; run: npx drove doctor --install.");
  const { flags } = await probeBrowser(executable);
  const vite = await createVite({
    root: ROOT,
    configFile: false,
    appType: "custom",
    logLevel: "error",
    cacheDir: `${ROOT}build/bench-kernels`,
    optimizeDeps: { noDiscovery: true },
    server: { middlewareMode: true, hmr: false, ws: false, headers: ISOLATION_HEADERS },
  });
  const { url, answer, close } = await openServer(job, (request, response) => {
    if (request.url === "/") {
      response.writeHead(200, { "Content-Type": "text/html; charset=utf-8", ...ISOLATION_HEADERS }).end(PAGE);
    } else vite.middlewares(request, response, () => response.writeHead(404).end());
  });
  const browser = await RawBrowser.launch({ executable, url, flags });
  try {
    return await Promise.race([answer, browser.ended.then(giveUp), late(limitMs)]);
  } finally {
    await browser.stop();
    close();
    await vite.close();
  }
}

async function inNode(job: Job, limitMs: number): Promise<Answer> {
  const { environment, problem } = await findNodeAdapter(`${ROOT}client/node/probe.ts`);
  if (problem !== undefined) throw new StageError(`WebGPU cannot be loaded in Node: ${problem}`);
  const { url, answer, close } = await openServer(job, (_request, response) => response.writeHead(404).end());
  const program = fileURLToPath(new URL("rig/process.ts", import.meta.url));
  const child = spawn(process.execPath, [program, url.replace(/\/$/, "")], {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "ignore", "inherit"],
  });
  try {
    const ended = once(child, "exit").then(([code, signal]) => giveUp(`Its process ended (${signal ?? code}).`));
    return await Promise.race([answer, ended, late(limitMs)]);
  } finally {
    child.kill("SIGKILL");
    close();
  }
}

function giveUp(sentence: string): never {
  throw new StageError(sentence);
}

/** A timer that holds nobody. */
function late(limitMs: number): Promise<never> {
  return new Promise((_resolve, reject) => {
    const timer = setTimeout(() => reject(new StageError(`It took longer than ${limitMs / 1000} s.`)), limitMs);
    timer.unref();
  });
}

type Fallback = (request: IncomingMessage, response: ServerResponse) => void;

async function openServer(
  job: Job,
  fallback: Fallback,
): Promise<{ url: string; answer: Promise<Answer>; close: () => void }> {
  const { promise, resolve } = Promise.withResolvers<Answer>();
  const question = JSON.stringify(await questionOf(job));
  const server: Server = createServer((request, response) => {
    if (request.url === "/question") response.writeHead(200, { "Content-Type": "application/json" }).end(question);
    else if (request.method === "POST") void take(request, response, resolve);
    else fallback(request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const close = (): void => {
    server.closeAllConnections();
    server.close();
  };
  return { url: `http://127.0.0.1:${port}/`, answer: promise, close };
}

async function take(
  request: IncomingMessage,
  response: ServerResponse,
  resolve: (answer: Answer) => void,
): Promise<void> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  response.end();
  const body = Buffer.concat(parts).toString("utf8");
  if (request.url === "/answer") resolve(JSON.parse(body) as Answer);
  else process.stderr.write(`${body}\n`);
}

async function questionOf(job: Job): Promise<Question> {
  const text = (folder: string, name: string): string => readFileSync(`${ROOT}${folder}/${name}.wgsl`, "utf8");
  const names = readdirSync(`${ROOT}shaders`).filter((file) => file.endsWith(".wgsl"));
  const shaders = names.map((file) => file.slice(0, -".wgsl".length)).map((name) => [name, text("shaders", name)]);
  const peak = (name: string): string => text("test/bench/kernels/rig", name);
  return {
    job,
    shaders: Object.fromEntries(shaders) as Record<string, string>,
    peaks: { fma_peak: peak("fma_peak"), copy_peak: peak("copy_peak"), nothing: peak("nothing") },
    wasm: job.kind === "kernels" && job.backend === "wasm" ? await wasmInBase64() : undefined,
  };
}
