/** The settings of a run of 15 parameters in 128 elements: small enough to follow, long enough for SIMD. */

import { layoutOf } from "../../shared/model/layout.ts";
import type { ModelDescription } from "../../shared/model/model.ts";
import type { RunSettings } from "../../shared/run_settings.ts";

export const TINY_MODEL: ModelDescription = {
  name: "tiny",
  input: { height: 2, width: 2, channels: 1 },
  classes: 3,
  layers: [{ kind: "dense", name: "fc", units: 3 }],
};

export const TINY_LAYOUT = layoutOf(TINY_MODEL);

export const TINY_SETTINGS: RunSettings = {
  run: "tiny",
  model: TINY_MODEL,
  layoutHash: TINY_LAYOUT.hash,
  data: {
    name: "none",
    title: "Nothing is trained here.",
    trainExamples: 1,
    testExamples: 1,
    normalisation: { mean: [0], deviation: [1] },
    shards: [],
  },
  solver: "ea-wild",
  exchange: "one-round-trip",
  batch: 1,
  batchParts: 1,
  communicationPeriod: 10,
  learningRate: 0.1,
  momentum: 0,
  weightDecay: 0,
  optimizer: { kind: "momentum" },
  augmentation: { cropPadding: 0, flip: false },
  seed: 1,
  backend: "wasm",
  targetAccuracy: null,
  codecUp: "f32",
  codecDown: "f32",
  fragments: 1,
  transport: "websocket",
  lossy: false,
  iceServers: [],
  peers: false,
};
