/** What `drove new` begins a run file with: settings that go together for a purpose, each named by its template. */

import type { ImageShape, Layer, ModelDescription } from "../shared/model/model.ts";
import type { FieldName } from "./run_fields.ts";

interface Template {
  /** For help: what it is for. */
  readonly purpose: string;
  readonly fields: Readonly<Partial<Record<FieldName, unknown>>>;
}

const CORE = { model: "lenet", data: "mnist", solver: "ea-wild" } as const;

export const TEMPLATES = {
  plain: { purpose: "a run on this machine", fields: { ...CORE, targetAccuracy: 0.98 } },
  classroom: {
    purpose: "browsers of one network, by https; slower devices exchange after fewer steps",
    fields: {
      ...CORE,
      periods: "speed",
      targetAccuracy: 0.98,
      maxMinutes: 45,
      host: "0.0.0.0",
      port: 8443,
      tls: "self-signed",
    },
  },
  public: {
    purpose: "volunteers from anywhere, behind a reverse proxy or tunnel that speaks https for it",
    fields: {
      model: "cifar-quick",
      data: "cifar10",
      solver: "ea-wild",
      augmentation: { cropPadding: 4, flip: true },
      periods: "speed",
      targetAccuracy: 0.75,
      host: "127.0.0.1",
      port: 8080,
    },
  },
  cifar: {
    purpose: "ResNet-20 on CIFAR-10",
    fields: {
      model: "resnet-20",
      data: "cifar10",
      solver: "ea-wild",
      learningRate: 0.1,
      weightDecay: 0.0001,
      augmentation: { cropPadding: 4, flip: true },
      targetAccuracy: 0.6,
    },
  },
  "own-model": {
    purpose: "a model file of your own beside the run file, made to fit --data",
    fields: { data: "mnist", solver: "ea-wild", learningRate: 0.02, targetAccuracy: 0.97 },
  },
} as const satisfies Readonly<Record<string, Template>>;

export type TemplateName = keyof typeof TEMPLATES;

export const TEMPLATE_NAMES = Object.keys(TEMPLATES) as readonly TemplateName[];

/** Too small to be cut in half twice, an image is read by a dense layer at once. */
const LEAST_SIDE = 8;

/** A small convolutional net to begin from, which takes images of `input` and tells `classes` of them apart. */
export function modelToBeginFrom(input: ImageShape, classes: number): ModelDescription {
  const isLarge = Math.min(input.height, input.width) >= LEAST_SIDE;
  return {
    name: "my-model",
    input,
    classes,
    initialisation: "he",
    layers: [
      ...(isLarge ? [...stage(1, 16), ...stage(2, 32)] : []),
      { kind: "dense", name: "hidden", units: 64 },
      { kind: "relu", name: "relu3" },
      { kind: "dense", name: "out", units: classes },
    ],
  };
}

function stage(number: number, channels: number): Layer[] {
  return [
    { kind: "conv2d", name: `conv${number}`, kernel: 3, channels, padding: 1, bias: false },
    { kind: "batch-norm", name: `norm${number}` },
    { kind: "relu", name: `relu${number}` },
    { kind: "max-pool", name: `pool${number}`, size: 2, stride: 2 },
  ];
}
