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
import { ConfigError, modelOf, solverSettingsOf, type RunConfig } from "../run_config.ts";
import { flagOf } from "../run_fields.ts";
import { greatestCurvature } from "./curvature.ts";

/** The curvature of a batch is about that of the data set from a few dozen images on, and grows for fewer. */
const IMAGES = 64;
const ITERATIONS = 12;
/** LeNet's twelve iterations take 0.9 s of one core (2-core Xeon 2.5 GHz, 2026-11-21). */
const BUDGET_MS = 1500;
/** Of a model whose gradients take longer than this nothing is measured: too few would fit. */
const SLOW_GRADIENT_MS = 300;
/** Beyond this one gradient alone may take seconds: none is tried. */
const MOST_ELEMENTS = 5_000_000;
/**
 * A network whose step is too long for its curvature first moves to flatter places, and trains on: with rectifiers up to about
 * six times the bound, 12 / h for gradient descent (Lewkowycz et al. 2020). LeNet with step size 0.03 and no momentum begins at
 * 2.4 times its bound, h = 157, and learns with every solver.
 */
const SURVIVED = 6;

/** Refuses what no loss makes stable. */
export function refuseUnstable(config: RunConfig, replicas: number): void {
  const [worst] = instabilitiesOf(solverSettingsOf(config), replicas, 0);
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
  const settings = solverSettingsOf(check.config);
  return instabilitiesOf(settings, check.replicas, curvature / SURVIVED).map((found) => warning(found, curvature));
}

function warning({ knob, value, bound }: Instability, curvature: number): string {
  return (
    `${flagOf(knob)} ${value} breaks its bound of stability, ${bound} (at 1/${SURVIVED} of the greatest curvature of the loss, which is ` +
    `${curvature.toPrecision(3)} at the first parameters): training may diverge; lower it, or change what the bound depends on.`
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
): Promise<number | undefined> {
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
  const parameters = initialParameters(layout, config.seed);
  const gradientAt = async (at: Float32Array): Promise<Float32Array> => {
    program.writeParameters(at);
    program.gradientStep(all);
    return (await program.takeGradient()).values;
  };
  await gradientAt(parameters);
  const begunMs = nowMs();
  await gradientAt(parameters);
  if (nowMs() - begunMs > SLOW_GRADIENT_MS) return undefined;
  const curvature = await greatestCurvature(
    { gradientAt },
    {
      parameters,
      trainableElements: layout.trainableElements,
      iterations: ITERATIONS,
      random,
      mayGoOn: () => nowMs() - begunMs < BUDGET_MS,
    },
  );
  program.close();
  return curvature;
}
