/** The fields of a run that say how its vectors travel: codecs, fragments, transports (SPEC C, X17, T). A part of run_fields.ts. */

import * as v from "valibot";
import { iceServerSchema, TRANSPORT_WISHES } from "../shared/run_settings.ts";
import { CODEC_NAMES } from "../shared/wire/codec/codec.ts";
import { asIs, asNumber, wholeBetween } from "./field_values.ts";

const CODEC_WISHES = ["auto", ...CODEC_NAMES] as const;

/** Addresses with commas between them: those of TURN servers may have a name and a password, turn:name:password@host:port. */
function asIceServers(value: unknown): unknown {
  if (typeof value !== "string") return value;
  return value.split(",").map((address) => {
    const [, scheme, username, credential, host] = /^(turns?):([^:@]+):([^@]+)@(.+)$/.exec(address.trim()) ?? [];
    return host === undefined ? { urls: address.trim() } : { urls: `${scheme}:${host}`, username, credential };
  });
}

export const WIRE_FIELDS = {
  codecUp: {
    schema: v.picklist(CODEC_WISHES),
    initial: "auto",
    fromText: asIs,
    accepted: `one of ${CODEC_WISHES.join(", ")}`,
    placeholder: "NAME",
    help: `how pushes are encoded: auto (what was measured to suit the solver), ${CODEC_NAMES.join(", ")}`,
  },
  codecDown: {
    schema: v.picklist(CODEC_WISHES),
    initial: "auto",
    fromText: asIs,
    accepted: `one of ${CODEC_WISHES.join(", ")}`,
    placeholder: "NAME",
    help: "how the center comes down: auto, f32 whole, the others as changes that are encoded once for all replicas",
  },
  fragments: {
    schema: wholeBetween(1, 64),
    initial: 1,
    fromText: asNumber,
    accepted: "a whole number from 1 (everything at once) to 64, such as 4",
    placeholder: "N",
    help: "parts of the parameters that travel in turn, each once per period, so that no exchange is a burst",
  },
  transport: {
    schema: v.picklist(TRANSPORT_WISHES),
    initial: "websocket",
    fromText: asIs,
    accepted: `"auto", "websocket" or "webrtc"`,
    placeholder: "NAME",
    help: "how exchanges travel: auto (the faster, measured at join), websocket or webrtc",
  },
  lossy: {
    schema: v.boolean(),
    initial: false,
    fromText: asIs,
    accepted: "true or false",
    placeholder: "",
    help: "push in slices that are not sent again when they are lost (over WebRTC)",
  },
  iceServers: {
    schema: v.pipe(v.array(iceServerSchema), v.readonly()),
    initial: [],
    fromText: asIceServers,
    accepted: `addresses with commas between them, such as stun:example.org:3478,turn:name:password@example.org:3478; in a file a list of {"urls", "username", "credential"}`,
    placeholder: "ADDRESSES",
    help: "STUN and TURN servers for WebRTC beyond one network",
  },
  peers: {
    schema: v.boolean(),
    initial: false,
    fromText: asIs,
    accepted: "true or false",
    placeholder: "",
    help: "members of a compute group average among themselves, where their volunteers allow direct connections",
  },
} as const;
