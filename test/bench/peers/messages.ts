/** What the benchmark's members and their conductor say to each other between processes. */

import type { Algorithm } from "../../../client/replica/peers/schedule.ts";
import type { Header } from "../../../shared/wire/messages.ts";

/** `relay`: up and down through one server, as a group does whose members are not connected. */
export type Way = Algorithm | "relay";

export type ToMember =
  | {
      readonly kind: "begin";
      readonly self: string;
      readonly members: readonly string[];
      readonly elements: number;
      /** Of the server that sums. */
      readonly relayUrl: string;
    }
  | { readonly kind: "signal"; readonly header: Header<"signal"> }
  | { readonly kind: "average"; readonly round: number; readonly way: Way };

export type FromMember =
  | { readonly kind: "signal"; readonly header: Header<"signal"> }
  | { readonly kind: "connected" }
  | { readonly kind: "averaged"; readonly round: number; readonly sentBytes: number; readonly cpuMs: number };
