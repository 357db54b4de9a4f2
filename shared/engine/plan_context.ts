/** What the builders of a plan share: the model's parameters by name, and the tensors made so far. Used by `plan.ts` alone. */

import type { ParameterLayout, ParameterTensor } from "../model/layout.ts";
import { elementsOf, type ImageShape, type ModelDescription, type ShapedLayer } from "../model/model.ts";
import type { Scaled, TensorId, Weighted, WindowGeometry } from "./operation.ts";

export class PlanContext {
  readonly model: ModelDescription;
  /** Examples that pass through at once. */
  readonly batch: number;
  readonly tensors: { readonly name: string; readonly elements: number }[] = [];
  readonly #parameters: ReadonlyMap<string, ParameterTensor>;

  constructor(model: ModelDescription, layout: ParameterLayout, batch: number) {
    this.model = model;
    this.batch = batch;
    this.#parameters = new Map(layout.tensors.map((tensor) => [tensor.name, tensor]));
  }

  /** A new tensor of `elements` words. */
  tensor(name: string, elements: number): TensorId {
    this.tensors.push({ name, elements });
    return this.tensors.length - 1;
  }

  /** A new tensor with an image for each example. */
  images(name: string, shape: ImageShape): TensorId {
    return this.tensor(name, this.batch * elementsOf(shape));
  }

  parameter(name: string): ParameterTensor {
    const tensor = this.#parameters.get(name);
    if (!tensor) throw new Error(`invariant violation: the layout has no "${name}"`);
    return tensor;
  }

  weighted({ name }: { readonly name: string }): Weighted {
    return { weights: this.parameter(`${name}.weights`), bias: this.#parameters.get(`${name}.bias`) };
  }

  scaled({ name }: { readonly name: string }): Scaled {
    return { scale: this.parameter(`${name}.scale`), shift: this.parameter(`${name}.shift`) };
  }

  rows({ input }: ShapedLayer): { readonly rows: number; readonly channels: number } {
    return { rows: this.batch * input.height * input.width, channels: input.channels };
  }

  window({ layer, input, output }: ShapedLayer): WindowGeometry {
    const { batch } = this;
    switch (layer.kind) {
      case "conv2d": {
        const { kernel, stride = 1, padding = 0, dilation = 1, groups = 1 } = layer;
        return { batch, input, output, size: kernel, stride, padding, dilation, groups };
      }
      case "max-pool":
      case "average-pool": {
        const { size, stride, padding = 0 } = layer;
        return { batch, input, output, size, stride, padding, dilation: 1, groups: 1 };
      }
      default:
        throw new Error(`invariant violation: layer "${layer.name}" has no window`);
    }
  }
}
