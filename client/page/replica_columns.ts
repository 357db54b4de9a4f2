/** The columns of the operator's table of replicas, and the orders that they can be put in. */

import type { ReplicaView } from "../../shared/run_view.ts";

export type ColumnName =
  | "replica"
  | "device"
  | "speed"
  | "samples"
  | "work"
  | "group"
  | "applied"
  | "refused"
  | "waited"
  | "travels"
  | "staleness";

interface Column {
  readonly name: ColumnName;
  readonly title: string;
  readonly hint?: string;
  readonly isNumber?: boolean;
  /** The class of a column that is there only where it says something. */
  readonly shownIf?: string;
  /** What it is sorted by; numbers begin with the greatest, texts with A. */
  readonly key: (replica: ReplicaView) => number | string;
}

export const COLUMNS: readonly Column[] = [
  { name: "replica", title: "Replica", key: ({ id }) => id },
  { name: "device", title: "Device", key: ({ backend, device }) => `${backend} ${device}` },
  { name: "speed", title: "Images/s", isNumber: true, key: ({ samplesPerSecond }) => samplesPerSecond },
  { name: "samples", title: "Images", hint: "And its share of all", isNumber: true, key: ({ samples }) => samples },
  {
    name: "work",
    title: "Period × batch",
    hint: "Local steps between two exchanges, and images of one step",
    isNumber: true,
    key: ({ communicationPeriod }) => communicationPeriod,
  },
  { name: "group", title: "Group", isNumber: true, shownIf: "if-groups", key: ({ group }) => group ?? -1 },
  { name: "applied", title: "Accepted", hint: "Of its exchanges", isNumber: true, key: ({ applied }) => applied },
  { name: "refused", title: "Refused", hint: "Of its exchanges", isNumber: true, key: ({ refused }) => refused },
  {
    name: "waited",
    title: "Waited",
    hint: "How long its pushes waited at the coordinator for their answers",
    isNumber: true,
    shownIf: "if-waits",
    key: ({ heldSeconds }) => heldSeconds,
  },
  {
    name: "travels",
    title: "Travels by",
    hint: "The way of its exchanges, their codecs, and the share of slices lost",
    key: ({ transport, codecUp, codecDown }) => `${transport} ${codecUp} ${codecDown}`,
  },
  {
    name: "staleness",
    title: "Staleness",
    isNumber: true,
    hint: "Mean, median, 99th percentile and highest, and how often each",
    key: ({ staleness }) => staleness.mean,
  },
];

export interface SortOrder {
  readonly column: ColumnName;
  readonly isReversed: boolean;
}

/** Whoever is connected comes first, whatever the order. */
export function sorted(replicas: readonly ReplicaView[], { column, isReversed }: SortOrder): ReplicaView[] {
  const key = COLUMNS.find(({ name }) => name === column)?.key ?? (({ id }): string => id);
  const sign = isReversed ? -1 : 1;
  return replicas.toSorted((a, b) => {
    if (a.connected !== b.connected) return a.connected ? -1 : 1;
    return sign * compared(key(a), key(b)) || compared(a.id, b.id);
  });
}

function compared(a: number | string, b: number | string): number {
  if (typeof a === "number" && typeof b === "number") return b - a;
  return collator.compare(String(a), String(b));
}

const collator = new Intl.Collator("en", { numeric: true });
