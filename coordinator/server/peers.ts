/**
 * The coordinator's ends of data channels: at most one peer connection per session, made when its replica signals for it (SPEC T1).
 * Frames go to the session like a socket's, and so do slices from a channel that may lose some (T6). Everything that a peer can
 * cause is bounded here: how many connections there are, what is signalled before one exists, what waits for a slow reader.
 */

import type { RunSettings } from "../../shared/run_settings.ts";
import { ChannelLink } from "../../shared/wire/channel_link.ts";
import type { ChannelKind } from "../../shared/wire/channel.ts";
import type { RefusalCode } from "../../shared/wire/codes.ts";
import { readSignal, refusingSignal, type OpenPeer, type PeerPort } from "../../shared/wire/peer.ts";
import type { SidePath, SidePathOwner } from "../side_path.ts";
import { WebRtc, WebRtcError } from "./webrtc.ts";

export interface PeersOptions {
  readonly settings: Pick<RunSettings, "iceServers" | "lossy" | "transport">;
  readonly longestPayloadBytes: number;
  /** As of a socket (SPEC L2). */
  readonly longestQueueBytes: number;
  readonly countRefusal: (code: RefusalCode) => void;
  /** Our own bugs and our environment's failures. */
  readonly onFailure: (error: unknown) => void;
  readonly faults?: ChannelFaults | undefined;
}

/** For tests: a channel on which nothing moves, and one that loses messages. */
export interface ChannelFaults {
  readonly isMuted?: () => boolean;
  readonly losesSlice?: (message: Uint8Array) => boolean;
}

/** Half a megabyte each. */
const MOST_PEERS = 256;
/** To one connection: an offer, and more addresses than a machine has. */
const MOST_SIGNALS = 256;
/** A connection costs much more than the offer that asks for it: so many at once, and one more each time this is over. */
const OFFERS_AT_ONCE = 8;
const OFFER_EVERY_MS = 5000;

export class Peers {
  readonly #options: PeersOptions;
  readonly #open = new Set<SessionPeer>();
  readonly #webRtc: WebRtc;

  constructor(options: PeersOptions) {
    this.#options = options;
    this.#webRtc = new WebRtc(options.onFailure);
  }

  /** For a session: nothing is opened before its replica signals. */
  readonly pathFor = (owner: SidePathOwner): SidePath => {
    const peer = new SessionPeer(this.#options, owner, {
      admit: () => {
        if (this.#open.size >= MOST_PEERS) return false;
        this.#open.add(peer);
        return true;
      },
      gone: () => this.#open.delete(peer),
      open: this.#webRtc.open,
    });
    return peer;
  };

  close(): void {
    for (const peer of this.#open) peer.close();
    this.#webRtc.close();
  }
}

interface Doors {
  /** Whether there may be one more connection. */
  admit(): boolean;
  gone(): void;
  readonly open: OpenPeer;
}

class SessionPeer implements SidePath {
  readonly #options: PeersOptions;
  readonly #owner: SidePathOwner;
  readonly #doors: Doors;
  #port: PeerPort | undefined;
  #hasOpened = false;
  #isClosed = false;
  #signals = 0;
  #offers = OFFERS_AT_ONCE;
  #offersAtMs = performance.now();

  constructor(options: PeersOptions, owner: SidePathOwner, doors: Doors) {
    this.#options = options;
    this.#owner = owner;
    this.#doors = doors;
  }

  signalled(data: string): void {
    if (this.#isClosed) return;
    if (this.#options.settings.transport === "websocket") return this.#decline("This run's exchanges go by WebSocket.");
    // An offer begins a connection; whatever there was before, the replica has given it up.
    try {
      if (readSignal(data)?.type === "offer") this.#connect();
    } catch (error) {
      return this.#decline(error instanceof WebRtcError ? "This coordinator has no WebRTC." : String(error));
    }
    if (++this.#signals <= MOST_SIGNALS) this.#port?.signal(data);
  }

  giveUp(): void {
    this.#disconnect();
  }

  close(): void {
    this.#isClosed = true;
    this.#disconnect();
  }

  #connect(): void {
    this.#disconnect();
    this.#signals = 0;
    if (!this.#mayConnect()) return this.#decline("Direct connections were asked for too often.");
    if (!this.#doors.admit()) return this.#decline("This coordinator has as many direct connections as it takes.");
    const { iceServers, lossy } = this.#options.settings;
    const channels: readonly ChannelKind[] = lossy ? ["reliable", "lossy"] : ["reliable"];
    const over = (): void => {
      if (this.#port === port) this.#disconnect();
    };
    const port = this.#doors.open({
      isInitiator: false,
      channels,
      iceServers,
      signal: (data) => this.#owner.signal(data),
      closed: (reason) => {
        // Of one that was open the replica knows by itself.
        if (this.#port === port && !this.#hasOpened) this.#decline(reason);
        over();
      },
    });
    this.#port = port;
    this.#hasOpened = false;
    this.#listen(port, over);
    if (lossy) this.#listenToSlices(port, over);
  }

  #mayConnect(): boolean {
    const nowMs = performance.now();
    this.#offers = Math.min(OFFERS_AT_ONCE, this.#offers + (nowMs - this.#offersAtMs) / OFFER_EVERY_MS);
    this.#offersAtMs = nowMs;
    if (this.#offers < 1) return false;
    this.#offers--;
    return true;
  }

  #listen(port: PeerPort, over: () => void): void {
    const { longestPayloadBytes, longestQueueBytes, countRefusal, faults } = this.#options;
    const link: ChannelLink = new ChannelLink({
      open: (events) => {
        const received = (message: Uint8Array | string): void => {
          if (!faults?.isMuted?.()) events.received(message);
        };
        return port.channel("reliable", { ...events, received });
      },
      longestPayloadBytes,
      longestQueueBytes,
      nowMs: () => performance.now(),
      opened: () => (this.#hasOpened = true),
      received: (frame) => this.#guarded(() => this.#owner.receive(frame, link)),
      closed: (_reason, refusal) => {
        if (refusal) countRefusal(refusal);
        over();
      },
    });
  }

  #listenToSlices(port: PeerPort, over: () => void): void {
    const { faults } = this.#options;
    port.channel("lossy", {
      opened: () => {},
      received: (message) => {
        if (typeof message === "string" || faults?.losesSlice?.(message)) return;
        this.#guarded(() => this.#owner.slice(message));
      },
      closed: over,
    });
  }

  #guarded(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#options.onFailure(error);
      this.#disconnect();
    }
  }

  #decline(reason: string): void {
    if (!this.#isClosed) this.#owner.signal(refusingSignal(reason));
  }

  #disconnect(): void {
    const port = this.#port;
    this.#port = undefined;
    this.#doors.gone();
    port?.close();
  }
}
