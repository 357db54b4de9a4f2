/**
 * The question before a run: are its moving rate, period and step size stable? What holds for every loss is refused at once;
 * what depends on the loss's curvature is measured at the first parameters, on images of the run, and said in one sentence for
 * each number that alone would help. `service.ts` asks.
 */

import type { Backend } from "../../shared/engine/backend.ts";
import { compilePlan } from "../../shared/engine/plan.ts";
import { createWasmBackend } from "../../shared/engine/wasm/wasm_backend.ts";
import { initialParameters, type ParameterLayout } from "../../shared/model/layout.ts";
import { Random } from "../../shared/random.ts";
import { instabilitiesOf, type Instability } from "../../shared/solver/stability.ts";
import type { Dataset } from "../data/dataset.ts";
import { readWasmSources } from "../evaluation/wasm_sources.ts";
import { ConfigError, modelOf, type RunConfig } from "../run_config.ts";
import { flagOf } from "../run_fields.ts";
import { greatestCurvature } from "./curvature.ts";

/** The curvature of a batch is about that of the data set from a few dozen images on, and grows for fewer. */
const IMAGES = 64;
const ITERATIONS = 12;
/** LeNet's twelve iterations take 0.8 s of one core (2-core Xeon 2.5 GHz, 2026-11-21). Larger models get fewer. */
const BUDGET_MS = 1500;
/** Beyond this one gradient alone may take seconds: nothing is measured. */
const MOST_ELEMENTS = 5_000_000;

/** Refuses what no loss makes stable. */
export function refuseUnstable(config: RunConfig, replicas: number): void {
  const [worst] = instabilitiesOf(config, replicas, 0);
  if (!worst) return;
  throw new ConfigError(
    `${flagOf(worst.knob)} is ${worst.value}, which is unstable with ${replicas} replicas and the solver ${config.solver} for any model: ` +
      `the bound is ${worst.bound}; lower it.`,
  );
}

export interface StabilityCheck {
  readonly config: RunConfig;
  readonly layout: ParameterLayout;
  readonly dataset: Dataset;
  readonly replicas: number;
  readonly nowMs: () => number;
}

/** One sentence for each number that breaks its bound at the measured curvature; none where all keep theirs. */
export async function stabilityWarnings(check: StabilityCheck): Promise<readonly string[]> {
  const curvature = await measuredCurvature(check);
  if (curvature === undefined) return [];
  return instabilitiesOf(check.config, check.replicas, curvature).map((found) => warning(found, curvature));
}

function warning({ knob, value, bound }: Instability, curvature: number): string {
  return (
    `${flagOf(knob)} ${value} breaks its bound of stability, ${bound}, at the greatest curvature of the loss, ` +
    `${curvature.toPrecision(3)} at the first parameters: training may diverge; lower it, or change what the bound depends on.`
  );
}

/** Undefined for models that take too long. */
async function measuredCurvature({ config, layout, dataset, nowMs }: StabilityCheck): Promise<number | undefined> {
  if (layout.elements > MOST_ELEMENTS) return undefined;
  const backend = await createWasmBackend(await readWasmSources());
  try {
    return await curvatureOn(backend, { config, layout, dataset, nowMs });
  } finally {
    backend.close();
  }
}

async function curvatureOn(
  backend: Backend,
  { config, layout, dataset, nowMs }: Omit<StabilityCheck, "replicas">,
): Promise<number> {
  const images = Math.min(IMAGES, dataset.train.count);
  const { height, width, channels } = dataset.shape;
  const plan = compilePlan(modelOf(config), {
    batch: images,
    datasetExamples: images,
    normalisation: dataset.normalisation,
    seed: config.seed,
  });
  const program = await backend.compile(plan);
  const random = new Random(config.seed);
  const chosen = Uint32Array.from({ length: images }, () => random.below(dataset.train.count));
  const imageBytes = height * width * channels;
  chosen.forEach((example, index) => {
    const { train } = dataset;
    const image = train.images.subarray(example * imageBytes, (example + 1) * imageBytes);
    program.loadExamples(index, image, train.labels.subarray(example, example + 1));
  });
  const all = Uint32Array.from({ length: images }, (_, index) => index);
  const begunMs = nowMs();
  const curvature = await greatestCurvature(
    {
      gradientAt: async (parameters) => {
        program.writeParameters(parameters);
        program.gradientStep(all);
        return (await program.takeGradient()).values;
      },
    },
    {
      parameters: initialParameters(layout, config.seed),
      trainableElements: layout.trainableElements,
      iterations: ITERATIONS,
      random,
      mayGoOn: () => nowMs() - begunMs < BUDGET_MS,
    },
  );
  program.close();
  return curvature;
}
