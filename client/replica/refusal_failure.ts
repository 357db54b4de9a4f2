/** What a refusal that ends the participation means to the volunteer: its page offers another fix for each kind. */

import type { RefusalCode } from "../../shared/wire/codes.ts";
import type { FailureKind } from "../messages.ts";

const FAILURES: Readonly<Partial<Record<RefusalCode, FailureKind>>> = {
  KICKED: "kicked",
  RUN_FULL: "run-full",
  FRAME_TOO_SHORT: "old-client",
  FRAME_TOO_LONG: "old-client",
  NOT_A_FRAME: "old-client",
  WRONG_PROTOCOL: "old-client",
  UNKNOWN_TYPE: "old-client",
  BAD_HEADER: "old-client",
  WRONG_LAYOUT: "old-client",
  WRONG_PAYLOAD: "old-client",
  OUT_OF_TURN: "old-client",
};

export function failureOfRefusal(code: RefusalCode): FailureKind {
  return FAILURES[code] ?? "other";
}
