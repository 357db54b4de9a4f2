/**
 * A push over a path that may lose some of it (SPEC T6), from the replica's side: how it is cut, and which parts of the parameters an
 * answer says were lost.
 */

import type { Fragment } from "../../shared/wire/codec/codec.ts";
import type { Header } from "../../shared/wire/messages.ts";
import { encodeSlice, slicePlanOf, sliceRange } from "../../shared/wire/slices.ts";
import type { InFlight } from "./exchange.ts";

export interface SlicedPush {
  /** For the WebSocket, after the slices. */
  readonly header: Header<"push">;
  /** Copies. */
  readonly slices: readonly Uint8Array[];
}

/** Of a whole vector of `elements`. */
export function slicedPush({ header, payload, codec }: InFlight, elements: number): SlicedPush {
  const plan = slicePlanOf(codec, elements);
  const slices = Array.from({ length: plan.slices }, (_, index) => encodeSlice(plan, header.exchange, index, payload));
  return { header: { ...header, slices: plan.slices }, slices };
}

/** The elements of the slices that an answer names; what no slice of this push is named by means nothing. */
export function lostFragments({ codec }: InFlight, lost: readonly number[], elements: number): Fragment[] {
  const plan = slicePlanOf(codec, elements);
  return lost.filter((index) => index < plan.slices).map((index) => sliceRange(plan, index));
}
