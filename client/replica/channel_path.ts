/**
 * The replica's second way to the coordinator (SPEC T): a peer connection with a data channel for pushes, pulls and their answers,
 * and where the run is lossy one for slices. It opens beside the WebSocket, measures both ways where it is to choose, is given
 * up where nothing moves on it any longer, and is tried again, not for ever. `connection.ts` owns it for as long as a session.
 */

import type { RunSettings } from "../../shared/run_settings.ts";
import type { ChannelKind } from "../../shared/wire/channel.ts";
import { ChannelLink } from "../../shared/wire/channel_link.ts";
import type { Link } from "../../shared/wire/link.ts";
import type { Transport } from "../../shared/wire/messages.ts";
import { LossySender } from "./lossy_sender.ts";
import type { OpenPeer, PeerPort } from "./peer_port.ts";

/** How a replica may travel, beside its WebSocket. */
export interface Travel {
  readonly wish: Exclude<RunSettings["transport"], "websocket">;
  readonly lossy: boolean;
  readonly iceServers: RunSettings["iceServers"];
  readonly openPeer: OpenPeer;
}

export interface ChannelPathOptions extends Travel {
  readonly nowMs: () => number;
  readonly longestPayloadBytes: number;
  /** For the coordinator's side of the peer connection; goes by the WebSocket. */
  readonly signal: (data: string) => void;
  /** Sends a probe; the echo comes back to `echoed`. */
  readonly probe: (number: number, link: Link | undefined) => void;
  readonly received: (frame: Uint8Array) => void;
  /** Bulk travels otherwise from now on. */
  readonly rerouted: (transport: Transport) => void;
}

/** One peer connection. */
interface Attempt {
  readonly port: PeerPort;
  readonly link: ChannelLink;
  readonly lossy: LossySender | undefined;
}

type State =
  | { readonly kind: "opening"; readonly attempt: Attempt; readonly giveUpMs: number }
  | { readonly kind: "probing"; readonly attempt: Attempt; readonly probes: Probes }
  | { readonly kind: "open"; readonly attempt: Attempt; readonly sinceMs: number }
  | { readonly kind: "waiting"; readonly untilMs: number }
  /** For good: the WebSocket is faster, or the channel failed too often. */
  | { readonly kind: "left" };

/** Before this a run that wants WebRTC does not exchange by its WebSocket. */
const PATIENCE_MS = 5000;
const OPENING_MS = 10_000;
const PROBE_MS = 5000;
const PROBES = 3;
const FIRST_RETRY_MS = 1000;
const RETRY_GROWTH = 4;
const ATTEMPTS = 6;
/** A channel that lived this long was a good one: the next failure is a first one again. */
const PROVEN_MS = 60_000;

export class ChannelPath {
  readonly #options: ChannelPathOptions;
  readonly #beganMs: number;
  #state: State;
  #failures = 0;

  constructor(options: ChannelPathOptions) {
    this.#options = options;
    this.#beganMs = options.nowMs();
    this.#state = { kind: "waiting", untilMs: this.#beganMs };
  }

  get transport(): Transport {
    if (this.#state.kind !== "open") return "websocket";
    return this.#state.attempt.lossy ? "webrtc-lossy" : "webrtc";
  }

  /** For bulk, where it goes this way. */
  get link(): Link | undefined {
    return this.#state.kind === "open" ? this.#state.attempt.link : undefined;
  }

  /** For slices, where the run is lossy and they go this way. */
  get lossy(): LossySender | undefined {
    return this.#state.kind === "open" ? this.#state.attempt.lossy : undefined;
  }

  /** Whether an exchange had better wait for the channel. */
  get isAwaited(): boolean {
    const { kind } = this.#state;
    if (this.#options.wish !== "webrtc" || this.#failures > 0 || kind === "open" || kind === "left") return false;
    return this.#options.nowMs() - this.#beganMs < PATIENCE_MS;
  }

  /** What the coordinator's side signalled. */
  signalled(data: string): void {
    this.#attempt?.port.signal(data);
  }

  /** The echo of a probe came back. */
  echoed(number: number): void {
    if (this.#state.kind !== "probing") return;
    const { attempt, probes } = this.#state;
    probes.echoed(number, this.#options.nowMs());
    const isFaster = probes.verdict;
    if (isFaster === undefined) this.#probe(probes, attempt);
    else if (isFaster) this.#use(attempt);
    else this.close();
  }

  tick(): void {
    const state = this.#state;
    const nowMs = this.#options.nowMs();
    if (state.kind === "waiting" && nowMs >= state.untilMs) this.#open();
    else if (state.kind === "opening" && nowMs >= state.giveUpMs) this.#failed();
    else if (state.kind === "probing" && nowMs - state.probes.sentMs >= PROBE_MS) this.#failed();
    this.#attempt?.link.tick();
  }

  /** Nothing is told of it. */
  close(): void {
    const attempt = this.#attempt;
    this.#state = { kind: "left" };
    attempt?.port.close();
  }

  get #attempt(): Attempt | undefined {
    return "attempt" in this.#state ? this.#state.attempt : undefined;
  }

  #open(): void {
    const { iceServers, lossy, nowMs, openPeer, longestPayloadBytes, received, signal } = this.#options;
    const channels: readonly ChannelKind[] = lossy ? ["reliable", "lossy"] : ["reliable"];
    // What an earlier attempt still reports is not about this one.
    const isCurrent = (): boolean => this.#attempt?.port === port;
    const failed = (): void => {
      if (isCurrent()) this.#failed();
    };
    let port: PeerPort;
    try {
      port = openPeer({ isInitiator: true, channels, iceServers, signal, closed: failed });
    } catch {
      // There is no WebRTC here, and there will be none.
      this.#state = { kind: "left" };
      return;
    }
    const link = new ChannelLink({
      open: (events) => port.channel("reliable", events),
      longestPayloadBytes,
      nowMs,
      opened: () => {
        if (isCurrent()) this.#opened();
      },
      received,
      closed: failed,
    });
    const nothing = { opened: () => {}, received: () => {}, closed: failed };
    const sender = lossy ? new LossySender(port.channel("lossy", nothing)) : undefined;
    this.#state = { kind: "opening", attempt: { port, link, lossy: sender }, giveUpMs: nowMs() + OPENING_MS };
  }

  #opened(): void {
    if (this.#state.kind !== "opening") return;
    const { attempt } = this.#state;
    // Slices travel by nothing else.
    if (this.#options.wish === "webrtc" || this.#options.lossy) return this.#use(attempt);
    const probes = new Probes();
    this.#state = { kind: "probing", attempt, probes };
    this.#probe(probes, attempt);
  }

  #probe(probes: Probes, { link }: Attempt): void {
    const { number, isByChannel } = probes.next(this.#options.nowMs());
    this.#options.probe(number, isByChannel ? link : undefined);
  }

  #use(attempt: Attempt): void {
    this.#state = { kind: "open", attempt, sinceMs: this.#options.nowMs() };
    this.#options.rerouted(this.transport);
  }

  #failed(): void {
    const state = this.#state;
    const nowMs = this.#options.nowMs();
    if (state.kind === "open" && nowMs - state.sinceMs >= PROVEN_MS) this.#failures = 0;
    this.#failures++;
    const attempt = this.#attempt;
    const retryMs = FIRST_RETRY_MS * RETRY_GROWTH ** (this.#failures - 1);
    this.#state = this.#failures < ATTEMPTS ? { kind: "waiting", untilMs: nowMs + retryMs } : { kind: "left" };
    attempt?.port.close();
    if (state.kind === "open") this.#options.rerouted("websocket");
  }
}

/** The same message over both ways in turn, each once the last one is back: what neither has to share with the other (SPEC T3). */
class Probes {
  readonly #channelMs: number[] = [];
  readonly #socketMs: number[] = [];
  #number = 0;
  sentMs = 0;

  next(nowMs: number): { readonly number: number; readonly isByChannel: boolean } {
    this.sentMs = nowMs;
    return { number: ++this.#number, isByChannel: this.#isByChannel };
  }

  echoed(number: number, nowMs: number): void {
    if (number !== this.#number) return;
    (this.#isByChannel ? this.#channelMs : this.#socketMs).push(nowMs - this.sentMs);
  }

  /** Whether the channel is faster; undefined while nobody knows. */
  get verdict(): boolean | undefined {
    if (this.#channelMs.length + this.#socketMs.length < 2 * PROBES) return undefined;
    return medianOf(this.#channelMs) < medianOf(this.#socketMs);
  }

  get #isByChannel(): boolean {
    return this.#number % 2 === 0;
  }
}

function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.POSITIVE_INFINITY;
}
