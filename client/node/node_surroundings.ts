/** What Node gives a participation: its time, the coordinator's address, sockets of `ws`, Dawn and WASM. */

import { randomInt } from "node:crypto";
import { Random } from "../../shared/random.ts";
import { openHybrid } from "../participation/hybrid.ts";
import type { Surroundings } from "../participation/surroundings.ts";
import type { OpenPeer } from "../replica/peer_port.ts";
import { sentenceOf } from "../replica/replica.ts";
import { openWasm, openWebGpu } from "./backends.ts";
import type { Coordinator } from "./coordinator.ts";
import { NODE_CLOCK } from "./node_clock.ts";
import { connectBySocket } from "./socket_link.ts";
import { FileOfWinners } from "./winners.ts";

export function createSurroundings(
  coordinator: Coordinator,
  threads: number,
  say: (sentence: string) => void,
  openPeer?: OpenPeer,
): Surroundings {
  const abort = new AbortController();
  return {
    abort,
    clock: NODE_CLOCK,
    random: new Random(randomInt(2 ** 32)),
    fetch: (path, onBytes) => coordinator.fetch(path, abort.signal, onBytes),
    sha256: (bytes) => crypto.subtle.digest("SHA-256", bytes),
    connect: connectBySocket(coordinator),
    ...(openPeer ? { openPeer } : {}),
    winners: new FileOfWinners(),
    openBackend: (name, speeds) => {
      if (name === "webgpu") return openWebGpu();
      if (name === "wasm") return openWasm(threads);
      return openHybrid(openWebGpu, () => openWasm(threads), NODE_CLOCK, speeds);
    },
    warn: (problem) => say(sentenceOf(problem)),
    advice: { noBackend: "`drove doctor` says what this machine lacks.", noDevice: "Start it again." },
  };
}
