/**
 * Node's WebRTC: simple-peer over a native stack, loaded when somebody first wants a peer connection. Where the native package is
 * missing or broken there is only no WebRTC.
 */

import type { DataChannelLike } from "../../shared/wire/data_channel.ts";
import type { PeerLibrary } from "../../shared/wire/peer.ts";

export class WebRtcError extends Error {
  override readonly name = "WebRtcError";
}

let loading: Promise<PeerLibrary<DataChannelLike>> | undefined;

/** Rejects with a `WebRtcError`. */
export function loadWebRtc(): Promise<PeerLibrary<DataChannelLike>> {
  loading ??= Promise.all([import("simple-peer"), import("@roamhq/wrtc")]).then(
    ([simplePeer, wrtc]) => ({ SimplePeer: simplePeer.default, wrtc: wrtc.default }),
    (error: unknown) => {
      const why = error instanceof Error ? (error.message.split("\n", 1)[0] ?? "") : String(error);
      throw new WebRtcError(
        `The package @roamhq/wrtc cannot be loaded (${why}): exchanges travel by WebSocket only; \`npm ci\` installs it where there is a build of it.`,
        { cause: error },
      );
    },
  );
  return loading;
}
