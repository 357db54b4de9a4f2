/** What single events do to the view of a replay (`run_replay.ts`) until the next logged view replaces it. */

import { REPORTED_BACKENDS, type ReportedBackend } from "./backends.ts";
import type { ViewedRun } from "./run_log.ts";
import type { LoggedSettings, PlainEvent } from "./run_log_reader.ts";
import type { ReplicaView } from "./run_view.ts";
import { DEFAULT_ELASTIC_RATE } from "./solver/rule.ts";

/** Whoever plays events owns it. */
export type DraftView = { -readonly [K in keyof ViewedRun]: ViewedRun[K] };

const NO_STALENESS = { mean: 0, p50: 0, p99: 0, max: 0, counts: [] } as const;

/** A run that nobody has joined yet. */
export function firstView(settings: LoggedSettings): DraftView {
  const { learningRate, momentum, communicationPeriod, codecUp, codecDown } = settings;
  return {
    run: settings.run,
    model: settings.model.name,
    data: settings.data.name,
    solver: settings.solver,
    state: "waiting",
    seconds: 0,
    version: 0,
    incarnation: 1,
    accuracy: null,
    testLoss: null,
    trainLoss: null,
    targetAccuracy: settings.targetAccuracy,
    samples: 0,
    samplesPerSecond: 0,
    exchanges: 0,
    applied: 0,
    refused: 0,
    repeated: 0,
    refusals: {},
    overlappedApplies: 0,
    bytesUp: 0,
    bytesDown: 0,
    codecs: { up: codecUp, down: codecDown },
    fragments: settings.fragments,
    slices: 0,
    slicesLost: 0,
    lossRate: 0,
    staleness: NO_STALENESS,
    replicas: [],
    groups: null,
    directRounds: null,
    hyperparameters: {
      learningRate,
      momentum,
      communicationPeriod,
      groups: null,
      movingRate: null,
      elasticRate: DEFAULT_ELASTIC_RATE,
      staleness: { kind: "none" },
    },
    isPaused: false,
    epoch: { epoch: 1, examples: settings.data.trainExamples, leased: 0, used: 0 },
  };
}

export function play(view: DraftView, event: PlainEvent): void {
  switch (event.kind) {
    case "began":
      view.incarnation = event.incarnation;
      if (view.state !== "waiting") view.state = "training";
      view.samplesPerSecond = 0;
      view.replicas = view.replicas.map(gone);
      break;
    case "joined":
      join(view, event);
      break;
    case "left":
    case "kicked":
      update(view, event.replica, gone);
      break;
    case "named":
      update(view, event.replica, (replica) => ({ ...replica, name: event.name }));
      break;
    case "paused":
    case "resumed":
      view.isPaused = event.kind === "paused";
      break;
    case "draining":
      update(view, event.replica, (replica) => (replica.connected ? { ...replica, isDraining: true } : replica));
      break;
    case "evaluated":
      view.accuracy = event.point.accuracy;
      view.testLoss = event.point.testLoss;
      break;
    case "epoch":
      view.epoch = { ...view.epoch, epoch: Math.max(view.epoch.epoch, event.epoch + 1), leased: 0, used: 0 };
      break;
    case "ended":
      view.state = event.state;
      view.samplesPerSecond = 0;
      view.replicas = view.replicas.map(gone);
      break;
    case "changed":
    case "decided":
      // In lists of their own, or in the next view.
      break;
    default:
      event satisfies never;
  }
}

function join(view: DraftView, { replica, backend, device }: Extract<PlainEvent, { kind: "joined" }>): void {
  const known = view.replicas.find(({ id }) => id === replica) ?? newReplica(replica, view);
  const joined = { ...known, backend: backendNamed(backend), device, connected: true, isDraining: false };
  view.replicas = [...view.replicas.filter(({ id }) => id !== replica), joined];
}

function update(view: DraftView, id: string | null, change: (replica: ReplicaView) => ReplicaView): void {
  view.replicas = view.replicas.map((replica) => (id === null || replica.id === id ? change(replica) : replica));
}

function gone(replica: ReplicaView): ReplicaView {
  return { ...replica, connected: false, samplesPerSecond: 0, group: null, isDraining: false };
}

function backendNamed(name: string): ReportedBackend {
  return REPORTED_BACKENDS.find((known) => known === name) ?? "none";
}

function newReplica(id: string, { codecs, hyperparameters }: DraftView): ReplicaView {
  return {
    id,
    backend: "none",
    device: "",
    connected: true,
    samples: 0,
    samplesPerSecond: 0,
    exchanges: 0,
    applied: 0,
    refused: 0,
    staleness: NO_STALENESS,
    share: 0,
    group: null,
    averagesDirectly: false,
    communicationPeriod: hyperparameters.communicationPeriod,
    batchShare: 0,
    heldSeconds: 0,
    transport: "websocket",
    channelPushes: 0,
    codecUp: codecs.up,
    codecDown: codecs.down,
    sliceLossRate: 0,
    bytesUp: 0,
    bytesDown: 0,
    name: null,
    isHidden: false,
    dutyCycle: 1,
    isDraining: false,
  };
}
