/** Peer connections of a volunteer in Node: a process of their own owns them (`webrtc_process.ts`). */

import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Batch } from "../../shared/wire/batch.ts";
import { RemotePeers, type FromPeerOwner, type ToPeerOwner } from "../../shared/wire/remote_peers.ts";
import type { OpenPeer } from "../replica/peer_port.ts";
import type { NoWebRtc } from "./webrtc_process.ts";

const PROGRAM = fileURLToPath(new URL("webrtc_process.ts", import.meta.url));

/** `say` is told where there is no WebRTC. */
export function nodePeers(say: (sentence: string) => void): OpenPeer {
  return new NodePeers(say).open;
}

class NodePeers {
  readonly #say: (sentence: string) => void;
  readonly #remote = new RemotePeers({ ask: (request) => this.#ask(request), hasLowEvent: false });
  readonly #requests = new Batch<ToPeerOwner>((requests) => this.#send(requests), setImmediate);
  #process: ChildProcess | undefined;
  /** A sentence, where there is no WebRTC. */
  #missing: string | undefined;

  constructor(say: (sentence: string) => void) {
    this.#say = say;
  }

  readonly open: OpenPeer = (wishes) => {
    if (this.#missing !== undefined) throw new Error(this.#missing);
    return this.#remote.open(wishes);
  };

  #ask(request: ToPeerOwner): void {
    // What belongs to a process that is gone has been told of already.
    if (request.kind === "open") this.#process ??= this.#start();
    if (this.#process) this.#requests.add(request);
  }

  #send(requests: ToPeerOwner[]): void {
    if (this.#process?.connected) this.#process.send(requests, () => {});
  }

  #lacks(reason: string): void {
    if (this.#missing === undefined) this.#say(reason);
    this.#missing = reason;
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
    started.on("message", (reports: readonly (FromPeerOwner | NoWebRtc)[]) => {
      for (const report of reports) {
        if (report.kind === "unavailable") this.#lacks(report.reason);
        else this.#remote.take(report);
      }
    });
    started.on("error", gone);
    started.on("exit", gone);
    // It ends with this program, and not the other way round.
    started.unref();
    started.channel?.unref();
    return started;
  }
}
