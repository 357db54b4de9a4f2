/**
 * The coordinator's peer connections: a process of their own owns them, started by path when somebody first wants one. What goes wrong
 * in it ends channels, whose replicas go on by WebSocket; the next one starts it anew.
 */

import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Batch } from "../../shared/wire/batch.ts";
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
  readonly #requests = new Batch<ToPeerOwner>((requests) => this.#send(requests), setImmediate);
  #process: ChildProcess | undefined;
  #missing: WebRtcError | undefined;

  constructor(onFailure: (error: unknown) => void) {
    this.#onFailure = onFailure;
  }

  readonly open: OpenPeer = (wishes) => {
    if (this.#missing) throw this.#missing;
    return this.#remote.open(wishes);
  };

  close(): void {
    this.#process?.disconnect();
    this.#process = undefined;
  }

  #ask(request: ToPeerOwner): void {
    // What belongs to a process that is gone has been told of already.
    if (request.kind === "open") this.#process ??= this.#start();
    if (this.#process) this.#requests.add(request);
  }

  #take(told: Told): void {
    if (told.kind !== "unavailable") return this.#remote.take(told);
    if (this.#missing) return;
    this.#missing = new WebRtcError(told.reason);
    this.#onFailure(this.#missing);
  }

  #send(requests: ToPeerOwner[]): void {
    if (this.#process?.connected) this.#process.send(requests, () => {});
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
    started.on("message", (told: readonly Told[]) => {
      for (const one of told) this.#take(one);
    });
    started.on("error", gone);
    started.on("exit", gone);
    // It ends with the coordinator, and not the other way round.
    started.unref();
    started.channel?.unref();
    return started;
  }
}
