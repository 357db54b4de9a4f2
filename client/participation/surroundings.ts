/**
 * All that a participation needs from where it runs: a Web Worker of the page, or Node. Neither is visible from here, so
 * time, fetching, sockets and devices are handed in.
 */

import type { BackendName } from "../../shared/backends.ts";
import type { Backend, Program } from "../../shared/engine/backend.ts";
import type { Speeds } from "../../shared/engine/hybrid/balance.ts";
import type { Winners } from "../../shared/engine/tuning.ts";
import type { Random } from "../../shared/random.ts";
import type { Clock } from "../replica/clock.ts";
import type { ConnectLink } from "../replica/connection.ts";
import type { OpenPeer } from "../replica/peer_port.ts";

/** What is read of an answer; a `Response` is one. */
export interface Fetched {
  readonly ok: boolean;
  readonly status: number;
  arrayBuffer(): Promise<ArrayBuffer>;
}

/**
 * `path` is relative to the coordinator's address. `onBytes` is told of the bytes of the answer as they come over the network; less than
 * nothing where those that it was told of had been kept here all along.
 */
export type Fetch = (path: string, onBytes?: (bytes: number) => void) => Promise<Fetched>;

/** What is asked of an `AbortSignal`. */
export interface StopSignal {
  readonly aborted: boolean;
  throwIfAborted(): void;
}

/** A backend, or a sentence that says what is missing and what helps. */
export type OpenedBackend<P extends Program = Program> = Backend<P> | { readonly note: string };

export interface Surroundings {
  readonly clock: Clock;
  /** Nobody's seed: two volunteers must not draw the same shards and delays. */
  readonly random: Random;
  /** An `AbortController`: its signal ends what `fetch` has under way. */
  readonly abort: { readonly signal: StopSignal; abort(): void };
  readonly fetch: Fetch;
  /** Left out where a browser has none: on pages that did not come by https:. */
  readonly sha256?: (bytes: ArrayBuffer) => Promise<ArrayBuffer>;
  readonly connect: ConnectLink;
  /** Peer connections (WebRTC); none where left out. */
  readonly openPeer?: OpenPeer;
  /** Where the winners of tuning are kept; nowhere where left out. */
  readonly winners?: Winners;
  /** `speeds`: of both alone, for a hybrid to begin with. */
  readonly openBackend: (name: BackendName, speeds?: Speeds) => Promise<OpenedBackend>;
  /** What nobody waits for and a developer may want to know. */
  readonly warn: (problem: unknown) => void;
  readonly advice: Advice;
}

/** What a volunteer can do, as whole sentences: other things before a page than at a command line. */
export interface Advice {
  /** Where neither backend can train. */
  readonly noBackend: string;
  /** Where the last device is gone. */
  readonly noDevice: string;
}
