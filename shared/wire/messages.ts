/**
 * Every message, and the door: a received frame becomes a typed message or a refusal here, and nothing further in checks
 * again (SPEC H, X). Direction is in the name: `FromReplica` is sent by replicas, `FromCoordinator` by the coordinator.
 */

import * as v from "valibot";
import { REPORTED_BACKENDS } from "../backends.ts";
import { assignmentSchema } from "../solver/assignment.ts";
import type { PushContent } from "../solver/replica_rule.ts";
import { LIMITS, type RefusalCode } from "./codes.ts";
import { decodeFrame } from "./frame.ts";

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const amount = v.pipe(v.number(), v.finite(), v.minValue(0));
const text = v.pipe(v.string(), v.maxLength(LIMITS.textCharacters));
const finite = v.pipe(v.number(), v.finite());
const backendName = v.picklist(REPORTED_BACKENDS);
const contents = ["parameters", "difference", "gradient", "update"] as const satisfies readonly PushContent[];
const recovery = v.picklist(["none", "rebase", "restart"]);

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
  }),
  /** From the training worker, at least every third of a lease (L4). */
  heartbeat: v.strictObject({ samplesPerSecond: amount, steps: count }),
  /** Goodbye: the place is freed at once. */
  leave: v.strictObject({}),

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
  }),
  /** Answers a pull. The payload is the center. */
  center: v.strictObject({ version: count, incarnation: count, assignment: assignmentSchema }),
  /** Something was refused. Where `recovery` is not `none` the payload is the center, to re-base on. */
  refusal: v.strictObject({
    code: text,
    sentence: v.pipe(v.string(), v.maxLength(1000)),
    recovery,
    exchange: v.optional(count),
    version: count,
    incarnation: count,
  }),
  /** The run ended: target reached, time over or coordinator stopping. */
  finished: v.strictObject({ reason: text }),
} as const;

type Name = keyof typeof schemas;
export type Header<N extends Name> = v.InferOutput<(typeof schemas)[N]>;

/** The type byte of each message. Numbers are never reused. */
export const TYPE = {
  hello: 1,
  pull: 2,
  push: 3,
  heartbeat: 4,
  leave: 5,
  welcome: 64,
  answer: 65,
  center: 66,
  refusal: 67,
  finished: 68,
} as const satisfies Record<Name, number>;

export type ReplicaMessageName = "hello" | "pull" | "push" | "heartbeat" | "leave";
export type CoordinatorMessageName = Exclude<Name, ReplicaMessageName>;

type MessageOf<N extends Name> = {
  [K in N]: { readonly kind: K; readonly header: Header<K>; readonly payload: Uint8Array };
}[N];

export type FromReplica = MessageOf<ReplicaMessageName>;
export type FromCoordinator = MessageOf<CoordinatorMessageName>;

/** Whether a message of this kind carries a vector: never, always, or either. */
const PAYLOAD: Record<Name, "never" | "always" | "either"> = {
  hello: "never",
  pull: "never",
  push: "always",
  heartbeat: "never",
  leave: "never",
  welcome: "either",
  answer: "either",
  center: "always",
  refusal: "either",
  finished: "never",
};

export interface Refused {
  readonly refusal: RefusalCode;
}

/** The door of the coordinator. `payloadBytes` is the length of this run's parameters as f32. */
export function readFromReplica(bytes: Uint8Array, payloadBytes: number): FromReplica | Refused {
  return read(bytes, payloadBytes, ["hello", "pull", "push", "heartbeat", "leave"]);
}

/** The door of the replica. */
export function readFromCoordinator(bytes: Uint8Array, payloadBytes: number): FromCoordinator | Refused {
  return read(bytes, payloadBytes, ["welcome", "answer", "center", "refusal", "finished"]);
}

function read<N extends Name>(bytes: Uint8Array, payloadBytes: number, names: readonly N[]): MessageOf<N> | Refused {
  const frame = decodeFrame(bytes, payloadBytes);
  if ("refusal" in frame) return frame;
  const kind = names.find((name) => TYPE[name] === frame.type);
  if (kind === undefined) return { refusal: "UNKNOWN_TYPE" };
  const checked = v.safeParse(schemas[kind], frame.header);
  if (!checked.success) return { refusal: "BAD_HEADER" };
  const bytesGot = frame.payload.byteLength;
  const wanted = PAYLOAD[kind];
  const fits = bytesGot === payloadBytes ? wanted !== "never" : bytesGot === 0 && wanted !== "always";
  if (!fits) return { refusal: "WRONG_PAYLOAD" };
  // The schema of `kind` produced `output`, which TypeScript cannot follow through the lookup.
  return { kind, header: checked.output, payload: frame.payload } as MessageOf<N>;
}
