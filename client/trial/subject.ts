/** What a run's model is asked about, and so what a person may show it: a drawn digit, a grey or a colour picture, or nothing. */

import { layoutOf } from "../../shared/model/layout.ts";
import { inferShapes, readsTokens, type ImageShape } from "../../shared/model/model.ts";
import type { RunSettings } from "../../shared/run_settings.ts";

/** A forward pass holds each parameter six times over, in four bytes: 0.8 GB here. */
const MOST_ELEMENTS = 32e6;

export type Subject =
  | {
      /** Digits are drawn, and placed as MNIST's are; grey and colour pictures are taken as they are. */
      readonly kind: "digit" | "grey" | "colour";
      readonly input: ImageShape;
      /** The images are mostly light: strokes are dark on them. */
      readonly isLight: boolean;
    }
  | { readonly kind: "none"; readonly sentence: string };

export function subjectOf({ model, data }: RunSettings): Subject {
  if (readsTokens(inferShapes(model))) {
    return none("This model reads tokens, not pictures: there is nothing to draw for it.");
  }
  const { input } = model;
  if (input.channels !== 1 && input.channels !== 3) {
    return none(
      `This model's images have ${input.channels} channels. A picture has one (grey) or three (red, green, blue), so none can be tried here.`,
    );
  }
  const { elements } = layoutOf(model);
  if (elements > MOST_ELEMENTS) {
    return none(
      `This model has ${Math.round(elements / 1e6)} million parameters, more than a page should hold. Its operator can export it, to be tried elsewhere.`,
    );
  }
  const isLight = (data.normalisation.mean[0] ?? 0) > 0.5;
  if (input.channels === 3) return { kind: "colour", input, isLight };
  return { kind: areDigits(data, model.classes) ? "digit" : "grey", input, isLight };
}

function none(sentence: string): Subject {
  return { kind: "none", sentence };
}

/** By its number where the run does not say what it is called. */
export function className({ data }: RunSettings, index: number): string {
  return data.classNames?.[index] ?? String(index);
}

function areDigits({ name, classNames }: RunSettings["data"], classes: number): boolean {
  if (classes !== 10) return false;
  if (classNames === undefined) return name === "mnist";
  return classNames.length === 10 && classNames.every((word, index) => word === String(index));
}
