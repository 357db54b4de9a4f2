/** The four workloads of the training benchmark: which model on which data, and how much of it. */

import { MODELS } from "../../../shared/model/catalogue.ts";
import type { ModelDescription } from "../../../shared/model/model.ts";

export type DatasetName = "mnist" | "cifar10";

export interface Workload {
  readonly name: string;
  readonly model: ModelDescription;
  readonly dataset: DatasetName;
  readonly mean: readonly number[];
  readonly deviation: readonly number[];
  readonly learningRate: number;
  /** Examples of a step, for all contestants: normally, and with `--quick`, where the slow peers would take minutes. */
  readonly batch: number;
  readonly quickBatch: number;
  /** Of the time that all workloads may take together. The peers' first steps are most of it. */
  readonly timeShare: number;
}

const MNIST = { dataset: "mnist", mean: [0.1307], deviation: [0.3081] } as const;
const CIFAR10 = { dataset: "cifar10", mean: [0.4914, 0.4822, 0.4465], deviation: [0.247, 0.2435, 0.2616] } as const;

export const WORKLOADS: readonly Workload[] = [
  { name: "mlp", model: MODELS.mlp, ...MNIST, learningRate: 0.05, batch: 128, quickBatch: 128, timeShare: 0.14 },
  { name: "lenet", model: MODELS.lenet, ...MNIST, learningRate: 0.01, batch: 64, quickBatch: 16, timeShare: 0.2 },
  {
    name: "cifar-quick",
    model: MODELS["cifar-quick"],
    ...CIFAR10,
    learningRate: 0.001,
    batch: 64,
    quickBatch: 8,
    timeShare: 0.2,
  },
  {
    name: "resnet-20",
    model: MODELS["resnet-20"],
    ...CIFAR10,
    // With so few images one activation at a relu's kink, where rounding decides, moves gradients by half a percent: small
    // steps keep that out of the losses.
    learningRate: 0.001,
    batch: 32,
    quickBatch: 4,
    timeShare: 0.46,
  },
];

export const MOMENTUM = 0.9;
/** Of the initial parameters. */
export const SEED = 1;
/** Different batches before they begin again. */
export const BATCHES = 8;
