/**
 * The peer connections of the page's Web Worker, which has none of its own: the page owns them, and hands their channels over at once.
 * Where a browser cannot do that (Firefox), it carries each message between channel and worker.
 */

import { PeerOwner } from "../../shared/wire/peer_owner.ts";
import type { FromPeerOwner } from "../../shared/wire/remote_peers.ts";

type Post = (report: FromPeerOwner, transfer: Transferable[]) => void;

export function pagePeers(post: Post): PeerOwner<RTCDataChannel> {
  return new PeerOwner<RTCDataChannel>({
    load: async () => {
      const { default: SimplePeer } = await import("simple-peer/simplepeer.min.js");
      return { SimplePeer };
    },
    post,
    handOver: (peer, kind, channel) => {
      try {
        post({ kind: "channel", peer, channel: kind, transferred: channel }, [channel]);
        return true;
      } catch {
        return false;
      }
    },
  });
}
