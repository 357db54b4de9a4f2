/**
 * `drove join URL --volunteers N`: headless browsers on this machine that train for a run, wherever its coordinator is.
 * `drove train` starts it for its local volunteers.
 */

import type { Command } from "commander";
import { BrowserError, locateBrowser } from "../browser/find.ts";
import { probeBrowser, type BrowserProbe } from "../browser/probe.ts";
import { Swarm } from "../browser/swarm.ts";
import { ConfigError } from "../run_config.ts";
import { FIELDS } from "../run_fields.ts";
import { askCoordinator, coordinatorUrl, followCoordinator, TRUST_FLAG } from "./coordinator_api.ts";
import { EXIT, EXIT_CODES_HELP, type ExitCode } from "./exit_codes.ts";
import { JSON_FLAG, Output } from "./output.ts";

interface JoinOptions {
  readonly volunteers: string;
  readonly backend: string;
  readonly trust?: string;
  readonly json?: boolean;
  readonly withParent?: boolean;
}

interface End {
  readonly reason: string;
  readonly exitCode: ExitCode;
}

type Backend = "auto" | "webgpu" | "wasm";

const MAX_VOLUNTEERS = 64;
const RETRY_MS = 2000;
/** A coordinator that restarts is back long before; the pages keep trying meanwhile. */
const SILENCE_ENDS_AFTER_MS = 300_000;

export function addJoin(program: Command, done: (exitCode: ExitCode) => void): void {
  program
    .command("join")
    .description("starts headless volunteers on this machine for a run")
    .argument("<URL>", "the run's link, such as http://127.0.0.1:8080")
    .option("--volunteers <N>", "how many browsers", "1")
    .option("--backend <NAME>", "what they compute on: auto (the faster one, measured), webgpu or wasm", "auto")
    .option(...TRUST_FLAG)
    .option("--with-parent", "end when standard input ends, as the program that started this one does")
    .option(...JSON_FLAG)
    .addHelpText("after", `\nExample:\n  drove join http://127.0.0.1:8080 --volunteers 2\n${EXIT_CODES_HELP}`)
    .action(async (url: string, options: JoinOptions) => done(await join(coordinatorUrl(url), options)));
}

async function join(url: URL, options: JoinOptions): Promise<ExitCode> {
  const output = new Output(options.json ?? false);
  const volunteers = countOf(options.volunteers);
  const backend = backendOf(options.backend);
  // Listened to from the start: a browser takes seconds to be asked, and nobody shall wait for it.
  const stopped = stopRequest(options.withParent ?? false);
  await askCoordinator(url, "/api/run", options.trust);
  const executable = await locateBrowser();
  if (!executable) {
    throw new BrowserError(
      "There is no Chrome, Chromium or Edge on this machine; run `drove doctor --install`, or set DROVE_BROWSER to one.",
    );
  }
  // Without WebGPU there is nothing to find out.
  const probe: BrowserProbe =
    backend === "wasm" ? { flags: [], adapter: undefined, isFallback: false } : await probeBrowser(executable);
  const flags = [
    ...probe.flags,
    ...(options.trust === undefined ? [] : [`--ignore-certificate-errors-spki-list=${options.trust}`]),
  ];
  const onDeath = (sentence: string): void => output.note(sentence);
  const swarm = await Swarm.start({ executable, url: url.href, volunteers, backend, flags, onDeath });
  const adapter = probe.adapter ?? "no WebGPU adapter (they compute with WASM)";
  output.say(
    `${volunteers} ${volunteers === 1 ? "volunteer joins" : "volunteers join"} ${url.href} in ${executable}, ${adapter}.`,
  );
  const died = swarm.ended.then((): End => ({
    reason: "Every browser of these volunteers has ended.",
    exitCode: EXIT.failed,
  }));
  const over = new AbortController();
  const end = await Promise.race([stopped, died, runOver(url, options.trust, over.signal)]);
  over.abort();
  await swarm.stop();
  output.result({ url: url.href, volunteers, backend, adapter: probe.adapter ?? null, reason: end.reason }, [
    end.reason,
  ]);
  return end.exitCode;
}

function stopRequest(withParent: boolean): Promise<End> {
  return new Promise((resolve) => {
    const stop = (reason: string): void => resolve({ reason, exitCode: EXIT.ok });
    for (const signal of ["SIGINT", "SIGTERM"] as const)
      process.once(signal, () => stop(`The volunteers were stopped (${signal}).`));
    if (!withParent) return;
    process.stdin
      .on("error", () => {})
      .on("close", () => stop("The program that started these volunteers has ended."))
      .resume();
  });
}

/** Resolves when the run is over, or its coordinator stays away. */
async function runOver(url: URL, trust: string | undefined, signal: AbortSignal): Promise<End> {
  let heardMs = performance.now();
  while (!signal.aborted && performance.now() - heardMs < SILENCE_ENDS_AFTER_MS) {
    try {
      for await (const { state } of followCoordinator(url, trust)) {
        if (state === "reached" || state === "stopped")
          return { reason: "The run is over. Thank you.", exitCode: EXIT.ok };
        heardMs = performance.now();
      }
    } catch {
      // A coordinator that is away may be restarting; how long it is away decides.
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
  return {
    reason: `${url.href} has not answered for ${SILENCE_ENDS_AFTER_MS / 60_000} minutes.`,
    exitCode: EXIT.failed,
  };
}

function countOf(text: string): number {
  const count = Number(text);
  if (text.trim() !== "" && Number.isInteger(count) && count >= 1 && count <= MAX_VOLUNTEERS) return count;
  throw new ConfigError(`--volunteers is "${text}"; accepted is a whole number from 1 to ${MAX_VOLUNTEERS}.`);
}

function backendOf(text: string): Backend {
  const found = FIELDS.backend.schema.options.find((name) => name === text);
  if (found) return found;
  throw new ConfigError(`--backend is "${text}"; accepted is ${FIELDS.backend.accepted}.`);
}
