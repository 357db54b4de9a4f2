/** The Web Worker's entry: the page's messages in, the participation's messages out. Nothing computes before `start` (SPEC E4). */

import type { FromWorker, ToWorker } from "../messages.ts";
import { Participation } from "../participation/participation.ts";
import { workerPeers } from "./worker_peers.ts";
import { createSurroundings } from "./worker_surroundings.ts";

let participation: Participation | undefined;
const peers = workerPeers((request, transfer) => {
  self.postMessage({ kind: "peer", request } satisfies FromWorker, { transfer });
});

function post(message: FromWorker): void {
  self.postMessage(message);
}

function handle(message: ToWorker): void {
  switch (message.kind) {
    case "start":
      if (!participation)
        void begin(
          new Participation({ ...message, surroundings: createSurroundings(message, peers.open), tell: post }),
        );
      return;
    case "peer":
      return peers.take(message.report);
    case "pause":
      return participation?.pause();
    case "resume":
      return participation?.resume();
    case "stop":
      return participation?.stop();
    case "finish":
      return participation?.finish();
    case "power":
      return participation?.setDutyCycle(message.dutyCycle);
    case "visibility":
      return participation?.setHidden(message.isHidden);
    case "name":
      return participation?.setName(message.name);
    default:
      return message satisfies never;
  }
}

async function begin(begun: Participation): Promise<void> {
  participation = begun;
  await begun.run();
  participation = undefined;
}

function failed(what: unknown): void {
  console.error(what);
  const why = what instanceof Error ? what.message : String(what);
  const sentence = `Training stopped because of a fault in the client: ${why}. Reload the page to start again.`;
  if (participation) participation.fail(sentence);
  else post({ kind: "failed", failure: "other", sentence });
}

self.addEventListener("message", ({ data }: MessageEvent<ToWorker>) => handle(data));
self.addEventListener("error", (event) => {
  event.preventDefault();
  failed(event.error ?? event.message);
});
self.addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  failed(event.reason);
});
