/**
 * How often the processors copy a whole vector in one f32 exchange, read off the code: from a program's memory to the center's,
 * and the answer back. Passes of arithmetic are no copies, and those that the operating system makes nobody saves. What a
 * program does with its own memory is counted, but not in the measured time; here it is the WASM program, in Node.
 */

import type { Path } from "./exchanger.ts";

interface Copies {
  readonly where: string;
  readonly ours: number;
  readonly raw: number;
}

/** On both paths, before the push is on its way. */
const TAKEN: readonly Copies[] = [
  { ours: 1, raw: 0, where: "out of the program's memory (engine/wasm/encoded_exchange.ts, not measured)" },
  { ours: 1, raw: 0, where: "into memory that stays as it is for a retry (replica/exchange.ts)" },
];
/** By the main thread; an applier thread decodes it there. */
const APPLIED: Copies = { ours: 1, raw: 0, where: "into an area of the center (center/center.ts)" };
const SETTLED: Copies = {
  ours: 1,
  raw: 0,
  where: "into the program's memory as its base (encoded_exchange.ts, not measured)",
};
/** One way. Drove's peer connections are in processes of their own, behind pipes: a fault in native code ends no coordinator. */
const BY_CHANNEL: readonly Copies[] = [
  { ours: 1, raw: 0, where: "each part out of the vector, which may change meanwhile (wire/remote_peers.ts)" },
  { ours: 1, raw: 0, where: "serialized for the pipe to the connection's process" },
  { ours: 1, raw: 0, where: "joined from that pipe" },
  { ours: 1, raw: 1, where: "each part into the stack that sends it" },
  { ours: 1, raw: 1, where: "each part out of the stack that received it" },
  { ours: 1, raw: 0, where: "serialized for the pipe to the program" },
  { ours: 1, raw: 0, where: "joined from that pipe" },
  { ours: 1, raw: 1, where: "parts joined to a frame (wire/parts.ts)" },
];

export const COPIES: Readonly<Record<Path, readonly Copies[]>> = {
  websocket: [
    ...TAKEN,
    {
      ours: 0,
      raw: 1,
      where: "masked into a buffer of ws; a volunteer in Node masks with zeros (node/socket_link.ts)",
    },
    { ours: 1, raw: 1, where: "ws joins what the coordinator's socket read piece by piece" },
    APPLIED,
    { ours: 0, raw: 0, where: "none on the way out: an answer is sent from the area that the move left it in" },
    { ours: 1, raw: 1, where: "ws joins what the replica's socket read piece by piece" },
    SETTLED,
  ],
  webrtc: [...TAKEN, ...BY_CHANNEL, APPLIED, ...BY_CHANNEL, SETTLED],
};

/** Of one exchange, there and back. */
export function copiesBy(path: Path): Omit<Copies, "where"> {
  const total = (of: (copies: Copies) => number): number => COPIES[path].reduce((sum, copies) => sum + of(copies), 0);
  return { ours: total(({ ours }) => ours), raw: total(({ raw }) => raw) };
}
