/** The events of a run in words, for replays: on the operator's page, and on a terminal by `drove replay --print`. */

import type { PlainEvent } from "./run_log_reader.ts";
import type { RunChange } from "./run_view.ts";

/** As people call what can be changed while a run goes on. */
export const SETTING_WORDS: Readonly<Record<RunChange["setting"], string>> = {
  learningRate: "learning rate",
  momentum: "momentum",
  communicationPeriod: "period τ",
  movingRate: "moving rate α",
  elasticRate: "elastic rate β",
  staleness: "staleness policy",
  groups: "compute groups",
};

const STATE_WORDS = {
  waiting: "it waits for replicas",
  training: "it still trains",
  reached: "the target is reached",
  stopped: "it was stopped",
} as const;

/** One line, without its time. */
export function wordsOf(event: PlainEvent): string {
  switch (event.kind) {
    case "began":
      return event.incarnation === 1
        ? "The run began"
        : `A coordinator went on with the run (start ${event.incarnation})`;
    case "joined":
      return `${event.replica} joined with ${event.device === "" ? "an unnamed device" : event.device} (${event.backend})`;
    case "left":
      return `${event.replica} ${event.forGood ? "left" : "lost its connection"}`;
    case "named":
      return event.name === null ? `${event.replica} took its name back` : `${event.replica} is called ${event.name}`;
    case "paused":
      return "The operator paused the run";
    case "resumed":
      return "The operator resumed the run";
    case "kicked":
      return `The operator kicked ${event.replica}`;
    case "draining":
      return event.replica === null
        ? "The operator asked everybody to finish and leave"
        : `${event.replica} was asked to finish and leave`;
    case "changed":
      return changeWords(event.change);
    case "decided":
      return `Autotune (${event.decision.phase}): ${event.decision.reason}`;
    case "evaluated":
      return `Held-out accuracy ${(100 * event.point.accuracy).toFixed(2)} %, loss ${event.point.testLoss.toFixed(4)}`;
    case "epoch":
      return `Epoch ${event.epoch} is complete: all ${event.examples.toLocaleString("en")} examples were used once`;
    case "ended":
      return `The run ended: ${STATE_WORDS[event.state]}. ${event.reason}`.trim();
    default:
      return event satisfies never;
  }
}

export function changeWords({ setting, from, to, by }: RunChange): string {
  return `${by === "autotune" ? "Autotune" : "The operator"} changed ${SETTING_WORDS[setting]} from ${from} to ${to}`;
}
