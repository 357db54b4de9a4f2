/** The door for what the coordinator publishes: JSON text becomes a `RunView`, or nothing. */

import * as v from "valibot";
import { REPORTED_BACKENDS } from "../../shared/backends.ts";
import { stalenessPolicySchema } from "../../shared/operator.ts";
import type { RunView } from "../../shared/run_view.ts";
import { SOLVER_NAMES } from "../../shared/solver/catalogue.ts";
import { CODEC_NAMES } from "../../shared/wire/codec/codec.ts";
import { TRANSPORTS } from "../../shared/wire/messages.ts";

const number = v.number();
const staleness = v.object({ mean: number, p50: number, p99: number, max: number, counts: v.array(number) });

const replica = v.object({
  id: v.string(),
  backend: v.picklist(REPORTED_BACKENDS),
  device: v.string(),
  connected: v.boolean(),
  samples: number,
  samplesPerSecond: number,
  exchanges: number,
  applied: number,
  refused: number,
  staleness,
  share: number,
  group: v.nullable(number),
  averagesDirectly: v.boolean(),
  communicationPeriod: number,
  batchShare: number,
  heldSeconds: number,
  transport: v.picklist(TRANSPORTS),
  channelPushes: number,
  codecUp: v.picklist(CODEC_NAMES),
  codecDown: v.picklist(CODEC_NAMES),
  sliceLossRate: number,
  bytesUp: number,
  bytesDown: number,
  name: v.nullable(v.string()),
  isHidden: v.boolean(),
  dutyCycle: number,
  isDraining: v.boolean(),
});

const historyPoint = v.object({
  seconds: number,
  samples: number,
  bytes: number,
  accuracy: number,
  testLoss: number,
  trainLoss: number,
  images: number,
});

const decision = v.object({
  seconds: number,
  phase: v.string(),
  groups: number,
  momentum: number,
  learningRate: number,
  reason: v.string(),
});

const change = v.object({
  seconds: number,
  samples: number,
  setting: v.picklist([
    "learningRate",
    "momentum",
    "communicationPeriod",
    "movingRate",
    "elasticRate",
    "staleness",
    "groups",
  ]),
  from: v.string(),
  to: v.string(),
  by: v.picklist(["operator", "autotune"]),
});

/** Fields that a newer coordinator adds are dropped, not refused. */
const schema: v.GenericSchema<unknown, RunView> = v.object({
  run: v.string(),
  model: v.string(),
  data: v.string(),
  solver: v.picklist(SOLVER_NAMES),
  state: v.picklist(["waiting", "training", "reached", "stopped"]),
  seconds: number,
  version: number,
  incarnation: number,
  accuracy: v.nullable(number),
  testLoss: v.nullable(number),
  trainLoss: v.nullable(number),
  targetAccuracy: v.nullable(number),
  samples: number,
  samplesPerSecond: number,
  exchanges: number,
  applied: number,
  refused: number,
  repeated: number,
  refusals: v.record(v.string(), number),
  overlappedApplies: number,
  bytesUp: number,
  bytesDown: number,
  codecs: v.object({ up: v.picklist(CODEC_NAMES), down: v.picklist(CODEC_NAMES) }),
  fragments: number,
  slices: number,
  slicesLost: number,
  lossRate: number,
  staleness,
  replicas: v.array(replica),
  history: v.array(historyPoint),
  groups: v.nullable(number),
  directRounds: v.nullable(v.object({ averaged: number, fallen: number })),
  hyperparameters: v.object({
    learningRate: number,
    momentum: number,
    communicationPeriod: number,
    groups: v.nullable(number),
    movingRate: v.nullable(number),
    elasticRate: number,
    staleness: stalenessPolicySchema,
  }),
  autotune: v.array(decision),
  isPaused: v.boolean(),
  changes: v.array(change),
  epoch: v.object({ epoch: number, examples: number, leased: number, used: number }),
});

export function readRunView(text: string): RunView | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  const checked = v.safeParse(schema, json);
  return checked.success ? checked.output : undefined;
}
