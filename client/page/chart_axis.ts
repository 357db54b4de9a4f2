/** What curves can be drawn against: the run's clock, the samples it has used, or the bytes that travelled. */

import { bytes, clock, duration, short } from "./format.ts";

export type AxisKind = "seconds" | "samples" | "bytes";

interface Axis {
  /** At a tick, short. */
  readonly tick: (value: number) => string;
  /** Under the pointer: follows "at ". */
  readonly place: (value: number) => string;
  /** Between two lines of the grid; any decimal step where left out. */
  readonly steps?: number[];
}

/** Seconds between two lines of the grid. */
const TIME_STEPS = [
  0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800, 86_400, 172_800,
  604_800,
];

const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

export const AXES: Readonly<Record<AxisKind, Axis>> = {
  seconds: { tick: clock, place: duration, steps: TIME_STEPS },
  samples: { tick: (value) => compact.format(value), place: (value) => `${short(value)} images` },
  bytes: { tick: (value) => (value === 0 ? "0" : bytes(value)), place: bytes },
};
