/**
 * How often the processors copy a whole vector in one f32 exchange, read off the code: from a program's memory to the center's,
 * and the answer back. Passes of the center's arithmetic are no copies; nor does anybody save those that the operating system makes.
 */

import type { Path } from "./exchanger.ts";

interface Copy {
  readonly path: Path;
  readonly where: string;
  readonly ours: number;
  readonly raw: number;
}

export const COPIES: readonly Copy[] = [
  { path: "websocket", ours: 1, raw: 0, where: "out of the program's memory into the push (replica/exchange.ts)" },
  {
    path: "websocket",
    ours: 0,
    raw: 1,
    where: "masked into a buffer of `ws`; Drove's volunteer in Node sends with a mask of zeros",
  },
  { path: "websocket", ours: 1, raw: 1, where: "`ws` joins what the coordinator's socket read in pieces" },
  { path: "websocket", ours: 1, raw: 0, where: "into an area of the center (center.ts)" },
  { path: "websocket", ours: 0, raw: 0, where: "the answer goes out from the area that the center's move left it in" },
  {
    path: "websocket",
    ours: 1,
    raw: 1,
    where: "`ws` joins what the replica's socket read in pieces; the program reads it there",
  },
  { path: "webrtc", ours: 1, raw: 0, where: "out of the program's memory into the push (replica/exchange.ts)" },
  { path: "webrtc", ours: 1, raw: 1, where: "each part into the stack that sends it" },
  { path: "webrtc", ours: 1, raw: 1, where: "each part out of the stack that received it" },
  { path: "webrtc", ours: 1, raw: 1, where: "parts joined to a frame (wire/parts.ts)" },
  { path: "webrtc", ours: 1, raw: 0, where: "into an area of the center (center.ts)" },
  {
    path: "webrtc",
    ours: 1,
    raw: 0,
    where: "each part of the answer out of shared memory, which a data channel does not take",
  },
  { path: "webrtc", ours: 1, raw: 1, where: "each part into the stack that sends it" },
  { path: "webrtc", ours: 1, raw: 1, where: "each part out of the stack that received it" },
  { path: "webrtc", ours: 1, raw: 1, where: "parts joined to a frame; the program reads it there" },
];
