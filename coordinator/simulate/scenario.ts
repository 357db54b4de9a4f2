/**
 * A scenario: the solver's numbers and the circumstances under which it is simulated, as one flat JSON object. What is left
 * out has a default; what is wrong is refused with the field, what was found and what is accepted.
 */

import * as v from "valibot";
import type { ModelName } from "../../shared/model/catalogue.ts";
import type { ModelDescription } from "../../shared/model/model.ts";
import { solverOf, type Solver } from "../../shared/solver/catalogue.ts";
import { replicaRuleOf } from "../../shared/solver/replica_rule.ts";
import type { SolverSettings } from "../../shared/solver/settings.ts";
import type { CodecName } from "../../shared/wire/codec/codec.ts";
import { ConfigError, type ApplierChoice } from "../run_config.ts";
import { isScenarioField, SCENARIO_FIELDS, scenarioFlagOf, type ScenarioField } from "./scenario_fields.ts";
import type { SlownessFactors, StepTimes } from "./step_times.ts";

/** Who is there when. */
type Churn =
  /** Exponential lifetimes and absences. A replica comes back as a new one would. */
  | { readonly kind: "rates"; readonly meanLifetimeSeconds: number; readonly meanAbsenceSeconds: number }
  /** A replica without a span is there all the time. */
  | {
      readonly kind: "times";
      readonly spans: readonly {
        readonly replica: number;
        readonly joinSeconds: number;
        readonly leaveSeconds: number | null;
      }[];
    };

/** `scenario_fields.ts` says what each field means. */
export interface CompleteScenario extends SolverSettings {
  readonly model: ModelName | ModelDescription;
  readonly data: string;
  readonly codecUp: CodecName;
  readonly codecDown: CodecName;
  readonly fragments: number;
  readonly trainExamples: number | null;
  readonly replicas: number;
  readonly seed: number;
  readonly gradients: boolean;
  /** Of a whole batch; a share of one takes its share of the time. */
  readonly stepSeconds: number | readonly number[];
  readonly stepTimes: StepTimes;
  readonly slowness: SlownessFactors;
  readonly latencySeconds: number | readonly number[];
  readonly upBytesPerSecond: number | null | readonly (number | null)[];
  readonly downBytesPerSecond: number | null | readonly (number | null)[];
  readonly payloadBytes: number | null;
  readonly topology: "parallel" | "serial" | "tree";
  readonly applier: ApplierChoice;
  readonly applierThreads: number;
  readonly applySeconds: number;
  readonly lockSeconds: number | null;
  readonly accumulateSeconds: number | null;
  readonly tornRanges: number;
  readonly overlap: boolean | null;
  readonly churn: Churn | null;
  /** The first of these bounds that is met ends the simulation. */
  readonly virtualSeconds: number | null;
  readonly steps: number | null;
  readonly centerSteps: number | null;
  readonly samples: number | null;
  readonly targetAccuracy: number | null;
  readonly targets: readonly number[];
  readonly evaluateEverySeconds: number | null;
  readonly evaluateEverySamples: number | null;
  readonly testImages: number;
}

/** As it is written: every field has a default. */
export type Scenario = Partial<CompleteScenario>;

/** Two epochs of MNIST, where nobody says when it ends. */
const DEFAULT_SAMPLES = 120_000;
const DEFAULT_EVALUATION_SAMPLES = 5000;

/** Where a value came from, for sentences: a flag or a field of a file. */
export interface ScenarioSource {
  /** Parsed, with the file's name. */
  readonly file?: { readonly path: string; readonly value: unknown };
  /** Still text where they are numbers. */
  readonly flags?: Readonly<Partial<Record<ScenarioField, unknown>>>;
}

/** Throws a `ConfigError`. */
export function completeScenario(scenario: Scenario): CompleteScenario {
  return readScenario({ file: { path: "the scenario", value: scenario } });
}

/** Throws a `ConfigError`. Flags win over the file. */
export function readScenario({ file, flags = {} }: ScenarioSource): CompleteScenario {
  const given = new Map<ScenarioField, { readonly value: unknown; readonly source: string }>();
  if (file)
    for (const [field, value] of fieldsOf(file)) given.set(field, { value, source: `${file.path}: "${field}"` });
  for (const [field, value] of Object.entries(flags)) {
    if (!isScenarioField(field)) throw new Error(`invariant violation: a flag of no field, "${field}"`);
    if (value === undefined) continue;
    given.set(field, { value: SCENARIO_FIELDS[field].fromText(value), source: scenarioFlagOf(field) });
  }
  const read = <F extends ScenarioField>(field: F): v.InferOutput<(typeof SCENARIO_FIELDS)[F]["schema"]> => {
    const found = given.get(field);
    const { schema, accepted, initial } = SCENARIO_FIELDS[field];
    const checked = v.safeParse(schema, found ? found.value : initial);
    if (checked.success) return checked.output;
    throw new ConfigError(`${found?.source ?? field} is ${shown(found?.value)}; accepted is ${accepted}.`);
  };
  const rule: Solver = solverOf(read("solver"));
  for (const [field, value] of implied(rule, replicaRuleOf(read("solver"), "one-round-trip").optimizer)) {
    if (!given.has(field)) given.set(field, { value, source: "" });
  }
  const names = Object.keys(SCENARIO_FIELDS).filter(isScenarioField);
  // Every field is read with its own schema, so the object is what the type says.
  const scenario = Object.fromEntries(names.map((field) => [field, read(field)])) as unknown as CompleteScenario;
  refuseContradictions(scenario, rule, (field) => given.get(field)?.source || scenarioFlagOf(field));
  return withBounds(scenario);
}

/** What a solver fixes is its default too, as in a run (run_config.ts). */
function implied(rule: Solver, optimizer: string | undefined): [ScenarioField, unknown][] {
  return [
    ...(rule.rule === "gradient" ? [["communicationPeriod", 1] satisfies [ScenarioField, unknown]] : []),
    ...(rule.momentum === "none" ? [["momentum", 0] satisfies [ScenarioField, unknown]] : []),
    ...(optimizer === undefined ? [] : [["optimizer", optimizer] satisfies [ScenarioField, unknown]]),
  ];
}

/** Of what a run refuses (run_contradictions.ts) that which cannot be simulated; an unstable step size can. */
function refuseContradictions(
  scenario: CompleteScenario,
  rule: Solver,
  sourceOf: (field: ScenarioField) => string,
): void {
  const { solver, momentum, communicationPeriod, overlap, replicas, exchange, groups } = scenario;
  const { codecUp, codecDown, fragments } = scenario;
  const isGradient = rule.rule === "gradient";
  const isTwice = exchange === "two-round-trip";
  const isDirect = rule.order !== "barrier" && rule.order !== "round-robin" && groups === null;
  const contradictions: readonly [field: ScenarioField, isSo: boolean, why: string][] = [
    [
      "momentum",
      rule.momentum === "none" && momentum !== 0,
      `the solver ${solver} has no momentum; leave it out, or use async-msgd or async-measgd.`,
    ],
    [
      "communicationPeriod",
      isGradient && communicationPeriod !== 1,
      `the solver ${solver} pushes every gradient; accepted is 1.`,
    ],
    [
      "overlap",
      isGradient && overlap === true,
      `the solver ${solver} takes its gradients at the center that it waits for; leave it out.`,
    ],
    [
      "exchange",
      isTwice && (rule.rule !== "elastic" || rule.order === "barrier" || groups !== null),
      "only elastic solvers in which every replica moves the center by itself have that; leave it out.",
    ],
    [
      "groups",
      groups !== null && (rule.order === "round-robin" || (rule.order === "barrier" && groups > 1)),
      `the solver ${solver} has none; leave it out, or use async-easgd or async-msgd.`,
    ],
    [
      "codecUp",
      codecUp !== "f32" && isTwice,
      "a replica that has moved by a difference has to send all of it; leave it out, or use one round trip.",
    ],
    [
      "codecDown",
      codecDown !== "f32" && groups !== null && rule.rule === "elastic" && rule.order !== "barrier",
      "an elastic compute group is answered with its own mean, not with the center; leave it or the groups out.",
    ],
    [
      "fragments",
      fragments > 1 && (isGradient || rule.rule === "pseudo-gradient" || !isDirect || isTwice),
      "only ea-wild, async-easgd, async-measgd, eamsgd and downpour, each replica by itself and with one round trip, exchange a part at a time; leave it out.",
    ],
  ];
  for (const [field, isSo, why] of contradictions) {
    if (isSo) throw new ConfigError(`${sourceOf(field)} is ${shown(scenario[field])}, but ${why}`);
  }
  for (const field of ["stepSeconds", "latencySeconds", "upBytesPerSecond", "downBytesPerSecond"] as const) {
    const value = scenario[field];
    if (!isList(value) || value.length >= replicas) continue;
    throw new ConfigError(
      `${sourceOf(field)} has ${value.length} numbers, but there are ${replicas} replicas; accepted is one number for all or a list with one for each.`,
    );
  }
}

function isList(value: number | null | readonly (number | null)[]): value is readonly (number | null)[] {
  return Array.isArray(value);
}

/** A scenario without an end, or without evaluations, gets them. */
function withBounds(scenario: CompleteScenario): CompleteScenario {
  const { virtualSeconds, steps, centerSteps, samples, evaluateEverySeconds, evaluateEverySamples } = scenario;
  const isEndless = virtualSeconds === null && steps === null && centerSteps === null && samples === null;
  const isUnseen = evaluateEverySeconds === null && evaluateEverySamples === null;
  return {
    ...scenario,
    samples: isEndless ? DEFAULT_SAMPLES : samples,
    evaluateEverySamples: isUnseen ? DEFAULT_EVALUATION_SAMPLES : evaluateEverySamples,
  };
}

function fieldsOf({ path, value }: { readonly path: string; readonly value: unknown }): [ScenarioField, unknown][] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ConfigError(`${path} is ${shown(value)}; accepted is a JSON object such as {"solver": "ea-wild"}.`);
  }
  return Object.entries(value)
    .filter(([, content]) => content !== undefined)
    .map(([field, content]): [ScenarioField, unknown] => {
      if (isScenarioField(field)) return [field, content];
      throw new ConfigError(
        `${path} has the field "${field}", which no scenario has; accepted are ${Object.keys(SCENARIO_FIELDS).join(", ")}.`,
      );
    });
}

function shown(value: unknown): string {
  const text = typeof value === "number" ? String(value) : (JSON.stringify(value) ?? "missing");
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/** The value of a replica, where one number is for all or a list has one for each. */
export function ofReplica<T extends number | null>(value: T | readonly T[], replica: number): T {
  const own = isArray(value) ? value[replica] : value;
  if (own === undefined) throw new Error(`invariant violation: nothing given for replica ${replica}`);
  return own;
}

function isArray<T>(value: T | readonly T[]): value is readonly T[] {
  return Array.isArray(value);
}
