/** How good the exported center is known to be: judged itself on all test images, or by the last evaluation before it. */

import type { SourceRun } from "./run_source.ts";

export interface Judgement {
  readonly accuracy: number;
  readonly testLoss: number;
  readonly testImages: number;
  /** Of this very center, not of one shortly before. */
  readonly isOfThisCenter: boolean;
}

export function judgementOf({ center, result, view, record }: SourceRun): Judgement | undefined {
  if (result?.version === center.version && typeof result.accuracy === "number") {
    const { accuracy, testLoss, testImages } = result;
    return { accuracy, testLoss: testLoss ?? Number.NaN, testImages: testImages ?? 0, isOfThisCenter: true };
  }
  const newest = view?.history.at(-1) ?? record?.history.at(-1);
  if (!newest) return undefined;
  const { accuracy, testLoss, images } = newest;
  return { accuracy, testLoss, testImages: images, isOfThisCenter: false };
}
