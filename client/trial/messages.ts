/**
 * The only words that the section "Try the model" and its Web Worker share: an image in, the newest center's answer out. The
 * worker exists from the first image on; it fetches and computes for images only.
 */

import type { ModelDescription } from "../../shared/model/model.ts";
import type { RunSettings } from "../../shared/run_settings.ts";

export type ToTrialWorker =
  | {
      /** First, and once. */
      readonly kind: "open";
      readonly model: ModelDescription;
      readonly normalisation: RunSettings["data"]["normalisation"];
      /** Base of the center's addresses. */
      readonly baseUrl: string;
    }
  | {
      /** What does the center say to this image? A newer question replaces an older one. */
      readonly kind: "look";
      /** Counts up. */
      readonly look: number;
      /** [height, width, channels] of the model's input. */
      readonly pixels: Uint8Array<ArrayBuffer>;
      /** The newest version that the page has heard of, if any: where the worker has another one, it asks. */
      readonly newestVersion: number | undefined;
    };

export interface TrialAnswer {
  readonly kind: "answer";
  readonly look: number;
  /** Of the center that answered. */
  readonly version: number;
  /** One for each class; they sum to 1. */
  readonly probabilities: Float32Array<ArrayBuffer>;
  /** Of the forward pass. */
  readonly computedMs: number;
}

export type FromTrialWorker =
  | TrialAnswer
  /** A center came, of so many bytes. */
  | { readonly kind: "fetched"; readonly bytes: number }
  /** A sentence with the fix; the next look is tried again. */
  | { readonly kind: "trouble"; readonly look: number; readonly sentence: string };
