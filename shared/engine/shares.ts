/**
 * A step that two programs share: one owns parameters and optimizer and does the update, another lends it the gradient of
 * some of the step's examples. `hybrid/` makes a program of two such; the roles know nothing of each other.
 */

import type { Program, StepSettings } from "./backend.ts";

/** What the gradient of a share needs to know of the whole step. */
export interface Share {
  /** Examples in all shares together: gradients are scaled for the mean over them, so that they only need to be added. */
  readonly stepExamples: number;
  /** Number of the share's first gathering (dice.ts). */
  readonly draw: number;
}

/** The gradient at some parameters, and the mean loss there. */
export interface GradientAt {
  /**
   * Of the layout's elements; in place of running statistics what the parameters have to lose to become them (SPEC E9). A view
   * into the program's memory, valid until its next call.
   */
  readonly gradient: Float32Array;
  /** Of these examples. */
  readonly meanLoss: number;
}

/** A program that computes gradients at parameters which are handed to it, at once. */
export interface GradientSource extends Program {
  /**
   * Of any whole number of the plan's parts: their mean gradient, or, as a share of a step, what they add to its mean. The
   * program's own parameters are these afterwards; its losses so far stay.
   */
  gradientAt(parameters: Float32Array, examples: Uint32Array, share?: Share): GradientAt;
}

/** A program that takes steps of which it computes the gradient in part only. */
export interface StepOwner extends Program {
  /** Enqueues the gradient of some whole parts of a step. Nothing but `completeStep` may come next. */
  gradientShare(examples: Uint32Array, share: Share): void;
  /**
   * Adds the gradient of the other shares (none where the program had all examples), and updates the parameters; without
   * settings the sum stays for `takeGradient`. `rest` may be used again at once.
   */
  completeStep(rest: Float32Array<ArrayBuffer> | undefined, settings: StepSettings | undefined): void;
}
