/**
 * What the applier threads are asked to do, and what they answer: the center's words for pushes and their verdicts, as the run uses
 * them too, and the messages that `applier.ts` performs.
 */

import type { CenterMove } from "../../shared/solver/center_rule.ts";
import type { PushContent } from "../../shared/solver/replica_rule.ts";
import type { StalenessPolicy } from "../../shared/solver/staleness.ts";
import type { CodecName, Fragment } from "../../shared/wire/codec/codec.ts";
import type { Coverage, PayloadShape } from "./payload.ts";

/** How one vector, a push's or a group's mean, is to move the center. */
interface MoveJob {
  readonly move: CenterMove;
  readonly baseVersion: number;
  readonly policy: StalenessPolicy;
}

/** The center moves, and the answer is written, only in what came of the payload. */
export interface PushJob extends MoveJob, Coverage {
  readonly content: PushContent;
}

/** A vector that is decoded already. */
export interface ApplyJob extends MoveJob {
  /** The area with the center that a gradient was taken at, for delay compensation; without it there is none. */
  readonly base?: number;
  /** Vectors that this one is the mean of; 1 where left out. */
  readonly count?: number;
  /** What of the vector moves the center, in order and apart; all of it where left out. Elsewhere the vector is undefined. */
  readonly ranges?: readonly Fragment[];
}

/** A sum of `count` vectors, each times its weight: the mean is the sum divided by the weight of all. */
export interface SumJob extends MoveJob {
  readonly content: PushContent;
  readonly weight: number;
  readonly count: number;
}

/** A vector of the whole layout. */
export interface Contribution {
  readonly content: PushContent;
  readonly weight: number;
  /** f32 where left out. */
  readonly codec?: CodecName;
}

export type Refusal =
  | { readonly verdict: "not-finite" }
  | { readonly verdict: "out-of-bounds" }
  /** The slot is of a published version that is kept no longer. */
  | { readonly verdict: "unknown-base" };

export interface TooStale {
  readonly verdict: "too-stale";
  readonly staleness: number;
}

export interface Applied {
  readonly verdict: "applied";
  readonly staleness: number;
  /** Of the answer (`pullOf`), under the staleness policy. */
  readonly pull: number;
  /** Completed applies when the pass began: a lower bound of what an elastic answer holds. */
  readonly centerVersion: number;
  /** After this apply. */
  readonly version: number;
  readonly overlapped: boolean;
}

export type PushResult = Applied | TooStale | Refusal;

/** Areas and bases by byte offset. */
export type Job =
  | {
      readonly kind: "push";
      readonly base: number;
      readonly area: number;
      readonly payload: PayloadShape;
      readonly push: PushJob;
      /** Whether the base, too, gets the answer where the payload came: a push of a part, to a slot of one's own. */
      readonly movesBase: boolean;
    }
  | { readonly kind: "refresh"; readonly area: number }
  | {
      readonly kind: "contribute";
      readonly sum: number;
      readonly base: number;
      readonly area: number;
      readonly payload: PayloadShape;
      readonly contribution: Contribution;
    }
  /** The answer goes into every one of `areas`. */
  | {
      readonly kind: "apply-sum";
      readonly sum: number;
      readonly areas: readonly number[];
      readonly base: number | undefined;
      readonly job: SumJob;
    }
  | { readonly kind: "publish"; readonly next: number; readonly change: ChangeJob | undefined };

/** From the version before: encoded into `words`, which have room for all. Without it a version is a copy. */
export interface ChangeJob {
  readonly codec: CodecName;
  readonly previous: number;
  readonly words: number;
}

export type Outcome =
  | PushResult
  | { readonly verdict: "refreshed"; readonly version: number }
  | { readonly verdict: "accumulated" }
  | { readonly verdict: "published"; readonly version: number; readonly isCopy: boolean };
