/** How exchanges travel, in words. */

import type { ReplicaView } from "../../shared/run_view.ts";
import type { Transport } from "../../shared/wire/messages.ts";
import { percent } from "./format.ts";

const WAYS: Record<Transport, string> = {
  websocket: "WebSocket",
  webrtc: "WebRTC",
  "webrtc-lossy": "WebRTC, lossy",
};

type Travelling = Pick<ReplicaView, "transport" | "codecUp" | "codecDown" | "sliceLossRate">;

export function wayOf({ transport }: Pick<Travelling, "transport">): string {
  return WAYS[transport];
}

export function codecsOf({ codecUp, codecDown }: Travelling): string {
  return codecUp === codecDown ? `${codecUp} both ways` : `${codecUp} up, ${codecDown} down`;
}

/** Of slices; empty where nothing was lost. */
export function lossOf({ sliceLossRate }: Travelling): string {
  return sliceLossRate === 0 ? "" : `${percent(sliceLossRate)} lost`;
}
