/**
 * The views of `run_view.ts` as schemas, for whoever gets them as JSON: pages from the coordinator, replays from event logs. Fields that a
 * newer coordinator adds are dropped, not refused.
 */

import * as v from "valibot";
import { REPORTED_BACKENDS } from "./backends.ts";
import { stalenessPolicySchema } from "./operator.ts";
import type { ViewedRun } from "./run_log.ts";
import type { AutotuneDecision, HistoryPoint, ReplicaView, RunChange, StalenessView } from "./run_view.ts";
import { SOLVER_NAMES } from "./solver/catalogue.ts";
import { CODEC_NAMES } from "./wire/codec/codec.ts";
import { TRANSPORTS } from "./wire/messages.ts";

const number = v.number();

const stalenessViewSchema: v.GenericSchema<unknown, StalenessView> = v.object({
  mean: number,
  p50: number,
  p99: number,
  max: number,
  counts: v.array(number),
});

export const replicaViewSchema: v.GenericSchema<unknown, ReplicaView> = v.object({
  id: v.string(),
  backend: v.picklist(REPORTED_BACKENDS),
  device: v.string(),
  connected: v.boolean(),
  samples: number,
  samplesPerSecond: number,
  exchanges: number,
  applied: number,
  refused: number,
  staleness: stalenessViewSchema,
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

export const historyPointSchema: v.GenericSchema<unknown, HistoryPoint> = v.object({
  seconds: number,
  samples: number,
  bytes: number,
  accuracy: number,
  testLoss: number,
  trainLoss: number,
  images: number,
});

export const decisionSchema: v.GenericSchema<unknown, AutotuneDecision> = v.object({
  seconds: number,
  phase: v.string(),
  groups: number,
  momentum: number,
  learningRate: number,
  reason: v.string(),
});

export const changeSchema: v.GenericSchema<unknown, RunChange> = v.object({
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

export const runStateSchema = v.picklist(["waiting", "training", "reached", "stopped"]);

/** Of a view without replicas, history and what else grows: `RunView` and `PublicView` have all of them. */
export const runNumbers = {
  run: v.string(),
  model: v.string(),
  data: v.string(),
  solver: v.picklist(SOLVER_NAMES),
  state: runStateSchema,
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
  overlappedApplies: number,
  bytesUp: number,
  bytesDown: number,
  codecs: v.object({ up: v.picklist(CODEC_NAMES), down: v.picklist(CODEC_NAMES) }),
  fragments: number,
  slices: number,
  slicesLost: number,
  lossRate: number,
  staleness: stalenessViewSchema,
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
  isPaused: v.boolean(),
  epoch: v.object({ epoch: number, examples: number, leased: number, used: number }),
} as const;

export const viewedRunSchema: v.GenericSchema<unknown, ViewedRun> = v.object({
  ...runNumbers,
  refusals: v.record(v.string(), number),
  replicas: v.array(replicaViewSchema),
});
