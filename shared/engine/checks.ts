/** What every backend's program asks of its arguments, in one place: at the door of each call, with a sentence. */

import { elementsOf } from "../model/model.ts";
import { BLOCK_ELEMENTS, encodedBytes, type Fragment } from "../wire/codec/codec.ts";
import type { CenterNews } from "./backend.ts";
import type { Plan } from "./plan.ts";

/** Of `Program.loadExamples`. */
export function checkLoad(plan: Plan, first: number, images: Uint8Array, labels: Uint8Array): void {
  const { datasetExamples, model } = plan;
  const count = labels.length;
  const bytes = count * elementsOf(model.input);
  if (images.length !== bytes) {
    throw new Error(`${count} labels came with ${images.length} bytes of images; they need ${bytes}.`);
  }
  if (!Number.isInteger(first) || first < 0 || first + count > datasetExamples) {
    throw new Error(`Examples ${first} to ${first + count - 1} do not fit into a data set of ${datasetExamples}.`);
  }
  const label = labels.findIndex((value) => value >= model.classes);
  if (label >= 0) {
    throw new Error(`Example ${first + label} has label ${labels[label]}; there are ${model.classes} classes.`);
  }
}

/** The examples of a whole batch. */
export function checkExamples(plan: Plan, examples: Uint32Array): void {
  const { batch } = plan;
  if (examples.length !== batch) {
    throw new Error(`A batch of ${examples.length} examples came; the plan was compiled for ${batch}.`);
  }
  checkInside(plan, examples);
}

/** The examples of a step, which may be some of a batch's parts only. Returns how many parts. */
export function checkParts(plan: Plan, examples: Uint32Array): number {
  const { microBatch, microBatches } = plan;
  const parts = examples.length / microBatch;
  if (!Number.isInteger(parts) || parts < 1 || parts > microBatches) {
    const accepted =
      microBatches === 1 ? `for ${microBatch}` : `for 1 to ${microBatches} parts of ${microBatch} examples each`;
    throw new Error(`A batch of ${examples.length} examples came; the plan was compiled ${accepted}.`);
  }
  checkInside(plan, examples);
  return parts;
}

function checkInside({ datasetExamples }: Plan, examples: Uint32Array): void {
  const outside = examples.find((example) => example >= datasetExamples);
  if (outside !== undefined) throw new Error(`Example ${outside} is outside the data set of ${datasetExamples}.`);
}

/** A vector of the layout's elements; `name` in the plural. */
export function checkVector({ layout }: Plan, name: string, vector: Float32Array): void {
  if (vector.length !== layout.elements) {
    throw new Error(`The ${name} given have ${vector.length} elements; the layout has ${layout.elements}.`);
  }
}

export function checkFragment({ layout }: Plan, { fromElement, toElement }: Fragment): void {
  const isEdge = (element: number): boolean => element % BLOCK_ELEMENTS === 0 || element === layout.elements;
  const isInside = 0 <= fromElement && fromElement <= toElement && toElement <= layout.elements;
  if (isInside && isEdge(fromElement) && isEdge(toElement)) return;
  throw new Error(
    `Elements ${fromElement} to ${toElement} are no fragment of a layout of ${layout.elements}: ` +
      `ends are multiples of ${BLOCK_ELEMENTS}, or the layout's end.`,
  );
}

/** What a fragment's base becomes. */
export function checkNews(plan: Plan, news: CenterNews): void {
  checkFragment(plan, news.fragment);
  const elements = news.fragment.toElement - news.fragment.fromElement;
  if (news.kind === "values") {
    if (news.values.length === elements) return;
    throw new Error(`A fragment of ${elements} elements came with ${news.values.length} values.`);
  }
  const bytes = encodedBytes(news.codec, elements);
  const other = news.deltas.find(({ length }) => length !== bytes);
  if (!other) return;
  throw new Error(`A change of ${elements} elements in ${news.codec} has ${other.length} bytes; it needs ${bytes}.`);
}
