/**
 * A process that owns peer connections for a program in Node: `node_peer.ts` starts it, and so does a coordinator, by path. Apart from
 * them because Node's WebRTC reads a channel that its own thread closes at the same time, and dies of that once in some hundred
 * closed transfers (@roamhq/wrtc 0.10.0, 2026-11-21): then exchanges go on by WebSocket, and the next connection starts another one.
 * Ends when the program that started it does.
 */

import { Batch } from "../../shared/wire/batch.ts";
import { PeerOwner } from "../../shared/wire/peer_owner.ts";
import type { FromPeerOwner, ToPeerOwner } from "../../shared/wire/remote_peers.ts";

/** Told once, where there is no WebRTC in this Node. */
export interface NoWebRtc {
  readonly kind: "unavailable";
  readonly reason: string;
}

/** Received, and not read by the program yet. Whose peer sends faster than that loses its connection. */
const MOST_UNREAD_BYTES = 64 << 20;

let unreadBytes = 0;
const reports = new Batch<FromPeerOwner | NoWebRtc>((told) => {
  const bytes = told.reduce((sum, report) => sum + bytesOf(report), 0);
  process.send?.(told, () => {
    unreadBytes -= bytes;
  });
}, setImmediate);

const owner = new PeerOwner({
  load: async () => {
    try {
      const [simplePeer, wrtc] = await Promise.all([import("simple-peer"), import("@roamhq/wrtc")]);
      return { SimplePeer: simplePeer.default, wrtc: wrtc.default };
    } catch (error) {
      const why = error instanceof Error ? (error.message.split("\n", 1)[0] ?? "") : String(error);
      const reason = `The package @roamhq/wrtc cannot be loaded (${why}): exchanges travel by WebSocket only; \`npm ci\` installs it where there is a build of it.`;
      reports.add({ kind: "unavailable", reason });
      throw new Error(reason, { cause: error });
    }
  },
  post,
});

function post(report: FromPeerOwner): void {
  const bytes = bytesOf(report);
  unreadBytes += bytes;
  reports.add(report);
  if (unreadBytes <= MOST_UNREAD_BYTES || bytes === 0) return;
  const { peer } = report;
  owner.take({ kind: "close", peer });
  post({ kind: "closed", peer, reason: "the other side sends faster than anybody reads" });
}

function bytesOf(report: FromPeerOwner | NoWebRtc): number {
  return report.kind === "received" ? report.message.length : 0;
}

process.on("message", (requests: readonly ToPeerOwner[]) => {
  for (const request of requests) owner.take(request);
});
// Native threads would hold the process.
process.on("disconnect", () => process.exit());
// Ctrl-C is for the program, which says goodbye first.
process.on("SIGINT", () => {});
