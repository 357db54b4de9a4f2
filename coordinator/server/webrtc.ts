/**
 * The coordinator's peer connections: a process of their own owns them, started by path when somebody first wants one. What goes wrong
 * in it ends channels, whose replicas go on by WebSocket; the next one starts it anew.
 */

import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { OpenPeer } from "../../shared/wire/peer.ts";
import { RemotePeers, type FromPeerOwner, type ToPeerOwner } from "../../shared/wire/remote_peers.ts";

/** The same that volunteers in Node have. */
const PROGRAM = fileURLToPath(new URL("../../client/node/webrtc_process.ts", import.meta.url));

/** There is no WebRTC in this Node. */
export class WebRtcError extends Error {
  override readonly name = "WebRtcError";
}

type Told = FromPeerOwner | { readonly kind: "unavailable"; readonly reason: string };

export class WebRtc {
  readonly #onFailure: (error: unknown) => void;
  readonly #remote = new RemotePeers({ ask: (request) => this.#ask(request), hasLowEvent: false });
  #process: ChildProcess | undefined;
  #isUnavailable = false;

  constructor(onFailure: (error: unknown) => void) {
    this.#onFailure = onFailure;
  }

  get open(): OpenPeer {
    return this.#remote.open;
  }

  close(): void {
    this.#process?.disconnect();
    this.#process = undefined;
  }

  #ask(request: ToPeerOwner): void {
    // What belongs to a process that is gone has been told of already.
    if (request.kind === "open") this.#process ??= this.#start();
    if (this.#process?.connected) this.#process.send(request, () => {});
  }

  #start(): ChildProcess {
    const started = fork(PROGRAM, [], {
      serialization: "advanced",
      execArgv: [],
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    const gone = (): void => {
      if (this.#process !== started) return;
      this.#process = undefined;
      this.#remote.lost("the process of the connection ended");
    };
    started.on("message", (told: Told) => {
      if (told.kind !== "unavailable") return this.#remote.take(told);
      // Every replica finds that out anew.
      if (!this.#isUnavailable) this.#onFailure(new WebRtcError(told.reason));
      this.#isUnavailable = true;
    });
    started.on("error", gone);
    started.on("exit", gone);
    // It ends with the coordinator, and not the other way round.
    started.unref();
    started.channel?.unref();
    return started;
  }
}
