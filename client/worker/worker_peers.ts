/** Peer connections as the Web Worker has them: the page owns them (`page_peers.ts`) and hands their channels over. */

import { wrapDataChannel } from "../../shared/wire/data_channel.ts";
import { RemotePeers, type ToPeerOwner } from "../../shared/wire/remote_peers.ts";

export function workerPeers(ask: (request: ToPeerOwner, transfer: Transferable[]) => void): RemotePeers {
  return new RemotePeers({
    ask,
    adopt: (transferred, events) =>
      transferred instanceof RTCDataChannel ? wrapDataChannel(transferred, events) : undefined,
    hasLowEvent: true,
  });
}
