/**
 * A volunteer without a browser, a program of its own that `drove join --node` starts: the page's engine and replica in Node,
 * on Dawn or on WASM. Says on stdout, a sentence a line, how it goes. Ends when the run does, on SIGINT, on SIGTERM, and when
 * its standard input ends; exit code 0, or 1 where it could not take part.
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
  },
});
collectBuffersSeldom();
process.exitCode = await volunteer(new URL(positionals[0] ?? ""), {
  backend: values.backend,
  threads: Math.max(1, Math.trunc(Number(values.threads)) || 1),
  dutyCycle: Number(values["duty-cycle"]),
  trust: values.trust,
  allowsPeers: values.peers,
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
}

async function volunteer(url: URL, { backend: asked, threads, dutyCycle, trust, allowsPeers }: Wish): Promise<number> {
  const backend = isBackendWish(asked) ? asked : "auto";
  const coordinator = new Coordinator(url, trust);
  const abort = new AbortController();
  const stop = stopRequest();
  void stop.then(() => abort.abort());
  let hasFailed = false;
  try {
    const settings = await coordinator.settings(abort.signal, say);
    const openPeer = peersFor(settings, allowsPeers);
    const participation = new Participation({
      settings,
      backend,
      dutyCycle,
      allowsPeers,
      surroundings: createSurroundings(coordinator, threads, say, openPeer),
      tell: (message) => {
        hasFailed ||= message.kind === "failed";
        report(message);
      },
    });
    void stop.then(() => participation.stop());
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

function stopRequest(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
    process.stdin
      .on("error", () => {})
      .on("close", () => resolve())
      .resume();
  });
}
