/** What goes on in one line, for the controls and for the tab's title: renewed every second, and true in every phase. */

import type { ReplicaProgress } from "../messages.ts";
import { bytes, duration, loss, percent, short, whole } from "./format.ts";
import { isAtRest, type PagePhase } from "./volunteering.ts";

export interface Status {
  readonly phase: PagePhase;
  readonly progress: ReplicaProgress | undefined;
  /** Of training, since Start. */
  readonly seconds: number;
  readonly visitBytes: number;
  /** The share of the time in which it computes now. */
  readonly dutyCycle: number;
}

/** While it trains, and what it comes to once it is over; empty where the phase says it all. */
export function statusLine({ phase, progress, seconds, visitBytes, dutyCycle }: Status): string {
  if (progress === undefined) return "";
  if (phase === "stopped" || phase === "finished") {
    return `Thank you: ${short(progress.samples)} images in ${duration(seconds)}, ${short(progress.applied)} exchanges accepted, ${bytes(visitBytes)} of data.`;
  }
  if (phase !== "training") return "";
  const parts = [
    `${whole(progress.samplesPerSecond)} images/s`,
    `${short(progress.samples)} images`,
    duration(seconds),
    bytes(visitBytes),
    ...(dutyCycle < 1 ? [`${percent(dutyCycle, 0)} power`] : []),
  ];
  return parts.join(" · ");
}

/** "loss 0.231 · training · Drove"; at rest, how far the run is. */
export function pageTitle(
  { phase, progress }: Pick<Status, "phase" | "progress">,
  accuracy: number | null | undefined,
  isHidden: boolean,
): string {
  const parts = isAtRest(phase)
    ? [accuracy === null || accuracy === undefined ? "" : percent(accuracy)]
    : [phase === "training" && progress?.loss !== undefined ? `loss ${loss(progress.loss)}` : "", TITLES[phase] ?? ""];
  if (phase === "training" && isHidden) parts.push("in the background");
  return [...parts.filter((part) => part !== ""), "Drove"].join(" · ");
}

const TITLES: Partial<Record<PagePhase, string>> = {
  queued: "waiting its turn",
  "loading-data": "starting",
  measuring: "starting",
  connecting: "starting",
  training: "training",
  paused: "paused",
  held: "waiting",
  finishing: "finishing",
  reconnecting: "reconnecting",
};
