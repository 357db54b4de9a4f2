/** What the tasks of this paper keep in a worker thread between them: MNIST, compiled models and their centers. */

import type { ModelDescription } from "../../../shared/model/model.ts";
import { MODELS } from "../../../shared/model/catalogue.ts";
import type { Dataset } from "../../data/dataset.ts";
import { loadMnist } from "../../data/mnist.ts";
import { SMALL_MLP } from "../small_mlp.ts";
import { ReusableCenter } from "./center.ts";
import { NetworkObjective, type NetworkOptions } from "./network.ts";

const NETWORKS = {
  logistic: MODELS.logistic,
  "small-mlp": SMALL_MLP,
  lenet: MODELS.lenet,
} as const satisfies Record<string, ModelDescription>;

export interface WorkbenchOptions extends Omit<NetworkOptions, "model"> {
  readonly model: keyof typeof NETWORKS;
}

interface Workbench {
  readonly objective: NetworkObjective;
  readonly center: ReusableCenter;
}

let dataset: Promise<Dataset> | undefined;
const workbenches = new Map<string, Promise<Workbench>>();

export function workbenchFor(options: WorkbenchOptions): Promise<Workbench> {
  const key = JSON.stringify(options);
  const workbench = workbenches.get(key) ?? setUp(options);
  workbenches.set(key, workbench);
  return workbench;
}

async function setUp(options: WorkbenchOptions): Promise<Workbench> {
  dataset ??= loadMnist();
  const objective = await NetworkObjective.open(await dataset, { ...options, model: NETWORKS[options.model] });
  return { objective, center: await ReusableCenter.create(objective.shape) };
}
