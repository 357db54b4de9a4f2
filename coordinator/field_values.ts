/** What the fields of runs are made of (run_fields.ts, wire_fields.ts): ranges, and how text from the command line becomes a value. */

import * as v from "valibot";

export const numberBetween = (least: number, most: number) => v.pipe(v.number(), v.minValue(least), v.maxValue(most));
export const above0UpTo = (most: number) => v.pipe(v.number(), v.gtValue(0), v.maxValue(most));
export const wholeBetween = (least: number, most: number) =>
  v.pipe(v.number(), v.safeInteger(), v.minValue(least), v.maxValue(most));

export const asIs = (value: unknown): unknown => value;
/** Text that is no number stays as it is, so that the refusal shows it. */
export function asNumber(value: unknown): unknown {
  return typeof value === "string" && value.trim() !== "" && !Number.isNaN(Number(value)) ? Number(value) : value;
}
