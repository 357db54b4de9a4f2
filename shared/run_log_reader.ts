/**
 * The door for event logs: one line of `events.jsonl` becomes an event, or nothing. Views, of which a long run has a hundred thousand,
 * stay text until somebody looks at one (`readLoggedView`); leases, of which it has more, are only counted as moments.
 */

import * as v from "valibot";
import type { RunEvent, RunEventKind, ViewedRun } from "./run_log.ts";
import {
  changeSchema,
  decisionSchema,
  historyPointSchema,
  runStateSchema,
  viewedRunSchema,
} from "./run_view_schema.ts";
import { SOLVER_NAMES } from "./solver/catalogue.ts";
import { CODEC_NAMES } from "./wire/codec/codec.ts";

/**
 * Of a run's settings what a replay shows. So that logs of earlier versions stay readable nothing else is looked at; it is kept for
 * whoever wants all (`readRunSettings`).
 */
const settingsSchema = v.looseObject({
  run: v.string(),
  model: v.looseObject({ name: v.string() }),
  data: v.looseObject({ name: v.string(), trainExamples: v.number() }),
  solver: v.picklist(SOLVER_NAMES),
  exchange: v.string(),
  batch: v.number(),
  communicationPeriod: v.number(),
  learningRate: v.number(),
  momentum: v.number(),
  weightDecay: v.number(),
  optimizer: v.looseObject({ kind: v.string() }),
  seed: v.number(),
  targetAccuracy: v.nullable(v.number()),
  codecUp: v.picklist(CODEC_NAMES),
  codecDown: v.picklist(CODEC_NAMES),
  fragments: v.number(),
  transport: v.string(),
});

export type LoggedSettings = v.InferOutput<typeof settingsSchema>;

type Began = Omit<Extract<RunEvent, { readonly kind: "began" }>, "settings"> & { readonly settings: LoggedSettings };

/** What a run does all the time, and nobody steps through. */
const QUIET_KINDS = ["leased", "returned", "used"] as const;

export interface QuietEvent {
  readonly kind: "quiet";
  readonly seconds: number;
}

/** Everything but views and leases. */
export type PlainEvent =
  | Exclude<RunEvent, { readonly kind: "viewed" | "began" | (typeof QUIET_KINDS)[number] }>
  | Began;

/** A view that was not read yet. */
export interface LoggedView {
  readonly kind: "viewed";
  readonly seconds: number;
  readonly line: string;
}

const amount = v.pipe(v.number(), v.finite(), v.minValue(0));
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const replica = v.string();

const head = { at: v.string(), seconds: amount } as const;
const kind = <K extends RunEventKind>(name: K) => ({ kind: v.literal(name), ...head });

const schema: v.GenericSchema<unknown, PlainEvent> = v.variant("kind", [
  v.object({ ...kind("began"), incarnation: count, settings: settingsSchema }),
  v.object({ ...kind("joined"), replica, backend: v.string(), device: v.string() }),
  v.object({ ...kind("left"), replica, forGood: v.boolean() }),
  v.object({ ...kind("named"), replica, name: v.nullable(v.string()) }),
  v.object(kind("paused")),
  v.object(kind("resumed")),
  v.object({ ...kind("kicked"), replica }),
  v.object({ ...kind("draining"), replica: v.nullable(replica) }),
  v.object({ ...kind("changed"), change: changeSchema }),
  v.object({ ...kind("decided"), decision: decisionSchema }),
  v.object({ ...kind("evaluated"), point: historyPointSchema }),
  v.object({ ...kind("epoch"), epoch: count, examples: count }),
  v.object({ ...kind("ended"), state: runStateSchema, reason: v.string() }),
]);

/** Undefined where a crash cut the line off, or a newer coordinator wrote something that this reader does not know. */
export function readLoggedEvent(line: string): PlainEvent | LoggedView | QuietEvent | undefined {
  const value = parsed(line);
  if (typeof value !== "object" || value === null) return undefined;
  const { kind: name, seconds, view } = value as Readonly<Record<string, unknown>>;
  // The many are looked at by hand: a schema would take thirty times as long for each.
  const isTimed = typeof seconds === "number" && seconds >= 0;
  if (name === "viewed") {
    const isView = isTimed && typeof view === "object" && view !== null;
    return isView ? { kind: "viewed", seconds, line } : undefined;
  }
  if (QUIET_KINDS.some((quiet) => quiet === name)) return isTimed ? { kind: "quiet", seconds } : undefined;
  const event = v.safeParse(schema, value);
  return event.success ? event.output : undefined;
}

export function readLoggedView({ line }: LoggedView): ViewedRun | undefined {
  const checked = v.safeParse(v.object({ view: viewedRunSchema }), parsed(line));
  return checked.success ? checked.output.view : undefined;
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line) as unknown;
  } catch {
    return undefined;
  }
}
