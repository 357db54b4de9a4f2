/**
 * What an operator may ask of a running coordinator (`POST /api/operator/control`, behind the run's token), as the page and
 * `drove` write it and the coordinator reads it.
 */

import * as v from "valibot";
import { LIMITS } from "./wire/codes.ts";

const positive = v.pipe(v.number(), v.finite(), v.gtValue(0));
const replica = v.pipe(v.string(), v.maxLength(LIMITS.textCharacters));

export const stalenessPolicySchema = v.variant("kind", [
  v.strictObject({ kind: v.literal("none") }),
  v.strictObject({ kind: v.literal("scale"), halfRateStaleness: v.pipe(positive, v.maxValue(1e9)) }),
  v.strictObject({
    kind: v.literal("bound"),
    limit: v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(1e9)),
  }),
]);

/** Each as in the run file; what is left out stays. */
export const operatorChangesSchema = v.strictObject({
  learningRate: v.exactOptional(v.pipe(positive, v.maxValue(100))),
  momentum: v.exactOptional(v.pipe(v.number(), v.minValue(-0.999), v.maxValue(0.999))),
  /** tau */
  communicationPeriod: v.exactOptional(v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(100_000))),
  /** alpha; null: beta / replicas. */
  movingRate: v.exactOptional(v.nullable(v.pipe(positive, v.maxValue(1)))),
  /** beta */
  elasticRate: v.exactOptional(v.pipe(positive, v.maxValue(2))),
  staleness: v.exactOptional(stalenessPolicySchema),
});

export type OperatorChanges = v.InferOutput<typeof operatorChangesSchema>;
export type ChangedSetting = keyof OperatorChanges;

const requestSchema = v.variant("kind", [
  /** Everybody waits, connected. */
  v.strictObject({ kind: v.literal("pause") }),
  v.strictObject({ kind: v.literal("resume") }),
  /** Off at once; its id does not come back. */
  v.strictObject({ kind: v.literal("kick"), replica }),
  /** It, or everybody where null, completes its exchange and leaves; nobody joins a run that drains. */
  v.strictObject({ kind: v.literal("drain"), replica: v.nullable(replica) }),
  v.strictObject({ kind: v.literal("retune"), changes: operatorChangesSchema }),
  /** The run ends, as by Ctrl+C. */
  v.strictObject({ kind: v.literal("finish") }),
]);

export type OperatorRequest = v.InferOutput<typeof requestSchema>;

/** The request, or a sentence that names the field, what was found and what is accepted. */
export function readOperatorRequest(value: unknown): OperatorRequest | { readonly problem: string } {
  const checked = v.safeParse(requestSchema, value);
  if (checked.success) return checked.output;
  const [issue] = checked.issues;
  return { problem: `The request has a wrong field "${v.getDotPath(issue) ?? ""}": ${issue.message}` };
}

/** What the coordinator answers: a sentence on what was done, or (with a status of 4xx) on why not. */
export type OperatorAnswer = { readonly done: string } | { readonly problem: string };
