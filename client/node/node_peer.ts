/**
 * Peer connections of a volunteer in Node: simple-peer over a native WebRTC stack. Loaded only for runs that want it; where the
 * native package is missing or broken, exchanges travel by WebSocket.
 */

import { wrapDataChannel } from "../../shared/wire/data_channel.ts";
import { PeerConnection } from "../../shared/wire/peer.ts";
import type { OpenPeer } from "../replica/peer_port.ts";

/** Rejects with a sentence. */
export async function loadPeers(): Promise<OpenPeer> {
  const [simplePeer, wrtc] = await Promise.all([import("simple-peer"), import("@roamhq/wrtc")]).catch(
    (error: unknown) => {
      const why = error instanceof Error ? (error.message.split("\n", 1)[0] ?? "") : String(error);
      throw new Error(`The package @roamhq/wrtc cannot be loaded (${why}); exchanges travel by WebSocket.`, {
        cause: error,
      });
    },
  );
  const library = { SimplePeer: simplePeer.default, wrtc: wrtc.default };
  return (options) => {
    const connection = new PeerConnection(library, options);
    return {
      signal: (data) => connection.signal(data),
      channel: (kind, events) => wrapDataChannel(connection.dataChannel(kind), events),
      close: () => connection.close(),
    };
  };
}
