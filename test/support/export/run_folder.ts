/**
 * A run's folder with everything in it, written by the coordinator's own writers but without a run: two replicas, of which one offers a
 * name, one change, three evaluations and four views of a logistic regression on MNIST.
 */

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readConfig, settingsFor } from "../../../coordinator/run_config.ts";
import { writeCheckpoint } from "../../../coordinator/store/checkpoint.ts";
import { EventLog } from "../../../coordinator/store/event_log.ts";
import { Ledger } from "../../../coordinator/store/ledger.ts";
import { MODELS } from "../../../shared/model/catalogue.ts";
import { initialParameters, layoutOf } from "../../../shared/model/layout.ts";
import { Random } from "../../../shared/random.ts";
import type { ViewedRun } from "../../../shared/run_log.ts";
import { firstView } from "../../../shared/run_replay_view.ts";
import type { ReplicaView } from "../../../shared/run_view.ts";
import { StalenessHistogram } from "../../../shared/staleness_histogram.ts";

export const RUN_VERSION = 40;
const RUN_BEGAN_AT = "2026-11-21T12:00:00.000Z";
/** As nasty as a name may be on the wire. */
const NASTY_NAME = "Ada | <b>L</b> `x` [link](http://example.org)";
const LAYOUT = layoutOf(MODELS.logistic);

/** Parameters that are not those of any other seed; the velocity differs from them. */
export function runParameters(): Float32Array<ArrayBuffer> {
  const random = new Random(4);
  const parameters = initialParameters(LAYOUT, 3);
  for (const { name, offset, elements } of LAYOUT.tensors) {
    for (let at = offset; at < offset + elements; at++) if (name.endsWith("bias")) parameters[at] = random.normal();
  }
  return parameters;
}

/** `events` false: as a run of an older version, which has no event log. */
export async function writeRunFolder(root: string, name: string, events = true): Promise<string> {
  const folder = join(root, name);
  await mkdir(folder, { recursive: true });
  const config = { ...readConfig({ flags: { model: "logistic", data: "mnist", seed: "9" } }), name };
  await writeFile(join(folder, "run.json"), JSON.stringify(config));
  const history = [0, 1, 2].map((n) => pointAt(n));
  await writeCheckpoint(folder, LAYOUT, {
    version: RUN_VERSION,
    parameters: runParameters(),
    velocity: new Float32Array(LAYOUT.elements).fill(0.5),
    state: { seconds: 3, history, bytesUp: 5e6, bytesDown: 6e6, replicas: [replica("r1", null), replica("r2", null)] },
  });
  await writeLedger(folder);
  const settings = settingsFor(config, {
    run: name,
    layout: LAYOUT,
    data: {
      name: "mnist",
      title: "Reading handwritten digits.",
      trainExamples: 60_000,
      testExamples: 10_000,
      normalisation: { mean: [0.25], deviation: [0.5] },
      classNames: Array.from({ length: 10 }, (_, digit) => `digit ${digit}`),
      shards: [],
    },
  });
  if (!events) return folder;
  let seconds = 0;
  const log = await EventLog.open(join(folder, "events.jsonl"), {
    nowIso: () => new Date(Date.parse(RUN_BEGAN_AT) + 1000 * seconds).toISOString(),
    seconds: () => seconds,
    onProblem: (sentence) => {
      throw new Error(sentence);
    },
  });
  log.append({ kind: "began", incarnation: 1, settings });
  for (const id of ["r1", "r2"]) log.append({ kind: "joined", replica: id, backend: "wasm", device: "a | device" });
  log.append({ kind: "named", replica: "r1", name: NASTY_NAME });
  log.append({ kind: "named", replica: "r2", name: "Regretful" });
  log.append({ kind: "named", replica: "r2", name: null });
  for (; seconds < 4; seconds++) {
    log.append({ kind: "viewed", view: viewAt(firstView(settings), seconds) });
    if (seconds === 3) continue;
    log.append({ kind: "evaluated", point: pointAt(seconds) });
  }
  const change = {
    seconds: 2.5,
    samples: 2500,
    setting: "learningRate",
    from: "0.03",
    to: "0.01",
    by: "operator",
  } as const;
  log.append({ kind: "changed", change });
  log.append({ kind: "ended", state: "stopped", reason: "The test is over." });
  await log.close();
  return folder;
}

function pointAt(
  n: number,
): { seconds: number; samples: number; bytes: number } & Record<
  "accuracy" | "testLoss" | "trainLoss" | "images",
  number
> {
  return {
    seconds: n,
    samples: 1000 * n,
    bytes: 1e6 * n,
    accuracy: 0.5 + n / 10,
    testLoss: 1 - n / 10,
    trainLoss: 1.5 - n / 10,
    images: 1000,
  };
}

function replica(id: string, name: string | null): ReplicaView {
  const staleness = new StalenessHistogram().view();
  return {
    id,
    backend: "wasm",
    device: "a | device",
    connected: true,
    samples: 2000,
    samplesPerSecond: 500,
    exchanges: 20,
    applied: 20,
    refused: 0,
    staleness,
    share: 0.5,
    group: null,
    averagesDirectly: false,
    communicationPeriod: 10,
    batchShare: 64,
    heldSeconds: 0.25,
    transport: "websocket",
    channelPushes: 0,
    codecUp: "f32",
    codecDown: "f32",
    sliceLossRate: 0,
    bytesUp: 2.5e6,
    bytesDown: 3e6,
    name,
    isHidden: id === "r2",
    dutyCycle: id === "r2" ? 0.5 : 1,
    isDraining: false,
  };
}

function viewAt(first: ViewedRun, seconds: number): ViewedRun {
  const staleness = new StalenessHistogram();
  for (let push = 0; push < 10 * seconds; push++) staleness.add(push % 4);
  return {
    ...first,
    state: "training",
    seconds,
    version: 10 * seconds,
    accuracy: 0.5 + seconds / 10,
    trainLoss: 1.5 - seconds / 10,
    samples: 1000 * seconds,
    samplesPerSecond: 1000,
    exchanges: 10 * seconds,
    applied: 10 * seconds,
    refused: 1,
    refusals: { NOT_FINITE: 1 },
    bytesUp: 1e6 * seconds,
    bytesDown: 2e6 * seconds,
    staleness: staleness.view(),
    replicas: [replica("r1", NASTY_NAME), replica("r2", null)],
    epoch: { epoch: 3, examples: 60_000, leased: 1000, used: 30_000 },
  };
}

/** 39 applied, of staleness 0 to 3, and one refused. */
async function writeLedger(folder: string): Promise<void> {
  const ledger = await Ledger.open(join(folder, "ledger.jsonl"));
  const lines = Array.from({ length: RUN_VERSION }, (_, index) => {
    const isRefused = index === 7;
    return ledger.append({
      at: RUN_BEGAN_AT,
      incarnation: 1,
      replica: index % 2 === 0 ? "r1" : "r2",
      exchange: 1 + Math.floor(index / 2),
      verdict: isRefused ? "NOT_FINITE" : "applied",
      staleness: isRefused ? null : index % 4,
      version: index,
      steps: 10,
      samples: 100,
    });
  });
  await Promise.all(lines);
  await ledger.close();
}
