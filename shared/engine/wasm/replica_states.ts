/**
 * Many replicas in one program: what makes a replica itself (parameters, optimizer, losses so far) as plain data that a WASM
 * program takes in and gives out, so that a simulator has one program, one data set and one set of tensors for all of them.
 * Everything here is synchronous; `wasm_backend.ts` compiles such programs (`compileVirtual`).
 */

import type { Evaluation, Taken, TakenLoss, TakenPayload, TakeRequest } from "../backend.ts";
import { hasSecondMoment } from "../optimizer.ts";
import type { Plan } from "../plan.ts";
import type { GradientSource } from "../shares.ts";

const VECTORS = ["parameters", "base", "sent", "velocity", "secondMoment"] as const;
const COUNTS = ["updates", "draws", "steps", "examples", "lossSum"] as const;

/** The vectors of a replica, each of the layout's elements; `secondMoment` is empty where the optimizer has none. */
export type ReplicaVectors = Readonly<Record<(typeof VECTORS)[number], Float32Array>>;

/** What a program counts for the replica that it holds. */
export interface ReplicaCounts {
  /** Updates since the optimizer's means began at zero. */
  updates: number;
  /** Gatherings for training so far (dice.ts). */
  draws: number;
  /** Since the losses were taken last: steps, the examples in them, and the sum of those examples' losses. */
  steps: number;
  examples: number;
  lossSum: number;
}

/** A replica outside a program; whoever holds it may read and change it. */
export interface ReplicaState extends ReplicaVectors, ReplicaCounts {
  /** What its encoded gradients have left out; only where one was taken. */
  residual?: Float32Array;
}

/**
 * A program that holds one of many replicas at a time. After `gradientAt` another one must be loaded before it steps on: its
 * replica has the parameters that were handed in.
 */
export interface VirtualProgram extends GradientSource {
  /** Copies the replica out: into `into`, or into a new state. */
  saveReplica(into?: ReplicaState): ReplicaState;
  /** The program's replica becomes this one, bit for bit. */
  loadReplica(state: ReplicaState): void;
  /** `takeDifference`, `takeGradient`, `takeEncoded` and `takeLoss` at once. */
  takeDifferenceNow(): Taken;
  takeGradientNow(): Taken;
  takeEncodedNow(request: TakeRequest): TakenPayload;
  takeLossNow(): TakenLoss;
  /** As `evaluate`, on any whole number of the plan's parts, at any parameters: like `gradientAt`. */
  evaluateAt(parameters: Float32Array, examples: Uint32Array): Evaluation;
  /** What the last layer gives in an evaluation, `[examples, classes]`, on any whole number of the plan's parts; like `evaluateAt`. */
  outputsAt(parameters: Float32Array, examples: Uint32Array): Float32Array<ArrayBuffer>;
}

/** A replica that has taken no step yet, as after `Program.writeParameters`. */
export function newReplicaState(plan: Plan, parameters: Float32Array): ReplicaState {
  const { elements } = plan.layout;
  return {
    parameters: parameters.slice(),
    base: parameters.slice(),
    sent: parameters.slice(),
    velocity: new Float32Array(elements),
    secondMoment: new Float32Array(hasSecondMoment(plan.optimizer) ? elements : 0),
    updates: 0,
    draws: 0,
    steps: 0,
    examples: 0,
    lossSum: 0,
  };
}

/** A state with room for a program's replica, to be written over. */
export function emptyReplicaState(plan: Plan): ReplicaState {
  return newReplicaState(plan, new Float32Array(plan.layout.elements));
}

/** But for those that one of both does not hold: a simulated replica without momentum keeps no velocity. */
export function copyVectors(from: ReplicaVectors, to: ReplicaVectors): void {
  for (const name of VECTORS) if (from[name].length > 0 && to[name].length > 0) to[name].set(from[name]);
}

export function copyCounts(from: ReplicaCounts, to: ReplicaCounts): void {
  for (const name of COUNTS) to[name] = from[name];
}

/** `residual` may be a program's own. */
export function copyResidual(residual: Float32Array | undefined, to: ReplicaState): void {
  if (!residual) to.residual?.fill(0);
  else if (to.residual) to.residual.set(residual);
  else to.residual = residual.slice();
}
