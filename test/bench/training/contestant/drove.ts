/** Drove itself, through the module that others would import: `build/engine/drove_engine.js`. */

import type * as DroveEngine from "../../../../client/engine_module/entry.ts";
import { elementsOf } from "../../../../shared/model/model.ts";
import type { Contestant, Prepare } from "../job.ts";

/** By a path that TypeScript does not follow: it is built. */
const MODULE = "../../../../build/engine/drove_engine.js";

export const prepareDrove: Prepare = async (backend, job, { images, labels, parameters }) => {
  const engine = (await import(/* @vite-ignore */ new URL(MODULE, import.meta.url).href)) as typeof DroveEngine;
  const device = backend === "wasm" ? "wasm" : await engine.requestDevice(navigator.gpu);
  const compileStart = performance.now();
  const trainer = await engine.compile(device, job.model, {
    batch: job.batch,
    normalisation: { mean: job.mean, deviation: job.deviation },
    settings: { learningRate: job.learningRate, momentum: job.momentum, weightDecay: 0 },
    parameters,
  });
  // What was written to the device belongs to the preparation.
  await trainer.idle();
  const compileMs = performance.now() - compileStart;
  const imageBytes = elementsOf(job.model.input);
  const contestant: Contestant = {
    device: device === "wasm" ? "WASM" : device.adapterInfo.description || device.adapterInfo.vendor,
    compileMs,
    step: (first) => {
      const last = first + job.batch;
      trainer.step({
        images: images.subarray(first * imageBytes, last * imageBytes),
        labels: labels.subarray(first, last),
      });
    },
    loss: async () => {
      const loss = await trainer.loss();
      await trainer.idle();
      return loss;
    },
  };
  if (device === "wasm") return contestant;
  return { ...contestant, tune: async (budgetMs) => (await trainer.tune(budgetMs))?.speedup ?? 1 };
};
