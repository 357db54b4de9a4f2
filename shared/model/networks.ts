/** The deep networks of the catalogue, put together block by block. */

import type { Layer } from "./layer.ts";
import type { ImageShape, ModelDescription } from "./model.ts";

const IMAGENET_CLASSES = 1000;

interface ConvolutionShape {
  readonly kernel: number;
  readonly channels: number;
  readonly stride?: number;
}

/** A convolution that keeps the image's size (at stride 1) and the batch norm after it, which has the bias. */
function normalisedConvolution(
  name: string,
  { kernel, channels, stride = 1 }: ConvolutionShape,
  from?: string,
): Layer[] {
  const padding = (kernel - 1) / 2;
  const source = from === undefined ? {} : { from };
  return [
    { kind: "conv2d", name: `${name}.conv`, kernel, channels, stride, padding, bias: false, ...source },
    { kind: "batch-norm", name: `${name}.norm` },
  ];
}

/** A residual block; where it changes the shape, a projection by a 1x1 convolution takes the place of the identity. */
function residualBlock(
  name: string,
  from: string,
  convolutions: readonly ConvolutionShape[],
  projection: ConvolutionShape | undefined,
): Layer[] {
  const layers: Layer[] = [];
  for (const [index, shape] of convolutions.entries()) {
    layers.push(...normalisedConvolution(`${name}.${index + 1}`, shape, index === 0 ? from : undefined));
    if (index < convolutions.length - 1) layers.push({ kind: "relu", name: `${name}.${index + 1}.relu` });
  }
  const main = layers.at(-1)!.name;
  if (projection) layers.push(...normalisedConvolution(`${name}.projection`, projection, from));
  const shortcut = projection ? layers.at(-1)!.name : from;
  layers.push({ kind: "add", name: `${name}.sum`, from: [main, shortcut] });
  layers.push({ kind: "relu", name });
  return layers;
}

/** Three stages of three blocks of two 3x3 convolutions, 16, 32 and 64 channels. */
export function resNet20(input: ImageShape): ModelDescription {
  const layers: Layer[] = [
    ...normalisedConvolution("stem", { kernel: 3, channels: 16 }),
    { kind: "relu", name: "stem" },
  ];
  for (const [stage, channels] of [16, 32, 64].entries()) {
    for (let block = 0; block < 3; block++) {
      const stride = stage > 0 && block === 0 ? 2 : 1;
      const convolutions = [
        { kernel: 3, channels, stride },
        { kernel: 3, channels },
      ];
      const projection = stride === 2 ? { kernel: 1, channels, stride } : undefined;
      layers.push(
        ...residualBlock(`stage${stage + 1}.block${block + 1}`, layers.at(-1)!.name, convolutions, projection),
      );
    }
  }
  layers.push({ kind: "global-average-pool", name: "pool" }, { kind: "dense", name: "fc", units: 10 });
  return { name: "resnet-20", input, classes: 10, initialisation: "he", layers };
}

/** Four stages of 3, 4, 6 and 3 bottleneck blocks. */
export function resNet50(): ModelDescription {
  const layers: Layer[] = [
    ...normalisedConvolution("stem", { kernel: 7, channels: 64, stride: 2 }),
    { kind: "relu", name: "stem" },
    { kind: "max-pool", name: "stem.pool", size: 3, stride: 2, padding: 1 },
  ];
  for (const [stage, blocks] of [3, 4, 6, 3].entries()) {
    const width = 64 * 2 ** stage;
    for (let block = 0; block < blocks; block++) {
      const stride = stage > 0 && block === 0 ? 2 : 1;
      const convolutions = [
        { kernel: 1, channels: width },
        { kernel: 3, channels: width, stride },
        { kernel: 1, channels: 4 * width },
      ];
      const projection = block === 0 ? { kernel: 1, channels: 4 * width, stride } : undefined;
      layers.push(
        ...residualBlock(`stage${stage + 1}.block${block + 1}`, layers.at(-1)!.name, convolutions, projection),
      );
    }
  }
  layers.push({ kind: "global-average-pool", name: "pool" }, { kind: "dense", name: "fc", units: IMAGENET_CLASSES });
  const input = { height: 224, width: 224, channels: 3 };
  return { name: "resnet-50", input, classes: IMAGENET_CLASSES, initialisation: "he", layers };
}

/** Three dense blocks of 12 layers that each add 12 channels, with transitions between them; 16 channels at first. */
export function denseNet(input: ImageShape): ModelDescription {
  const growth = 12;
  const layers: Layer[] = [{ kind: "conv2d", name: "stem", kernel: 3, padding: 1, channels: 16, bias: false }];
  let channels = 16;
  for (let block = 1; block <= 3; block++) {
    for (let index = 1; index <= 12; index++) {
      const name = `block${block}.layer${index}`;
      const from = layers.at(-1)!.name;
      layers.push(
        { kind: "batch-norm", name: `${name}.norm`, from },
        { kind: "relu", name: `${name}.relu` },
        { kind: "conv2d", name: `${name}.conv`, kernel: 3, padding: 1, channels: growth, bias: false },
        { kind: "concat", name, from: [from, `${name}.conv`] },
      );
      channels += growth;
    }
    const name = `transition${block}`;
    layers.push({ kind: "batch-norm", name: `${name}.norm` }, { kind: "relu", name: `${name}.relu` });
    if (block === 3) break;
    layers.push(
      { kind: "conv2d", name: `${name}.conv`, kernel: 1, channels, bias: false },
      { kind: "average-pool", name: `${name}.pool`, size: 2, stride: 2 },
    );
  }
  layers.push({ kind: "global-average-pool", name: "pool" }, { kind: "dense", name: "fc", units: 10 });
  return { name: "densenet-40-12", input, classes: 10, initialisation: "he", layers };
}

function overlappingPool(name: string): Layer {
  return { kind: "max-pool", name, size: 3, stride: 2, ceil: true };
}

function responseNorm(name: string): Layer {
  return { kind: "local-response-norm", name, size: 5, alpha: 1e-4, beta: 0.75 };
}

/** Five convolutions and three dense layers; pooling comes before the local response norm. */
export function caffenet(): ModelDescription {
  const layers: Layer[] = [
    { kind: "conv2d", name: "conv1", kernel: 11, stride: 4, channels: 96 },
    { kind: "relu", name: "relu1" },
    overlappingPool("pool1"),
    responseNorm("norm1"),
    { kind: "conv2d", name: "conv2", kernel: 5, padding: 2, groups: 2, channels: 256 },
    { kind: "relu", name: "relu2" },
    overlappingPool("pool2"),
    responseNorm("norm2"),
    { kind: "conv2d", name: "conv3", kernel: 3, padding: 1, channels: 384 },
    { kind: "relu", name: "relu3" },
    { kind: "conv2d", name: "conv4", kernel: 3, padding: 1, groups: 2, channels: 384 },
    { kind: "relu", name: "relu4" },
    { kind: "conv2d", name: "conv5", kernel: 3, padding: 1, groups: 2, channels: 256 },
    { kind: "relu", name: "relu5" },
    overlappingPool("pool5"),
    { kind: "dense", name: "fc6", units: 4096 },
    { kind: "relu", name: "relu6" },
    { kind: "dropout", name: "drop6", rate: 0.5 },
    { kind: "dense", name: "fc7", units: 4096 },
    { kind: "relu", name: "relu7" },
    { kind: "dropout", name: "drop7", rate: 0.5 },
    { kind: "dense", name: "fc8", units: IMAGENET_CLASSES },
  ];
  const input = { height: 227, width: 227, channels: 3 };
  return { name: "caffenet", input, classes: IMAGENET_CLASSES, layers };
}
