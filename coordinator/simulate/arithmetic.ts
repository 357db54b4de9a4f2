/**
 * What happens to vectors in a simulation, as far as the event loop knows. `vector_arithmetic.ts` does it, on real data;
 * `CountingArithmetic` here only counts versions, for questions of scheduling.
 */

import { moveUnder, pullOf, type CenterMove } from "../../shared/solver/center_rule.ts";
import { stalenessOf, type StalenessPolicy } from "../../shared/solver/staleness.ts";
import type { Fragment } from "../../shared/wire/codec/codec.ts";
import type { Parcel, Push } from "./messages.ts";
import type { VirtualReplica } from "./virtual_replica.ts";

export interface CenterJob {
  readonly move: CenterMove;
  readonly policy: StalenessPolicy;
  readonly baseVersion: number;
  /** The center that a gradient was taken at. */
  readonly base: Parcel | undefined;
  /** Vectors that this one is the mean of. */
  readonly count: number;
  /** Alone is moved. */
  readonly fragment: Fragment;
}

export interface Applied {
  readonly verdict: "applied";
  readonly staleness: number;
  readonly pull: number;
  readonly centerVersion: number;
  readonly version: number;
}

export interface TooStale {
  readonly verdict: "too-stale";
  readonly staleness: number;
}

/** An apply that has begun: the rest of it follows in virtual time. */
export interface Pass {
  /** The `range`-th of `ranges` equal ones. */
  applyRange(range: number, ranges: number): void;
  complete(): Applied;
}

export interface Judgement {
  readonly accuracy: number;
  readonly loss: number;
}

export interface CenterState {
  readonly parameters: Float32Array<ArrayBuffer>;
  readonly velocity: Float32Array<ArrayBuffer>;
}

export interface Arithmetic {
  readonly version: number;
  /** Of all simulated replicas together, and of what they share. */
  readonly memory: { readonly bytesPerReplica: number; readonly sharedBytes: number };
  centerCopy(): Parcel;
  retain(parcel: Parcel): Parcel;
  release(parcel: Parcel): void;
  /** A new replica, from `center`, which it holds from now on. */
  begin(replica: VirtualReplica, center: Parcel): void;
  /** It is gone, and so are its vectors. */
  forget(replica: VirtualReplica): void;
  /** Takes the steps that are due, as the replica's assignment says. */
  train(replica: VirtualReplica): void;
  /** The examples of a gradient that is computed later. */
  examplesFor(replica: VirtualReplica): Uint32Array | undefined;
  /** What `replica`, which has trained, pushes of its present fragment: with `pulled`, `rate` times the difference to it. */
  take(replica: VirtualReplica, pulled: Parcel | undefined, rate: number): Parcel;
  /**
   * SPEC X4: the answer for its present fragment, or, with the second round trip, the pulled center. Holds `center` from now on, or
   * lets it go.
   */
  settle(replica: VirtualReplica, center: Parcel, pull: number): void;
  /** The center as those have it who hold `from` and add to it what the codec says of the change. */
  publish(from: Parcel): Parcel;
  /** Computes the gradient of `push`, where it is one, and checks what is pushed. */
  complete(push: Push): "sound" | "not-finite" | "out-of-bounds";
  openSum(): Parcel;
  addToSum(sum: Parcel, push: Push, weight: number): void;
  /** The sum becomes a mean. */
  divideSum(sum: Parcel, weight: number): void;
  beginApply(vector: Parcel, job: CenterJob): Pass | TooStale;
  judge(): Judgement | undefined;
  snapshot(): CenterState;
  /** The center becomes `state`, a version later; all parcels, and all vectors of replicas, are gone. */
  restore(state: CenterState): void;
}

/** What a replica is without its vectors, its next event included: about this (Node 24). */
export const OBJECT_BYTES = 2500;
const NOTHING: Parcel = { area: 0, users: 1 };
const NO_VECTOR = new Float32Array(0);

export class CountingArithmetic implements Arithmetic {
  version = 0;
  readonly memory = { bytesPerReplica: OBJECT_BYTES, sharedBytes: 0 };

  centerCopy(): Parcel {
    return NOTHING;
  }

  retain(parcel: Parcel): Parcel {
    return parcel;
  }

  release(): void {}
  begin(): void {}
  forget(): void {}

  train(replica: VirtualReplica): void {
    replica.untrainedSteps = 0;
  }

  examplesFor(): undefined {
    return undefined;
  }

  take(): Parcel {
    return NOTHING;
  }

  settle(): void {}

  publish(): Parcel {
    return NOTHING;
  }

  complete(push: Push): "sound" {
    push.vector = NOTHING;
    return "sound";
  }

  openSum(): Parcel {
    return NOTHING;
  }

  addToSum(): void {}
  divideSum(): void {}

  beginApply(_: Parcel, { move, policy, baseVersion }: CenterJob): Pass | TooStale {
    const centerVersion = this.version;
    const staleness = stalenessOf(centerVersion, baseVersion);
    const allowed = moveUnder(policy, move, staleness);
    if (allowed === undefined) return { verdict: "too-stale", staleness };
    return {
      applyRange: () => {},
      complete: () => ({
        verdict: "applied",
        staleness,
        pull: pullOf(allowed),
        centerVersion,
        version: ++this.version,
      }),
    };
  }

  judge(): undefined {
    return undefined;
  }

  snapshot(): CenterState {
    return { parameters: NO_VECTOR, velocity: NO_VECTOR };
  }

  restore(): void {
    this.version++;
  }
}
