/**
 * What members of a group say to each other over their data channels (SPEC G8): frames like those of the coordinator's wire, with
 * types of their own, and a door that lets nothing unchecked in. Every message names its average: the epoch, and the version of
 * the base that all members have.
 */

import * as v from "valibot";
import { LIMITS } from "../../../shared/wire/codes.ts";
import { decodeFrame, encodeHead } from "../../../shared/wire/frame.ts";

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const average = { epoch: count, baseVersion: count };

const schemas = {
  /** Its vector is there: what it weighs, how long it is, and how the sender means to reduce it. */
  ready: v.strictObject({
    ...average,
    weight: v.pipe(v.number(), v.finite(), v.gtValue(0)),
    elements: count,
    algorithm: v.picklist(["ring", "halving", "doubling"]),
  }),
  /** Of one step of the all-reduce. The payload is f32. */
  part: v.strictObject({ ...average, step: v.pipe(count, v.maxValue(2 * LIMITS.peers)) }),
  /** The sender has given this average up. */
  quit: v.strictObject(average),
} as const;

type Name = keyof typeof schemas;
export type PeerHeader<N extends Name> = v.InferOutput<(typeof schemas)[N]>;

const TYPE = { ready: 128, part: 129, quit: 130 } as const satisfies Record<Name, number>;
const NAMES = ["ready", "part", "quit"] as const satisfies readonly Name[];

export type PeerMessage = {
  [K in Name]: { readonly kind: K; readonly header: PeerHeader<K>; readonly payload: Uint8Array };
}[Name];

export function peerHead<N extends Name>(name: N, header: PeerHeader<N>, payloadBytes = 0): Uint8Array<ArrayBuffer> {
  return encodeHead(TYPE[name], header, payloadBytes);
}

/** Undefined where no member would send this. */
export function readFromPeer(bytes: Uint8Array, longestPayloadBytes: number): PeerMessage | undefined {
  const frame = decodeFrame(bytes, longestPayloadBytes);
  if ("refusal" in frame) return undefined;
  const kind = NAMES.find((name) => TYPE[name] === frame.type);
  if (kind === undefined) return undefined;
  const checked = v.safeParse(schemas[kind], frame.header);
  if (!checked.success || (kind !== "part" && frame.payload.byteLength > 0)) return undefined;
  // The schema of `kind` produced `output`, which TypeScript cannot follow through the lookup.
  return { kind, header: checked.output, payload: frame.payload } as PeerMessage;
}
