/** The centers that are measured, by the length of their parameters: a small perceptron, LeNet, and a large perceptron. */

import { MODELS } from "../../../shared/model/catalogue.ts";
import { layoutOf, type ParameterLayout } from "../../../shared/model/layout.ts";
import type { ModelDescription } from "../../../shared/model/model.ts";

export interface Size {
  /** In MB, as the flag `--sizes` has it. */
  readonly name: string;
  readonly model: ModelDescription;
  readonly layout: ParameterLayout;
}

function perceptron(units: number): ModelDescription {
  return {
    name: `perceptron-${units}`,
    input: { height: 28, width: 28, channels: 1 },
    classes: 10,
    layers: [
      { kind: "dense", name: "hidden", units },
      { kind: "dense", name: "output", units: 10 },
    ],
  };
}

function sizeOf(name: string, model: ModelDescription): Size {
  return { name, model, layout: layoutOf(model) };
}

export const SIZES: readonly Size[] = [
  sizeOf("0.2", perceptron(63)),
  sizeOf("1.7", MODELS.lenet),
  sizeOf("25", perceptron(7862)),
];
