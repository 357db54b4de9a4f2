/**
 * Any of Drove's models in TensorFlow.js, built by walking its description: the oracle of tests (an independent engine's word
 * on gather, layers, loss, gradients and update at once), and one of the peers that the training benchmark measures against.
 * It works in Node and in a page, on whichever of TensorFlow.js's backends is set.
 */

import * as tf from "@tensorflow/tfjs";
import type { ParameterLayout } from "../../shared/model/layout.ts";
import { inferShapes, type ModelDescription, type ShapedLayer } from "../../shared/model/model.ts";
import { nativeConvolution, type Convolution } from "./tfjs_convolution.ts";
import { applyLayer, nativeMaxPool, type MaxPool } from "./tfjs_layers.ts";

export interface TfjsBatch {
  /** [batch, height, width, channels], normalised; tokens as they are. */
  readonly inputs: tf.Tensor4D;
  /** [batch, classes], one-hot. */
  readonly targets: tf.Tensor2D;
}

export interface TfjsModelOptions {
  readonly convolution?: Convolution;
  readonly maxPool?: MaxPool;
  /** Of the plan. */
  readonly seed?: number;
}

export class TfjsModel {
  /** The trained tensors by their names in the layout. */
  readonly variables: ReadonlyMap<string, tf.Variable>;
  readonly #model: ModelDescription;
  readonly #layers: readonly ShapedLayer[];
  readonly #convolution: Convolution;
  readonly #maxPool: MaxPool;
  readonly #seed: number;

  constructor(
    model: ModelDescription,
    layout: ParameterLayout,
    parameters: Float32Array,
    { convolution = nativeConvolution, maxPool = nativeMaxPool, seed = 0 }: TfjsModelOptions = {},
  ) {
    this.#model = model;
    this.#layers = inferShapes(model);
    this.#convolution = convolution;
    this.#maxPool = maxPool;
    this.#seed = seed;
    const trained = layout.tensors.filter(({ offset }) => offset < layout.trainableElements);
    this.variables = new Map(
      trained.map(({ name, shape, offset, elements }) => {
        const values = tf.tensor(parameters.slice(offset, offset + elements), [...shape]);
        return [name, tf.variable(values)];
      }),
    );
  }

  /** The loss of a batch in training; `draw` is how many batches came before it. */
  meanLoss({ inputs, targets }: TfjsBatch, draw: number): tf.Scalar {
    const outputs = this.#outputs(inputs, draw);
    return this.#model.loss === "mean-squared-error"
      ? tf.mean<tf.Scalar>(tf.square(tf.sub(outputs, targets)))
      : tf.mean<tf.Scalar>(tf.neg(tf.sum(tf.mul(targets, tf.logSoftmax(outputs)), 1)));
  }

  /** Gradients by the names of the layout's tensors, and the loss. */
  gradients(batch: TfjsBatch, draw: number): { readonly loss: tf.Scalar; readonly gradients: Map<string, tf.Tensor> } {
    const { value, grads } = tf.variableGrads(() => this.meanLoss(batch, draw), [...this.variables.values()]);
    const gradients = new Map([...this.variables].map(([name, variable]) => [name, grads[variable.name]!]));
    return { loss: value, gradients };
  }

  dispose(): void {
    for (const variable of this.variables.values()) variable.dispose();
  }

  /** [batch, classes]. */
  #outputs(inputs: tf.Tensor4D, draw: number): tf.Tensor2D {
    const context = {
      parameters: this.variables,
      convolution: this.#convolution,
      maxPool: this.#maxPool,
      seed: this.#seed,
      draw,
    };
    const made: tf.Tensor4D[] = [];
    let dropouts = 0;
    for (const shaped of this.#layers) {
      const sources = shaped.sources.map(({ index }) => (index < 0 ? inputs : made[index]!));
      if (shaped.layer.kind === "dropout") dropouts++;
      made.push(applyLayer(shaped, sources, context, dropouts));
    }
    return made.at(-1)!.reshape([-1, this.#model.classes]);
  }
}
