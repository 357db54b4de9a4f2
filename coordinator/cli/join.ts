/**
 * `drove join URL --volunteers N`: headless volunteers on this machine that train for a run, wherever its coordinator is: in
 * browsers, or with `--node` without. `drove train` starts it for its local volunteers.
 */

import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { isBackendWish, type BackendWish } from "../../shared/backends.ts";
import { LIMITS } from "../../shared/wire/codes.ts";
import { BrowserError, locateBrowser } from "../browser/find.ts";
import { probeBrowser, type BrowserProbe } from "../browser/probe.ts";
import { Swarm } from "../browser/swarm.ts";
import { ConfigError } from "../run_config.ts";
import { FIELDS } from "../run_fields.ts";
import { findNodeAdapter } from "../node/adapter.ts";
import { NodeSwarm } from "../node/node_swarm.ts";
import { askCoordinator, followCoordinator, TRUST_FLAG } from "./coordinator_api.ts";
import { EXIT, EXIT_CODES_HELP, type ExitCode } from "./exit_codes.ts";
import { JSON_FLAG, Output } from "./output.ts";
import { NODE_CLIENT } from "./places.ts";
import { addRunFileFlag, runUrl } from "./run_file.ts";

interface JoinOptions {
  readonly config?: string;
  readonly volunteers: string;
  readonly backend: string;
  readonly threads?: string;
  readonly dutyCycle: string;
  readonly node?: boolean;
  readonly peers?: boolean;
  readonly name?: string;
  readonly trust?: string;
  readonly json?: boolean;
  readonly withParent?: boolean;
}

interface End {
  readonly reason: string;
  readonly exitCode: ExitCode;
}

interface Wanted {
  readonly url: URL;
  readonly volunteers: number;
  readonly backend: BackendWish;
  readonly threads: number;
  readonly dutyCycle: number;
  readonly allowsPeers: boolean;
  readonly name: string | undefined;
  readonly trust: string | undefined;
  readonly output: Output;
}

/** Volunteers that run. */
interface Joined {
  /** Where they run, in words. */
  readonly where: string;
  /** What they compute on, where that is a graphics adapter. */
  readonly adapter: string | undefined;
  /** Resolves when the last of them has ended by itself. */
  readonly ended: Promise<End>;
  /** Has them complete their exchanges; resolves when they have. */
  finish(): Promise<void>;
  stop(): Promise<void>;
}

const MAX_VOLUNTEERS = 64;
const RUN_OVER = "The run is over. Thank you.";
const RETRY_MS = 2000;
/** A coordinator that restarts is back long before; the pages keep trying meanwhile. */
const SILENCE_ENDS_AFTER_MS = 300_000;

export function addJoin(program: Command, done: (exitCode: ExitCode) => void): void {
  addRunFileFlag(program.command("join").description("starts headless volunteers on this machine for a run"))
    .argument("[URL]", "the run's link, such as http://127.0.0.1:8080; the run file's where left out")
    .option("--volunteers <N>", "how many", "1")
    .option("--node", "without a browser: in Node, on this machine's GPU (Dawn) or on WASM")
    .option(
      "--backend <NAME>",
      "what they compute on: auto (the fastest, measured), webgpu, wasm or hybrid (both)",
      "auto",
    )
    .option("--threads <N>", "of WASM, for each volunteer (default: this machine's processors shared among them)")
    .option("--duty-cycle <SHARE>", "the share of the time in which they compute, above 0 and up to 1", "1")
    .option("--peers", "allow direct connections to other volunteers: they then see this machine's network address")
    .option("--name <TEXT>", "a name for them on the run's leaderboard and model card, which everybody sees")
    .option(...TRUST_FLAG)
    .option("--with-parent", "end when standard input ends, as the program that started this one does")
    .option(...JSON_FLAG)
    .addHelpText(
      "after",
      `\nExample:\n  drove join http://127.0.0.1:8080 --volunteers 2\n  drove join https://192.168.1.7:8080 --node --trust HASH\n\nCtrl-C has the volunteers complete their exchanges and leave; a second one stops them at once.\n${EXIT_CODES_HELP}`,
    )
    .action(async (url: string | undefined, options: JoinOptions) =>
      done(await joinRun(await runUrl(url, options), options)),
    );
}

async function joinRun(url: URL, options: JoinOptions): Promise<ExitCode> {
  const output = new Output(options.json ?? false);
  const volunteers = countOf(options.volunteers);
  const backend = backendOf(options.backend);
  const threads = threadsOf(options.threads, volunteers);
  const dutyCycle = dutyCycleOf(options.dutyCycle);
  // Listened to from the start: a browser takes seconds to be asked, and nobody shall wait for it.
  const name = nameOf(options.name);
  const ends = endRequests(options.withParent ?? false);
  await askCoordinator(url, "/api/run", options.trust);
  const allowsPeers = options.peers ?? false;
  const { trust } = options;
  const wanted: Wanted = { url, volunteers, backend, threads, dutyCycle, allowsPeers, name, trust, output };
  const joined = await (options.node ? joinByNode(wanted) : joinByBrowser(wanted));
  const adapter = joined.adapter ?? "no WebGPU adapter (they compute with WASM)";
  output.say(
    `${volunteers} ${volunteers === 1 ? "volunteer joins" : "volunteers join"} ${url.href} in ${joined.where}, ${adapter}.`,
  );
  const over = new AbortController();
  let end = await Promise.race([ends.finish, ends.stop, joined.ended, runOver(url, trust, over.signal)]);
  if (end === FINISHED) {
    output.note("The volunteers complete their exchanges; Ctrl-C once more stops them at once.");
    end = await Promise.race([joined.finish().then(() => FINISHED), ends.stop]);
  }
  over.abort();
  await joined.stop();
  output.result({ url: url.href, volunteers, backend, adapter: joined.adapter ?? null, reason: end.reason }, [
    end.reason,
  ]);
  return end.exitCode;
}

async function joinByBrowser(wanted: Wanted): Promise<Joined> {
  const { url, volunteers, backend, threads, dutyCycle, allowsPeers, name, trust, output } = wanted;
  const executable = await locateBrowser();
  if (!executable) {
    throw new BrowserError(
      "There is no Chrome, Chromium or Edge on this machine; run `drove doctor --install`, set DROVE_BROWSER to one, or join with --node.",
    );
  }
  // Without WebGPU there is nothing to find out.
  const probe: BrowserProbe =
    backend === "wasm" ? { flags: [], adapter: undefined, isFallback: false } : await probeBrowser(executable);
  const flags = [...probe.flags, ...(trust === undefined ? [] : [`--ignore-certificate-errors-spki-list=${trust}`])];
  const onDeath = (sentence: string): void => output.note(sentence);
  const swarm = await Swarm.start({
    executable,
    url: url.href,
    volunteers,
    backend,
    threads,
    dutyCycle,
    allowsPeers,
    name,
    flags,
    onDeath,
  });
  const ended = swarm.ended.then((): End => ({
    reason: "Every browser of these volunteers has ended.",
    exitCode: EXIT.failed,
  }));
  return { where: executable, adapter: probe.adapter, ended, finish: () => swarm.finish(), stop: () => swarm.stop() };
}

async function joinByNode(wanted: Wanted): Promise<Joined> {
  const { url, volunteers, backend, threads, dutyCycle, allowsPeers, name, trust, output } = wanted;
  const found = backend === "wasm" ? undefined : await findNodeAdapter(join(NODE_CLIENT, "probe.ts"));
  if (found?.problem !== undefined) output.note(`WebGPU cannot be loaded in Node here (${found.problem}).`);
  const swarm = new NodeSwarm({
    program: join(NODE_CLIENT, "volunteer.ts"),
    url: url.href,
    volunteers,
    backend,
    threads,
    dutyCycle,
    allowsPeers,
    name,
    trust,
    environment: found?.environment ?? {},
    onLine: (line) => output.note(line),
  });
  // They hear of the run's end themselves, and may do so before this program does.
  const ended = swarm.ended.then(({ isFine }): End =>
    isFine
      ? { reason: RUN_OVER, exitCode: EXIT.ok }
      : { reason: "These volunteers have ended before the run.", exitCode: EXIT.failed },
  );
  return {
    where: `Node ${process.versions.node}`,
    adapter: found?.adapter,
    ended,
    finish: () => swarm.finish(),
    stop: () => swarm.stop(),
  };
}

function endOf(reason: string): End {
  return { reason, exitCode: EXIT.ok };
}

const FINISHED = endOf("The volunteers completed their exchanges and left (SIGINT).");

interface EndRequests {
  /** The first Ctrl-C. */
  readonly finish: Promise<End>;
  /** The second one, SIGTERM, and the end of the program that started this one. */
  readonly stop: Promise<End>;
}

function endRequests(withParent: boolean): EndRequests {
  const finish = Promise.withResolvers<End>();
  const stop = Promise.withResolvers<End>();
  process.once("SIGINT", () => {
    finish.resolve(FINISHED);
    process.once("SIGINT", () => stop.resolve(endOf("The volunteers were stopped (SIGINT).")));
  });
  process.once("SIGTERM", () => stop.resolve(endOf("The volunteers were stopped (SIGTERM).")));
  if (withParent) {
    process.stdin
      .on("error", () => {})
      .on("close", () => stop.resolve(endOf("The program that started these volunteers has ended.")))
      .resume();
  }
  return { finish: finish.promise, stop: stop.promise };
}

/** Resolves when the run is over, or its coordinator stays away. */
async function runOver(url: URL, trust: string | undefined, signal: AbortSignal): Promise<End> {
  let heardMs = performance.now();
  while (!signal.aborted && performance.now() - heardMs < SILENCE_ENDS_AFTER_MS) {
    try {
      for await (const { state } of followCoordinator(url, trust)) {
        if (state === "reached" || state === "stopped") return { reason: RUN_OVER, exitCode: EXIT.ok };
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

function nameOf(text: string | undefined): string | undefined {
  const name = text?.trim();
  if (name === undefined) return undefined;
  if (name !== "" && name.length <= LIMITS.nameCharacters) return name;
  throw new ConfigError(`--name is "${name}"; accepted are 1 to ${LIMITS.nameCharacters} characters.`);
}

function threadsOf(text: string | undefined, volunteers: number): number {
  if (text === undefined) return Math.min(LIMITS.threads, Math.max(1, Math.floor(availableParallelism() / volunteers)));
  const count = Number(text);
  if (text.trim() !== "" && Number.isInteger(count) && count >= 1 && count <= LIMITS.threads) return count;
  throw new ConfigError(`--threads is "${text}"; accepted is a whole number from 1 to ${LIMITS.threads}.`);
}

function dutyCycleOf(text: string): number {
  const share = Number(text);
  if (text.trim() !== "" && share > 0 && share <= 1) return share;
  throw new ConfigError(`--duty-cycle is "${text}"; accepted is a share of the time above 0 and up to 1, such as 0.5.`);
}

function backendOf(text: string): BackendWish {
  if (isBackendWish(text)) return text;
  throw new ConfigError(`--backend is "${text}"; accepted is ${FIELDS.backend.accepted}.`);
}
