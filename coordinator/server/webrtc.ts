/**
 * Node's WebRTC: simple-peer over a native stack, loaded when somebody first wants a peer connection. Where the native package is
 * missing or broken there is only no WebRTC.
 */

import type { DataChannelLike } from "../../shared/wire/data_channel.ts";
import type { PeerLibrary } from "../../shared/wire/peer.ts";

let loading: Promise<PeerLibrary<DataChannelLike>> | undefined;

/** Rejects with a sentence. */
export function loadWebRtc(): Promise<PeerLibrary<DataChannelLike>> {
  loading ??= Promise.all([import("simple-peer"), import("@roamhq/wrtc")]).then(
    ([simplePeer, wrtc]) => ({ SimplePeer: simplePeer.default, wrtc: wrtc.default }),
    (error: unknown) => {
      const why = error instanceof Error ? (error.message.split("\n", 1)[0] ?? "") : String(error);
      throw new Error(`There is no WebRTC in this Node (${why}); exchanges travel by WebSocket.`, { cause: error });
    },
  );
  return loading;
}
