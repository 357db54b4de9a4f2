/**
 * A volunteer without a browser, a program of its own that `drove join --node` starts: the page's engine and replica in Node,
 * on Dawn or on WASM. Says on stdout, a sentence a line, how it goes. Ends when the run does, on SIGTERM, on a second SIGINT, and
 * when its standard input ends; the first SIGINT has it complete its exchange before. Exit code 0, or 1 where it could not take part.
 */

import { parseArgs } from "node:util";
import type { RunSettings } from "../../shared/run_settings.ts";
import { isBackendWish } from "../../shared/backends.ts";
import type { FromWorker, Phase } from "../messages.ts";
import { Participation } from "../participation/participation.ts";
import type { OpenPeer } from "../replica/peer_port.ts";
import { sentenceOf } from "../replica/replica.ts";
import { collectBuffersSeldom } from "./buffer_collection.ts";
import { Coordinator } from "./coordinator.ts";
import { nodePeers } from "./node_peer.ts";
import { createSurroundings } from "./node_surroundings.ts";

const PHASES: Readonly<Partial<Record<Phase, string>>> = {
  measuring: "measures what this machine can do.",
  training: "trains.",
  held: "waits, as the operator asks.",
  finishing: "completes its last exchange.",
  reconnecting: "is cut off.",
  finished: "has finished.",
  stopped: "has stopped.",
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    backend: { type: "string", default: "auto" },
    threads: { type: "string", default: "1" },
    "duty-cycle": { type: "string", default: "1" },
    trust: { type: "string" },
    peers: { type: "boolean", default: false },
    name: { type: "string" },
  },
});
collectBuffersSeldom();
process.exitCode = await volunteer(new URL(positionals[0] ?? ""), {
  backend: values.backend,
  threads: Math.max(1, Math.trunc(Number(values.threads)) || 1),
  dutyCycle: Number(values["duty-cycle"]),
  trust: values.trust,
  allowsPeers: values.peers,
  name: values.name,
});
// Dawn's threads and kept connections would hold the process.
process.exit();

interface Wish {
  readonly backend: string;
  readonly threads: number;
  readonly dutyCycle: number;
  readonly trust: string | undefined;
  /** Connections to other volunteers, which show them this machine's address. */
  readonly allowsPeers: boolean;
  /** Offered for the leaderboard and the model card. */
  readonly name: string | undefined;
}

async function volunteer(url: URL, { backend: asked, threads, trust, ...offered }: Wish): Promise<number> {
  const backend = isBackendWish(asked) ? asked : "auto";
  const coordinator = new Coordinator(url, trust);
  const abort = new AbortController();
  const ends = endRequests();
  // Before there is anything to finish, whoever asks for that wants it to stop.
  for (const end of [ends.finish, ends.stop]) void end.then(() => abort.abort());
  let hasFailed = false;
  try {
    const settings = await coordinator.settings(abort.signal, say);
    const openPeer = peersFor(settings, offered.allowsPeers);
    const participation = new Participation({
      settings,
      backend,
      ...offered,
      surroundings: createSurroundings(coordinator, threads, say, openPeer),
      tell: (message) => {
        hasFailed ||= message.kind === "failed";
        report(message);
      },
    });
    void ends.finish.then(() => participation.finish());
    void ends.stop.then(() => participation.stop());
    await participation.run();
  } catch (error) {
    if (abort.signal.aborted) return 0;
    say(sentenceOf(error));
    return 1;
  }
  return hasFailed ? 1 : 0;
}

/** Where the run has a use for them. */
function peersFor({ transport, peers }: RunSettings, allowsPeers: boolean): OpenPeer | undefined {
  return transport !== "websocket" || (peers && allowsPeers) ? nodePeers(say) : undefined;
}

function report(message: FromWorker): void {
  if (message.kind === "backend") say([message.choice.reason, message.choice.exam ?? ""].join(" ").trim());
  if (message.kind === "tuning" && message.tuning.outcome !== undefined) say(message.tuning.outcome);
  if (message.kind === "failed") say(message.sentence);
  if (message.kind !== "phase") return;
  const words = PHASES[message.phase];
  if (words !== undefined) say([words, message.detail ?? ""].join(" ").trim());
}

function say(sentence: string): void {
  process.stdout.write(`${sentence}\n`);
}

/** What ends this program before the run does: `finish` at the first Ctrl-C, `stop` at whatever else there is. */
function endRequests(): { readonly finish: Promise<void>; readonly stop: Promise<void> } {
  const finish = Promise.withResolvers<void>();
  const stop = Promise.withResolvers<void>();
  process.once("SIGINT", () => {
    finish.resolve();
    process.once("SIGINT", () => stop.resolve());
  });
  process.once("SIGTERM", () => stop.resolve());
  process.stdin
    .on("error", () => {})
    .on("close", () => stop.resolve())
    .resume();
  return { finish: finish.promise, stop: stop.promise };
}
