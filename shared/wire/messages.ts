/**
 * Every message, and the door: a received frame becomes a typed message or a refusal here, and nothing further in checks
 * again (SPEC H, X). Direction is in the name: `FromReplica` is sent by replicas, `FromCoordinator` by the coordinator.
 */

import * as v from "valibot";
import { REPORTED_BACKENDS } from "../backends.ts";
import { leaseClaimSchema, leaseSchema, MOST_LEASES } from "../lease.ts";
import { assignmentSchema } from "../solver/assignment.ts";
import type { PushContent } from "../solver/replica_rule.ts";
import { CODEC_NAMES, type Fragment } from "./codec/codec.ts";
import { LIMITS, type RefusalCode } from "./codes.ts";
import { decodeFrame, type FrameBytes } from "./frame.ts";
import {
  centerBytes,
  fragmentIn,
  longestPayloadBytes,
  probeBytes,
  pushBytes,
  wholeCenterBytes,
  type VectorWire,
} from "./vectors.ts";

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const amount = v.pipe(v.number(), v.finite(), v.minValue(0));
const text = v.pipe(v.string(), v.maxLength(LIMITS.textCharacters));
const finite = v.pipe(v.number(), v.finite());
const backendName = v.picklist(REPORTED_BACKENDS);
const contents = ["parameters", "difference", "gradient", "update"] as const satisfies readonly PushContent[];
const recovery = v.picklist(["none", "rebase", "restart"]);
const codec = v.picklist(CODEC_NAMES);
/** A message of WebRTC's own, such as a session description: JSON that nobody here reads. */
const signal = v.pipe(v.string(), v.maxLength(LIMITS.signalCharacters));
/** Of a lossy push; more parts than this, and nothing of it counts. */
const lostParts = v.pipe(v.array(count), v.maxLength(LIMITS.lossyParts), v.readonly());

/** None where left out. */
const leases = v.optional(v.pipe(v.array(leaseSchema), v.maxLength(MOST_LEASES), v.readonly()));
/** What an operator asks of all replicas, or of one. */
const ORDERS = ["pause", "resume", "drain"] as const;

/** How bulk travels between a replica and the coordinator. */
export const TRANSPORTS = ["websocket", "webrtc", "webrtc-lossy"] as const;

const schemas = {
  /** The first frame of a connection (H1). */
  hello: v.strictObject({
    layoutHash: text,
    /** The backend that computes; `none` for a participant that only watches the wire (tests, probes). */
    backend: backendName,
    /** Adapter or WASM flavour, in words. */
    device: text,
    /** Measured before joining. */
    samplesPerSecond: amount,
    /** A replica that was here before names itself and proves it (H5). */
    resume: v.optional(v.strictObject({ replica: text, token: text, incarnation: count })),
    /** That it can encode and decode; f32 alone where left out (H8). */
    codecs: v.optional(v.pipe(v.array(codec), v.readonly())),
    /** A center that it has fetched by HTTP already (D3). */
    holds: v.optional(v.strictObject({ incarnation: count, version: count })),
    /** The volunteer allows connections to other volunteers, which show them its address (G8). */
    allowsPeers: v.optional(v.boolean()),
    /** Shards of the data set that it has, by their places in the run's list (K2). */
    shards: v.optional(v.pipe(v.array(count), v.maxLength(LIMITS.knownShards), v.readonly())),
  }),
  /** Asks for the current center; the answer is a `center` frame (X10, X11). */
  pull: v.strictObject({}),
  /** One exchange (X1). The payload is what `content` says, of the layout's length. */
  push: v.strictObject({
    /** Numbered per replica from 1; a retry has the number of the first try. */
    exchange: v.pipe(count, v.minValue(1)),
    incarnation: count,
    /** The version of the center that the payload is encoded against, which both sides hold. */
    baseVersion: count,
    content: v.picklist(contents),
    /** Local steps and samples since the replica's last exchange, and their mean loss. */
    steps: count,
    samples: count,
    meanLoss: finite,
    /** What of the layout it carries (X17); the first, or all, where left out. */
    fragment: v.optional(count),
    /** Where the vector comes in so many slices over a channel that may lose some (T6): the payload is then empty. */
    slices: v.optional(v.pipe(count, v.minValue(1), v.maxValue(LIMITS.lossyParts))),
    /** What it would carry is in the mean that the members of this epoch made (G8). The leader's payload is that mean, in f32; the others' is empty. */
    average: v.optional(v.strictObject({ epoch: count, isLeader: v.boolean() })),
    /** Between the work behind it and the push, spent among peers: not computing. */
    waitedMs: v.optional(amount),
    /** How far its leases were used for the work behind it, of those that were used since the last settled exchange (K4). */
    leased: v.optional(v.pipe(v.array(leaseClaimSchema), v.maxLength(MOST_LEASES), v.readonly())),
  }),
  /** From the training worker, at least every third of a lease (L4). */
  heartbeat: v.strictObject({ samplesPerSecond: amount, steps: count }),
  /** What its volunteer chose; sent after the welcome and whenever it changes. Shown to people, decides nothing. */
  profile: v.strictObject({
    /** Offered for the leaderboard and the model card. */
    name: v.optional(v.pipe(v.string(), v.trim(), v.minLength(1), v.maxLength(LIMITS.nameCharacters))),
    /** The tab is in the background. */
    isHidden: v.boolean(),
    /** The share of the time in which it computes. */
    dutyCycle: v.pipe(v.number(), v.gtValue(0), v.maxValue(1)),
  }),
  /** Goodbye: the place is freed at once. */
  leave: v.strictObject({}),
  /** Measures a path: sent back as `echo`, payload and all (T3). */
  probe: v.strictObject({ number: count }),
  /** The path by which the replica's bulk travels from now on (T2), for people to see. */
  route: v.strictObject({ transport: v.picklist(TRANSPORTS) }),
  /** To the coordinator ("") or to another replica: what its side of a peer connection has to know (T1). */
  signal: v.strictObject({
    peer: text,
    data: signal,
    /** Between replicas: the epoch in which this connection was begun. */
    epoch: v.optional(count),
  }),
  /** Whether the replica is connected to all other members of the epoch (G8); also later, where a connection is lost. */
  joined: v.strictObject({ epoch: count, isConnected: v.boolean() }),

  /** Answers a hello (H3). The payload is the center, or empty where `resumed` says that the base still stands. */
  welcome: v.strictObject({
    replica: text,
    token: text,
    incarnation: count,
    version: count,
    /** True where the coordinator still holds what it last answered: an exchange in flight may be retried. */
    resumed: v.boolean(),
    /** The highest exchange number that was ever settled for this replica. */
    lastExchange: count,
    assignment: assignmentSchema,
    /** Agreed on for this connection (H8); f32 both ways where left out. */
    codecs: v.optional(v.strictObject({ up: codec, down: codec })),
    /** All that the replica holds; what else it had was given back (K2). */
    leases,
  }),
  /** Answers a push (X3). The payload is the vector that the replica is pulled towards, or empty for content `difference`. */
  answer: v.strictObject({
    exchange: count,
    /** Completed applies after this one: the base version of the replica's next push. */
    version: count,
    staleness: count,
    /** How far the replica moves towards the payload (X4): the moving rate that was used, staleness policy included, or 1. */
    pull: finite,
    /** True where this is a retry's copy of an earlier answer. */
    repeated: v.boolean(),
    assignment: assignmentSchema,
    /** What of the layout it carries: the push's. */
    fragment: v.optional(count),
    /** So many changes of the center, one after the other, in place of values: each is added to the base (X18). */
    deltas: v.optional(count),
    /** Slices of a lossy push that did not come (T6). */
    lost: v.optional(lostParts),
    /** The next exchange may be averaged among the members of this epoch; so long after this answer it may be no longer (G8). */
    average: v.optional(v.strictObject({ epoch: count, deadlineMs: amount })),
    /** Newly given. */
    leases,
  }),
  /** Answers a pull. The payload is the center, or the changes since the version that the replica holds. */
  center: v.strictObject({
    version: count,
    incarnation: count,
    assignment: assignmentSchema,
    deltas: v.optional(count),
  }),
  /** Answers a probe. */
  echo: v.strictObject({ number: count }),
  /** Something was refused. Where `recovery` is not `none` the payload is the center, to re-base on. */
  refusal: v.strictObject({
    code: text,
    sentence: v.pipe(v.string(), v.maxLength(1000)),
    recovery,
    exchange: v.optional(count),
    version: count,
    incarnation: count,
  }),
  /** With whom the replica may average directly from now on (G8), itself included, in an order that all share; with nobody where empty. */
  group: v.strictObject({
    epoch: count,
    members: v.pipe(v.array(text), v.maxLength(LIMITS.peers), v.readonly()),
    /** Connections of earlier epochs are given up, even where they seem to work. */
    isAnew: v.boolean(),
  }),
  /** The operator's will (O2): wait, go on, or complete the exchange and leave. */
  control: v.strictObject({ order: v.picklist(ORDERS), reason: text }),
  /** The run ended: target reached, time over or coordinator stopping. */
  finished: v.strictObject({ reason: text }),
} as const;

type Name = keyof typeof schemas;
export type Transport = (typeof TRANSPORTS)[number];
export type Header<N extends Name> = v.InferOutput<(typeof schemas)[N]>;

/** The type byte of each message. Numbers are never reused. */
export const TYPE = {
  hello: 1,
  pull: 2,
  push: 3,
  heartbeat: 4,
  leave: 5,
  probe: 6,
  route: 7,
  /** In both directions. */
  signal: 8,
  joined: 9,
  profile: 10,
  welcome: 64,
  answer: 65,
  center: 66,
  refusal: 67,
  finished: 68,
  echo: 69,
  group: 70,
  control: 71,
} as const satisfies Record<Name, number>;

const FROM_REPLICA = [
  "hello",
  "pull",
  "push",
  "heartbeat",
  "leave",
  "probe",
  "route",
  "signal",
  "joined",
  "profile",
] as const;
const FROM_COORDINATOR = [
  "welcome",
  "answer",
  "center",
  "refusal",
  "finished",
  "echo",
  "signal",
  "group",
  "control",
] as const;

export type ReplicaMessageName = (typeof FROM_REPLICA)[number];
export type CoordinatorMessageName = (typeof FROM_COORDINATOR)[number];

type MessageOf<N extends Name> = {
  [K in N]: { readonly kind: K; readonly header: Header<K>; readonly payload: Uint8Array };
}[N];

export type FromReplica = MessageOf<ReplicaMessageName>;
export type FromCoordinator = MessageOf<CoordinatorMessageName>;

export interface Refused {
  readonly refusal: RefusalCode;
}

/** The door of the coordinator. */
export function readFromReplica(bytes: FrameBytes, vectors: VectorWire): FromReplica | Refused {
  return read(bytes, vectors, FROM_REPLICA);
}

/** The door of the replica. */
export function readFromCoordinator(bytes: FrameBytes, vectors: VectorWire): FromCoordinator | Refused {
  return read(bytes, vectors, FROM_COORDINATOR);
}

function read<N extends Name>(bytes: FrameBytes, vectors: VectorWire, names: readonly N[]): MessageOf<N> | Refused {
  const frame = decodeFrame(bytes, longestPayloadBytes(vectors));
  if ("refusal" in frame) return frame;
  const kind = names.find((name) => TYPE[name] === frame.type);
  if (kind === undefined) return { refusal: "UNKNOWN_TYPE" };
  const checked = v.safeParse(schemas[kind], frame.header);
  if (!checked.success) return { refusal: "BAD_HEADER" };
  // The schema of `kind` produced `output`, which TypeScript cannot follow through the lookup.
  const message = { kind, header: checked.output, payload: frame.payload } as MessageOf<N>;
  const refusal = payloadRefusal(message as MessageOf<Name>, vectors);
  return refusal === undefined ? message : { refusal };
}

/** SPEC F5: whether the payload is as long as kind, header and connection say. */
function payloadRefusal(message: MessageOf<Name>, vectors: VectorWire): RefusalCode | undefined {
  const bytes = message.payload.byteLength;
  switch (message.kind) {
    case "push": {
      const fragment = fragmentIn(vectors, message.header.fragment ?? 0);
      if (!fragment) return "BAD_HEADER";
      return wrongUnless(bytes === payloadBytesOf(message.header, vectors, fragment));
    }
    case "answer": {
      const fragment = fragmentIn(vectors, message.header.fragment ?? 0);
      if (!fragment) return "BAD_HEADER";
      return wrongUnless(bytes === 0 || bytes === centerBytes(vectors, fragment, message.header.deltas ?? 0));
    }
    case "center":
      return wrongUnless(bytes === wholeCenterBytes(vectors, message.header.deltas ?? 0));
    case "welcome":
    case "refusal":
      return wrongUnless(bytes === 0 || bytes === wholeCenterBytes(vectors, 0));
    case "probe":
    case "echo":
      return wrongUnless(bytes <= probeBytes(vectors));
    case "hello":
    case "pull":
    case "heartbeat":
    case "leave":
    case "route":
    case "signal":
    case "joined":
    case "profile":
    case "group":
    case "control":
    case "finished":
      return wrongUnless(bytes === 0);
    default:
      return message satisfies never;
  }
}

function wrongUnless(fits: boolean): RefusalCode | undefined {
  return fits ? undefined : "WRONG_PAYLOAD";
}

function payloadBytesOf({ slices, average }: Header<"push">, vectors: VectorWire, fragment: Fragment): number {
  if (average) return average.isLeader ? centerBytes(vectors, fragment, 0) : 0;
  return slices === undefined ? pushBytes(vectors, fragment) : 0;
}
