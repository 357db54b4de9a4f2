/** What travels between virtual replicas and the simulated center. Vectors go by reference: a parcel knows how many hold it. */

import type { Assignment } from "../../shared/solver/assignment.ts";
import type { VirtualReplica } from "./virtual_replica.ts";

/** A vector in the center's memory; without gradients, nothing. */
export interface Parcel {
  /** Byte offset. */
  readonly area: number;
  users: number;
}

export interface Push {
  readonly replica: VirtualReplica;
  readonly membership: number;
  /** Which of the layout's; 0 where everything travels at once. */
  readonly fragment: number;
  readonly baseVersion: number;
  /** The published version that is its base (stream.ts). */
  readonly held: number | undefined;
  /** What the replica had been asked to do. */
  readonly assignment: Assignment;
  readonly steps: number;
  readonly samples: number;
  /** Of its samples; known when its vector is. */
  lossSum: number;
  /** When the answer left the center that this work began with. */
  readonly begunSeconds: number;
  /** A gradient is computed only when the center takes it, from these. */
  readonly base: Parcel | undefined;
  readonly examples: Uint32Array | undefined;
  vector: Parcel | undefined;
}

export interface Answer {
  readonly center: Parcel;
  /** Of the center that the replica starts from or was answered with. */
  readonly version: number;
  /** Where the center is published: which of its versions this is. */
  readonly published: number | undefined;
  /** It says something of this alone; undefined: of everything. */
  readonly fragment: number | undefined;
  readonly pull: number;
  /** Of a refusal: the replica takes the center and forgets what it did. */
  readonly restart: "too-stale" | "diverged" | undefined;
  readonly leftSeconds: number;
}
