/** ConvNetJS (2014), plain JavaScript image by image: still faster in software than several newer engines. Max-pool nets only. */

import convnetjs, { type ConvNetLayer, type ConvNetLayerDefinition, type ConvNetVolume } from "convnetjs";
import { layoutOf } from "../../../../shared/model/layout.ts";
import { elementsOf, inferShapes, type ModelDescription, type ShapedLayer } from "../../../../shared/model/model.ts";
import { normalisedImages, type Contestant, type Prepare } from "../job.ts";

export const prepareConvNet: Prepare = (_backend, job, data) => {
  const { model, batch } = job;
  const network = new convnetjs.Net();
  network.makeLayers(definitionsOf(model));
  fill(network.layers, model, data.parameters);
  const trainer = new convnetjs.Trainer(network, {
    method: "sgd",
    learning_rate: job.learningRate,
    momentum: job.momentum,
    batch_size: batch,
    l2_decay: 0,
    l1_decay: 0,
  });
  const { height, width, channels } = model.input;
  const images = normalisedImages(job, data.images, "nhwc");
  const imageElements = elementsOf(model.input);
  let meanLoss = 0;
  const contestant: Contestant = {
    device: "ConvNetJS 0.3.0, JavaScript",
    compileMs: null,
    step: (first) => {
      meanLoss = 0;
      for (let example = first; example < first + batch; example++) {
        const volume = new convnetjs.Vol(width, height, channels, 0);
        volume.w.set(images.subarray(example * imageElements, (example + 1) * imageElements));
        meanLoss += trainer.train(volume, data.labels[example]!).cost_loss / batch;
      }
    },
    loss: () => Promise.resolve(meanLoss),
  };
  return Promise.resolve(contestant);
};

function definitionsOf(model: ModelDescription): ConvNetLayerDefinition[] {
  const { height, width, channels } = model.input;
  const layers = inferShapes(model);
  const inner = layers.map((shaped, index) => definitionOf(shaped, index === layers.length - 1));
  return [{ type: "input", out_sx: width, out_sy: height, out_depth: channels }, ...inner];
}

function definitionOf({ layer, input, output }: ShapedLayer, isLast: boolean): ConvNetLayerDefinition {
  if (layer.kind === "conv2d") {
    const { kernel, channels, stride = 1, padding = 0, groups = 1, dilation = 1, bias = true } = layer;
    if (groups === 1 && dilation === 1 && bias)
      return { type: "conv", sx: kernel, filters: channels, stride, pad: padding };
  }
  if (layer.kind === "max-pool") {
    const isInside = !layer.padding && (output.height - 1) * layer.stride + layer.size <= input.height;
    if (isInside) return { type: "pool", sx: layer.size, stride: layer.stride };
  }
  if (layer.kind === "relu") return { type: "relu" };
  if (layer.kind === "dense" && layer.bias !== false) {
    // Its softmax brings a dense layer along.
    return isLast ? { type: "softmax", num_classes: layer.units } : { type: "fc", num_neurons: layer.units };
  }
  throw new Error(`ConvNetJS has no ${layer.kind} like that of layer "${layer.name}".`);
}

/** Filters [kernel, kernel, in, out] and matrices [in, out]: each of its filters is one output channel. */
function fill(layers: readonly ConvNetLayer[], model: ModelDescription, parameters: Float32Array): void {
  const weighted = layers.filter((layer) => layer.filters !== undefined && layer.biases !== undefined);
  const { tensors } = layoutOf(model);
  for (const [index, layer] of weighted.entries()) {
    const [weights, bias] = [tensors[2 * index]!, tensors[2 * index + 1]!];
    const units = bias.elements;
    for (const [unit, filter] of layer.filters!.entries()) {
      for (let at = 0; at < filter.w.length; at++) filter.w[at] = parameters[weights.offset + at * units + unit]!;
    }
    setAll(layer.biases!, parameters.subarray(bias.offset, bias.offset + units));
  }
}

function setAll(volume: ConvNetVolume, values: Float32Array): void {
  for (const [index, value] of values.entries()) volume.w[index] = value;
}
