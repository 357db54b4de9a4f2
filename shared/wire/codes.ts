/**
 * Every refusal and every limit of the wire, in one place (SPEC R and L). A refusal is the other side's fault: it has a
 * stable code, a sentence that a person can act on, the WebSocket close code where it ends the connection, and what the
 * replica has to do before it goes on. The process lives, the center stays as it was, and a metric counts it.
 */

/** What a refused replica does: nothing; take the center as its new base and keep its parameters; or restart from the center. */
type Recovery = "none" | "rebase" | "restart";

interface RefusalRule {
  /** Where set, the connection ends with this WebSocket close code. */
  readonly closeCode?: number;
  readonly recovery: Recovery;
  readonly sentence: string;
}

export const REFUSALS = {
  FRAME_TOO_SHORT: {
    closeCode: 4400,
    recovery: "none",
    sentence:
      "The message ended before its announced length. Reload the page; if it happens again, a proxy on the way cuts messages.",
  },
  FRAME_TOO_LONG: {
    closeCode: 4401,
    recovery: "none",
    sentence: "The message is longer than this run allows. Reload the page to get the current client.",
  },
  NOT_A_FRAME: {
    closeCode: 4402,
    recovery: "none",
    sentence: "The message is not a Drove frame. Join by opening the run's link in a browser.",
  },
  WRONG_PROTOCOL: {
    closeCode: 4403,
    recovery: "none",
    sentence: "The client speaks another version of the protocol. Reload the page to get the current client.",
  },
  UNKNOWN_TYPE: {
    closeCode: 4404,
    recovery: "none",
    sentence: "The message has a type that the coordinator does not know. Reload the page to get the current client.",
  },
  BAD_HEADER: {
    closeCode: 4405,
    recovery: "none",
    sentence: "The message's header lacks a field or has one out of range. Reload the page to get the current client.",
  },
  WRONG_LAYOUT: {
    closeCode: 4406,
    recovery: "none",
    sentence: "The client trains another model than this run. Reload the page to get this run's model.",
  },
  WRONG_PAYLOAD: {
    closeCode: 4407,
    recovery: "none",
    sentence:
      "The payload does not have the length that this run's parameters have. Reload the page to get this run's model.",
  },
  HELLO_TIMEOUT: {
    closeCode: 4408,
    recovery: "none",
    sentence: "The connection was opened but nobody introduced themselves in time. Reload the page.",
  },
  OUT_OF_TURN: {
    closeCode: 4409,
    recovery: "none",
    sentence: "The message came when another was due (one exchange at a time, after the hello). Reload the page.",
  },
  RUN_OVER: {
    closeCode: 4410,
    recovery: "none",
    sentence: "This run is over. Thank you; nothing more is needed.",
  },
  REPLACED: {
    closeCode: 4411,
    recovery: "none",
    sentence: "The same replica connected again; this older connection is closed.",
  },
  LEASE_EXPIRED: {
    closeCode: 4412,
    recovery: "none",
    sentence:
      "Nothing was heard from this replica for too long, so its place was freed. It rejoins by itself when it wakes.",
  },
  KICKED: {
    closeCode: 4413,
    recovery: "none",
    sentence:
      "The operator of this run removed this replica. If you think that this is a mistake, ask whoever sent you the link.",
  },
  TOO_FAST: {
    closeCode: 4429,
    recovery: "none",
    sentence: "Messages came faster than any replica needs them. Wait a minute and reload the page.",
  },
  RUN_FULL: {
    closeCode: 4453,
    recovery: "none",
    sentence: "This run has as many replicas as its coordinator can hold. Try again later.",
  },
  CROWDED: {
    closeCode: 4454,
    recovery: "none",
    sentence:
      "Too many connections come from this network address. Close other tabs of this run, or come back when others have left.",
  },
  OLD_EXCHANGE: {
    recovery: "none",
    sentence: "An exchange with this number was already settled and is no longer kept.",
  },
  NOT_AVERAGED: {
    recovery: "none",
    sentence: "The direct average did not come about; every member pushes for itself.",
  },
  WRONG_INCARNATION: {
    recovery: "rebase",
    sentence:
      "The coordinator was restarted since this exchange began; the replica takes the current center as its base.",
  },
  UNKNOWN_BASE: {
    recovery: "rebase",
    sentence:
      "The coordinator no longer holds the center that this push was encoded against; the replica takes the current one.",
  },
  TOO_STALE: {
    recovery: "restart",
    sentence: "The push is staler than this run allows; the replica restarts from the current center.",
  },
  RESTARTED: {
    recovery: "restart",
    sentence:
      "The run went back to an earlier center since this exchange began; the replica restarts from the current center.",
  },
  NOT_FINITE: {
    recovery: "restart",
    sentence:
      "The push holds a NaN or an infinity (training diverged, or the device computes wrongly); the replica restarts from the current center.",
  },
  OUT_OF_BOUNDS: {
    recovery: "restart",
    sentence: "The push holds values far beyond what parameters can be; the replica restarts from the current center.",
  },
} as const satisfies Record<string, RefusalRule>;

export type RefusalCode = keyof typeof REFUSALS;

export function ruleOf(code: RefusalCode): RefusalRule {
  return REFUSALS[code];
}

export function isRefusalCode(text: string): text is RefusalCode {
  return Object.hasOwn(REFUSALS, text);
}

/** SPEC L: what nobody may exceed. */
export const LIMITS = {
  /** A frame's msgpack header. The longest real one is a welcome of about 200 bytes. */
  headerBytes: 4096,
  /** Every parameter, and every value of a pushed vector, lies within ±this. */
  parameterMagnitude: 1e4,
  /** A name, a device or a browser in words. */
  textCharacters: 200,
  /** Between the opening of a connection and its hello. */
  helloTimeoutMs: 10_000,
  /** A replica that is silent for longer has left; its heartbeat comes at a third of this. */
  leaseMs: 30_000,
  /** Frames that one connection may send at once, and how many it earns back each second: a fast GPU exchanges 150 times a second. */
  frameBurst: 800,
  framesPerSecond: 400,
  replicas: 1000,
  /** WebSockets from one network address: a classroom behind one router has fewer. */
  socketsPerAddress: 128,
  /** A session description or an ICE candidate as JSON: about 1,200 where no media travel. A header has to hold it. */
  signalCharacters: 3800,
  /** Slices of one lossy push. Those that are lost are listed in the answer's header. */
  lossyParts: 1000,
  /** That average directly among themselves: each is connected to every other one. */
  peers: 8,
  /** Of a volunteer's own, for the leaderboard. */
  nameCharacters: 40,
  /** That a hello may list. */
  knownShards: 256,
  /** Of WASM, in one replica. */
  threads: 64,
} as const;
