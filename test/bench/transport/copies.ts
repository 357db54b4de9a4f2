/**
 * How often the processors copy a whole vector in one f32 exchange, read off the code: from a program's memory to the center's,
 * and the answer back. Passes of arithmetic are no copies, and those that the operating system makes nobody saves. What a
 * program does with its own memory is counted, but not in the measured time; here it is the WASM program, in Node.
 */

import type { Path } from "./exchanger.ts";

interface Copy {
  readonly path: Path;
  readonly where: string;
  readonly ours: number;
  readonly raw: number;
}

/** On both paths, before the push is on its way. */
const TAKEN = [
  { ours: 1, raw: 0, where: "out of the program's memory (engine/wasm/encoded_exchange.ts, not measured)" },
  { ours: 1, raw: 0, where: "into memory that stays as it is for a retry (replica/exchange.ts)" },
];
/** By the main thread; an applier thread decodes it there. */
const APPLIED = { ours: 1, raw: 0, where: "into an area of the center (center/center.ts)" };
const SETTLED = { ours: 1, raw: 0, where: "into the program's memory as its base (encoded_exchange.ts, not measured)" };
const BY_CHANNEL = [
  { ours: 1, raw: 1, where: "each part into the stack that sends it" },
  { ours: 1, raw: 1, where: "each part out of the stack that received it" },
  { ours: 1, raw: 1, where: "parts joined (wire/parts.ts)" },
];

const WEBSOCKET = [
  ...TAKEN,
  {
    ours: 0,
    raw: 1,
    where: "masked into a buffer of ws; a volunteer in Node sends with a mask of zeros (node/socket_link.ts)",
  },
  { ours: 1, raw: 1, where: "ws joins what the coordinator's socket read piece by piece" },
  APPLIED,
  { ours: 0, raw: 0, where: "none on the way out: an answer is sent from the area that the move left it in" },
  { ours: 1, raw: 1, where: "ws joins what the replica's socket read piece by piece" },
  SETTLED,
];
const WEBRTC = [
  ...TAKEN,
  ...BY_CHANNEL,
  APPLIED,
  {
    ours: 1,
    raw: 0,
    where: "each part of the answer out of shared memory, which a data channel does not take (wire/data_channel.ts)",
  },
  ...BY_CHANNEL,
  SETTLED,
];

export const COPIES: readonly Copy[] = [
  ...WEBSOCKET.map((copy) => ({ path: "websocket" as const, ...copy })),
  ...WEBRTC.map((copy) => ({ path: "webrtc" as const, ...copy })),
];
