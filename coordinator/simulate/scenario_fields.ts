/**
 * The fields of a scenario, beside those of the solver, which are a run's (run_fields.ts): what is accepted, the default, and
 * how text from the command line becomes a value. `scenario.ts` reads them; `drove simulate` makes its flags from them.
 */

import * as v from "valibot";
import { CODEC_NAMES } from "../../shared/wire/codec/codec.ts";
import { asIs, asNumber } from "../field_values.ts";
import { FIELDS } from "../run_fields.ts";
import type { SlownessFactors, StepTimes } from "./step_times.ts";

const atLeast0 = v.pipe(v.number(), v.finite(), v.minValue(0));
const above0 = v.pipe(v.number(), v.finite(), v.gtValue(0));
const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(1));
const share = v.pipe(v.number(), v.gtValue(0), v.maxValue(1));
/** One for all replicas, or one for each. */
const forReplicas = <S extends v.GenericSchema<unknown, number | null>>(schema: S) =>
  v.union([schema, v.pipe(v.array(schema), v.minLength(1))]);

function asNumbers(value: unknown): unknown {
  return typeof value === "string" && value.includes(",") ? value.split(",").map(asNumber) : asNumber(value);
}

function asList(value: unknown): unknown {
  return typeof value === "string" ? value.split(",").map(asNumber) : value;
}

function asYesOrNo(value: unknown): unknown {
  return value === "yes" ? true : value === "no" ? false : value;
}

function asStepTimes(value: unknown): unknown {
  if (typeof value !== "string") return value;
  const [kind, amount] = value.split(":");
  if (amount === undefined) return { kind };
  if (kind === "lognormal") return { kind, sigma: asNumber(amount) };
  if (kind === "uniform") return { kind, spread: asNumber(amount) };
  if (kind === "trace") return { kind, seconds: asList(amount) };
  return value;
}

function asFactors(value: unknown): unknown {
  if (typeof value !== "string") return value;
  const [kind, amount] = value.split(":");
  return kind === "lognormal" && amount !== undefined ? { kind, sigma: asNumber(amount) } : asList(value);
}

function asChurn(value: unknown): unknown {
  if (typeof value !== "string") return value;
  const [lifetime, absence, ...rest] = value.split(":").map(asNumber);
  if (absence === undefined || rest.length > 0) return value;
  return { kind: "rates", meanLifetimeSeconds: lifetime, meanAbsenceSeconds: absence };
}

const stepTimes = v.variant("kind", [
  v.strictObject({ kind: v.literal("fixed") }),
  v.strictObject({ kind: v.literal("exponential") }),
  v.strictObject({ kind: v.literal("lognormal"), sigma: atLeast0 }),
  v.strictObject({ kind: v.literal("uniform"), spread: v.pipe(v.number(), v.minValue(0), v.maxValue(1)) }),
  v.strictObject({ kind: v.literal("trace"), seconds: v.pipe(v.array(above0), v.minLength(1)) }),
]);
const slownessFactors = v.union([v.array(above0), v.strictObject({ kind: v.literal("lognormal"), sigma: atLeast0 })]);
const churnSchema = v.nullable(
  v.variant("kind", [
    v.strictObject({ kind: v.literal("rates"), meanLifetimeSeconds: above0, meanAbsenceSeconds: atLeast0 }),
    v.strictObject({
      kind: v.literal("times"),
      spans: v.array(
        v.strictObject({
          replica: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
          joinSeconds: atLeast0,
          leaveSeconds: v.nullable(atLeast0),
        }),
      ),
    }),
  ]),
);

const FIXED: StepTimes = { kind: "fixed" };
const ALIKE: SlownessFactors = [];

/** The solver's own numbers: the same fields as a run's. */
const SOLVER_FIELDS = {
  solver: FIELDS.solver,
  exchange: FIELDS.exchange,
  batch: FIELDS.batch,
  communicationPeriod: FIELDS.communicationPeriod,
  learningRate: FIELDS.learningRate,
  momentum: FIELDS.momentum,
  weightDecay: FIELDS.weightDecay,
  optimizer: FIELDS.optimizer,
  schedule: FIELDS.schedule,
  warmUp: FIELDS.warmUp,
  elasticRate: FIELDS.elasticRate,
  movingRate: FIELDS.movingRate,
  staleness: FIELDS.staleness,
  delayCompensation: FIELDS.delayCompensation,
  outerLearningRate: FIELDS.outerLearningRate,
  outerMomentum: FIELDS.outerMomentum,
  nesterovDelay: FIELDS.nesterovDelay,
  groups: FIELDS.groups,
  shares: FIELDS.shares,
  periods: FIELDS.periods,
} as const;

/** A simulation is of the solver alone, unless a codec is named. */
const CODEC = {
  schema: v.picklist(CODEC_NAMES),
  initial: "f32",
  fromText: asIs,
  accepted: `one of ${CODEC_NAMES.join(", ")}`,
  placeholder: "NAME",
} as const;

/** How vectors travel, likewise. */
const WIRE_FIELDS = {
  codecUp: { ...CODEC, help: `how pushes are encoded: ${CODEC_NAMES.join(", ")}` },
  codecDown: { ...CODEC, help: "how the center comes down: f32 whole, the others as changes encoded once for all" },
  fragments: FIELDS.fragments,
} as const;

const CIRCUMSTANCES = {
  model: { ...FIELDS.model, initial: "mlp" },
  data: FIELDS.data,
  applier: FIELDS.applier,
  applierThreads: FIELDS.applierThreads,
  seed: FIELDS.seed,
  replicas: {
    schema: v.pipe(whole, v.maxValue(100_000)),
    initial: 4,
    fromText: asNumber,
    accepted: "a whole number from 1 to 100000",
    placeholder: "N",
    help: "virtual replicas",
  },
  trainExamples: {
    schema: v.nullable(whole),
    initial: null,
    fromText: asNumber,
    accepted: "a whole number of training images, or null in a file for all",
    placeholder: "N",
    help: "train on the first N images only",
  },
  gradients: {
    schema: v.boolean(),
    initial: true,
    fromText: asYesOrNo,
    accepted: `"yes" or "no"; in a file true or false`,
    placeholder: "yes|no",
    help: "no: nothing is trained, only who meets the center when is simulated",
  },
  stepSeconds: {
    schema: forReplicas(above0),
    initial: 0.01,
    fromText: asNumbers,
    accepted: "seconds above 0, one number for all replicas or a list with one for each",
    placeholder: "SECONDS",
    help: "what a local step takes on average; A,B,C gives each replica its own",
  },
  stepTimes: {
    schema: stepTimes,
    initial: FIXED,
    fromText: asStepTimes,
    accepted: `"fixed", "exponential", "lognormal:SIGMA", "uniform:SPREAD" or "trace:S1,S2,…"; in a file {"kind": "lognormal", "sigma": S}, {"kind": "uniform", "spread": 0 to 1}, {"kind": "trace", "seconds": [S1, …]}`,
    placeholder: "KIND",
    help: "how step times are distributed: fixed, exponential, lognormal:SIGMA, uniform:SPREAD or trace:S1,S2,…",
  },
  slowness: {
    schema: slownessFactors,
    initial: ALIKE,
    fromText: asFactors,
    accepted: `a list of factors above 0 such as "1,1,10", or "lognormal:SIGMA"; in a file [1, 1, 10] or {"kind": "lognormal", "sigma": S}`,
    placeholder: "FACTORS",
    help: "how many times slower each replica is: A,B,C (1 where the list ends) or lognormal:SIGMA",
  },
  latencySeconds: {
    schema: forReplicas(atLeast0),
    initial: 0,
    fromText: asNumbers,
    accepted: "seconds from 0, one number for all replicas or a list with one for each",
    placeholder: "SECONDS",
    help: "of a message, one way",
  },
  upBytesPerSecond: {
    schema: forReplicas(v.nullable(above0)),
    initial: null,
    fromText: asNumbers,
    accepted: "bytes per second above 0, one number or a list, or null in a file for no bound",
    placeholder: "BYTES",
    help: "from a replica to the center; without it pushes take the latency only",
  },
  downBytesPerSecond: {
    schema: forReplicas(v.nullable(above0)),
    initial: null,
    fromText: asNumbers,
    accepted: "bytes per second above 0, one number or a list, or null in a file for no bound",
    placeholder: "BYTES",
    help: "from the center to a replica; without it answers take the latency only",
  },
  payloadBytes: {
    schema: v.nullable(atLeast0),
    initial: null,
    fromText: asNumber,
    accepted: "bytes from 0, or null in a file for 4 per parameter",
    placeholder: "BYTES",
    help: "of a push and of an answer in f32, of which a codec takes its share; 4 per parameter where left out",
  },
  topology: {
    schema: v.picklist(["parallel", "serial", "tree"]),
    initial: "parallel",
    fromText: asIs,
    accepted: `"parallel", "serial" or "tree"`,
    placeholder: "KIND",
    help: "parallel: every replica has a link of its own; serial: one message at a time; tree: barriers reduce and broadcast in log2 P hops",
  },
  applySeconds: {
    schema: atLeast0,
    initial: 0.0005,
    fromText: asNumber,
    accepted: "seconds from 0",
    placeholder: "SECONDS",
    help: "what one apply takes at the center",
  },
  lockSeconds: {
    schema: v.nullable(atLeast0),
    initial: null,
    fromText: asNumber,
    accepted: "seconds from 0, or null in a file for as long as an apply",
    placeholder: "SECONDS",
    help: "how long a locked apply holds the lock; as long as it takes where left out",
  },
  accumulateSeconds: {
    schema: v.nullable(atLeast0),
    initial: null,
    fromText: asNumber,
    accepted: "seconds from 0, or null in a file for as long as an apply",
    placeholder: "SECONDS",
    help: "what adding one push to a barrier's or a group's sum takes, one after the other; as long as an apply where left out",
  },
  tornRanges: {
    schema: v.pipe(whole, v.maxValue(64)),
    initial: 4,
    fromText: asNumber,
    accepted: "a whole number from 1 to 64",
    placeholder: "N",
    help: "ranges in which a lock-free apply is done over its time, others between them",
  },
  overlap: {
    schema: v.nullable(v.boolean()),
    initial: null,
    fromText: asYesOrNo,
    accepted: `"yes" or "no"; in a file true, false, or null for what the solver does`,
    placeholder: "yes|no",
    help: "whether replicas train on while an exchange is in flight; as the solver does where left out",
  },
  churn: {
    schema: churnSchema,
    initial: null,
    fromText: asChurn,
    accepted: `"LIFETIME:ABSENCE" in mean seconds; in a file {"kind": "rates", "meanLifetimeSeconds": L, "meanAbsenceSeconds": A}, {"kind": "times", "spans": [{"replica": 0, "joinSeconds": J, "leaveSeconds": L or null}]} or null`,
    placeholder: "L:A",
    help: "replicas leave after L seconds on average and come back after A",
  },
  virtualSeconds: {
    schema: v.nullable(above0),
    initial: null,
    fromText: asNumber,
    accepted: "seconds above 0, or null in a file",
    placeholder: "SECONDS",
    help: "end after so much virtual time",
  },
  steps: {
    schema: v.nullable(whole),
    initial: null,
    fromText: asNumber,
    accepted: "a whole number from 1, or null in a file",
    placeholder: "N",
    help: "end after so many local steps of all replicas together",
  },
  centerSteps: {
    schema: v.nullable(whole),
    initial: null,
    fromText: asNumber,
    accepted: "a whole number from 1, or null in a file",
    placeholder: "N",
    help: "end when the center has this version",
  },
  samples: {
    schema: v.nullable(whole),
    initial: null,
    fromText: asNumber,
    accepted: "a whole number from 1, or null in a file",
    placeholder: "N",
    help: "end when the center has learned from so many samples",
  },
  targetAccuracy: {
    schema: v.nullable(share),
    initial: null,
    fromText: asNumber,
    accepted: "a share above 0 and up to 1, such as 0.95, or null in a file",
    placeholder: "SHARE",
    help: "end when an evaluation finds this share of the test images right",
  },
  targets: {
    schema: v.array(share),
    initial: [] as readonly number[],
    fromText: asList,
    accepted: `shares above 0 and up to 1, such as "0.9,0.95"; in a file a list`,
    placeholder: "SHARES",
    help: "accuracies whose virtual time is reported",
  },
  evaluateEverySeconds: {
    schema: v.nullable(above0),
    initial: null,
    fromText: asNumber,
    accepted: "virtual seconds above 0, or null in a file",
    placeholder: "SECONDS",
    help: "virtual time between two evaluations of the center",
  },
  evaluateEverySamples: {
    schema: v.nullable(whole),
    initial: null,
    fromText: asNumber,
    accepted: "a whole number from 1, or null in a file",
    placeholder: "N",
    help: "samples between two evaluations; 5,000 where neither is given",
  },
  testImages: {
    schema: whole,
    initial: 1000,
    fromText: asNumber,
    accepted: "a whole number from 1",
    placeholder: "N",
    help: "test images of one evaluation, the same each time",
  },
} as const;

export const SCENARIO_FIELDS = { ...SOLVER_FIELDS, ...WIRE_FIELDS, ...CIRCUMSTANCES } as const;

export type ScenarioField = keyof typeof SCENARIO_FIELDS;

export function isScenarioField(text: string): text is ScenarioField {
  return Object.hasOwn(SCENARIO_FIELDS, text);
}

export function scenarioFlagOf(field: ScenarioField): string {
  return `--${field.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
