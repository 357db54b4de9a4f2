/** A run's settings in plain words: what is trained, for whom, with what, and what that takes of a volunteer's machine. */

import type { BackendWish } from "../../shared/backends.ts";
import { layoutOf } from "../../shared/model/layout.ts";
import type { RunSettings } from "../../shared/run_settings.ts";
import type { Assignment } from "../../shared/solver/assignment.ts";
import { SOLVERS, type Order, type Rule } from "../../shared/solver/catalogue.ts";
import { encodedBytes } from "../../shared/wire/codec/codec.ts";
import { replicaRuleOf } from "../../shared/solver/replica_rule.ts";
import { bytes, counted, percent, whole } from "./format.ts";

export interface Explanation {
  readonly title: string;
  readonly network: string;
  readonly data: string;
  readonly method: string;
  readonly goal: string;
  readonly compute: string;
  readonly download: string;
  readonly exchange: string;
}

const RULES: Record<Rule, string> = {
  elastic: "every machine trains a replica of its own, and replica and shared center pull at each other",
  gradient: "every machine sends its gradients, and the shared center takes the steps",
  "accumulated-gradient": "every machine sends the sum of its steps, and the shared center adds it",
  "pseudo-gradient": "every machine sends how far it moved, and the shared center steps that way",
};

const ORDERS: Record<Order, string> = {
  barrier: "all wait for each other",
  "round-robin": "machines take turns",
  locked: "first come, first served",
  "lock-free": "nobody waits for anybody",
};

const COMPUTES: Record<BackendWish, string> = {
  auto: "It trains on the GPU through WebGPU, or on the processor through WebAssembly: or on both at once: they are measured, and the fastest is used.",
  webgpu: "It trains on the GPU through WebGPU, as this run or your link asks for.",
  wasm: "It trains on the processor through WebAssembly, as this run or your link asks for.",
  hybrid:
    "It trains on the GPU through WebGPU and on the processor through WebAssembly at once, as this run or your link asks for.",
};

/**
 * What the coordinator asks of one replica, as a sentence; undefined where it is what the run's description says of everybody.
 * `group` counts from 0.
 */
export function explainAssignment(
  settings: RunSettings,
  { communicationPeriod, samples }: Pick<Assignment, "communicationPeriod" | "samples">,
  group: number | null,
  groups: number | null,
): string | undefined {
  const steps = replicaRuleOf(settings.solver, settings.exchange).takesGradients ? 1 : communicationPeriod;
  const isUsual = communicationPeriod === settings.communicationPeriod && samples === settings.batch;
  if (group === null && isUsual) return undefined;
  const share =
    samples === settings.batch
      ? counted(samples, "image", "images")
      : `${whole(samples)} of ${whole(settings.batch)} images`;
  const together =
    group === null
      ? ""
      : ` It is in compute group ${whole(group + 1)}${groups === null ? "" : ` of ${whole(groups)}`}.`;
  return `Asked of your replica now: steps of ${share}, and an exchange after every ${steps === 1 ? "one" : whole(steps)}.${together}`;
}

export function explain(settings: RunSettings, backend: BackendWish): Explanation {
  const { model, data } = settings;
  const layout = layoutOf(model);
  const solver = SOLVERS[settings.solver];
  const { height, width, channels } = model.input;
  const pixels = height * width * channels;
  return {
    title: data.title,
    network: `${model.name}, ${whole(layout.parameters)} parameters`,
    data: `${data.name}: ${whole(data.trainExamples)} images of ${width} × ${height}, ${counted(model.classes, "class", "classes")}`,
    method: `${settings.solver}: ${RULES[solver.rule]}; ${ORDERS[solver.order]}`,
    goal:
      settings.targetAccuracy === null
        ? `The best accuracy on ${whole(data.testExamples)} images that nobody trains on`
        : `${percent(settings.targetAccuracy)} of ${whole(data.testExamples)} images right that nobody trains on`,
    compute: `${COMPUTES[backend]} A fan may speed up, and a battery drains faster.`,
    download: `Up to ${bytes(data.trainExamples * (pixels + 1))} of training images, from this address only.`,
    exchange: explainExchange(settings, layout.elements),
  };
}

const WAYS: Record<RunSettings["transport"], string> = {
  auto: " It travels by WebSocket or by WebRTC, whichever is faster here.",
  websocket: "",
  webrtc: " It travels by WebRTC, or by WebSocket where that does not connect.",
};

function explainExchange(settings: RunSettings, elements: number): string {
  const { batch, codecDown, codecUp, communicationPeriod, transport } = settings;
  const up = bytes(encodedBytes(codecUp, elements));
  // The changes since the last one: sometimes more than one of them.
  const down = `${codecDown === "f32" ? "" : "about "}${bytes(encodedBytes(codecDown, elements))}`;
  const often = `after every ${counted(communicationPeriod, "step", "steps")} of ${counted(batch, "image", "images")}`;
  return `${up} up and ${down} down ${often}, for as long as it trains.${WAYS[transport]} Avoid it on a metered connection.`;
}
