/**
 * Everything that a run needs, in one schema-checked object: defaults, then the run file (`drove.run.json`), then the
 * flags of the command line. Wrong input is refused with a sentence that names the field, what was found and what is
 * accepted. `run_fields.ts` lists the fields; volunteers get theirs from `settingsFor`, never from a file of their own.
 */

import * as v from "valibot";
import type { Augmentation } from "../shared/engine/dice.ts";
import { MODELS, type ModelName } from "../shared/model/catalogue.ts";
import type { ParameterLayout } from "../shared/model/layout.ts";
import type { ModelDescription } from "../shared/model/model.ts";
import type { RunSettings } from "../shared/run_settings.ts";
import { solverOf, type Solver } from "../shared/solver/catalogue.ts";
import { replicaRuleOf } from "../shared/solver/replica_rule.ts";
import { movingRateFor } from "../shared/solver/rule.ts";
import type { SolverSettings } from "../shared/solver/settings.ts";
import { FIELDS, flagOf, isFieldName, type FieldName } from "./run_fields.ts";

export type TlsConfig = "self-signed" | { readonly certificate: string; readonly key: string };

/** How pushes reach the center: `auto` is what the solver's order says; the others are its twins, for comparison. */
export type ApplierChoice = "auto" | "lock-free" | "compare-and-swap" | "locked";

export interface RunConfig extends SolverSettings {
  /** null: the first free one of `<model>-<data>-<solver>-<n>`. */
  readonly name: string | null;
  /** Of the catalogue, or a user's own. */
  readonly model: ModelName | ModelDescription;
  /** "mnist", "cifar10", or the name of an imported data set. */
  readonly data: string;
  readonly clipNorm: number | null;
  /** The batch that the learning rate was found for: it grows in proportion (Goyal et al. 2017). null: it is taken as it is. */
  readonly scaledFrom: number | null;
  readonly augmentation: Augmentation;
  readonly applier: ApplierChoice;
  /** Omnivore's optimizer chooses groups, momentum and learning rate as the run goes. */
  readonly autotune: boolean;
  readonly backend: "auto" | "webgpu" | "wasm";
  readonly seed: number;
  /** A share of the test images, 0 to 1. */
  readonly targetAccuracy: number | null;
  readonly maxMinutes: number | null;
  /** Headless volunteers that `drove train` starts on this machine. */
  readonly volunteers: number;
  readonly applierThreads: number;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly tls: TlsConfig | null;
  readonly checkpointIntervalMs: number;
  readonly runsFolder: string;
}

/** Somebody wrote something that a run cannot be made of; the message is one sentence with the fix. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

export interface ConfigSources {
  /** What a command takes where nobody says anything, if not the field's own default. */
  readonly defaults?: Readonly<Partial<Record<FieldName, unknown>>>;
  /** The parsed run file and its path, for messages. */
  readonly file?: { readonly path: string; readonly value: unknown };
  /** What the command line said; numbers may still be text. */
  readonly flags?: Readonly<Partial<Record<FieldName, unknown>>>;
}

export function readConfig(sources: ConfigSources = {}): RunConfig {
  const given = new Map<FieldName, { readonly value: unknown; readonly source: string }>();
  if (sources.file) {
    for (const [field, value] of fieldsOfFile(sources.file)) {
      given.set(field, { value, source: `${sources.file.path}: "${field}"` });
    }
  }
  for (const [field, value] of Object.entries(sources.flags ?? {})) {
    if (!isFieldName(field)) throw new Error(`invariant violation: a flag of no field, "${field}"`);
    if (value === undefined) continue;
    given.set(field, { value: FIELDS[field].fromText(value), source: flagOf(field) });
  }
  const read = <F extends FieldName>(field: F): v.InferOutput<(typeof FIELDS)[F]["schema"]> => {
    const found = given.get(field);
    const { schema, accepted, initial } = FIELDS[field];
    const checked = v.safeParse(schema, found ? found.value : (sources.defaults?.[field] ?? initial));
    if (checked.success) return checked.output;
    const wrong = (checked.issues as readonly v.BaseIssue<unknown>[])[0];
    const at = wrong && v.getDotPath(wrong);
    const inside = at === null || at === undefined ? "" : ` (at "${at}")`;
    throw new ConfigError(`${found?.source ?? field} is ${shown(found?.value)}${inside}; accepted is ${accepted}.`);
  };

  const model = read("model");
  const data = read("data");
  const solver = read("solver");
  const rule: Solver = solverOf(solver);
  // What a solver fixes is its default too: one gradient per exchange, no momentum where it has none, Nesterov's where prescribed.
  if (rule.rule === "gradient" && !given.has("communicationPeriod"))
    given.set("communicationPeriod", { value: 1, source: "" });
  if (rule.momentum === "none" && !given.has("momentum")) given.set("momentum", { value: 0, source: "" });
  const prescribed = replicaRuleOf(solver, "one-round-trip").optimizer;
  if (prescribed && !given.has("optimizer")) given.set("optimizer", { value: prescribed, source: "" });

  const config: RunConfig = {
    name: read("name"),
    model,
    data,
    solver,
    exchange: read("exchange"),
    batch: read("batch"),
    communicationPeriod: read("communicationPeriod"),
    learningRate: read("learningRate"),
    momentum: read("momentum"),
    weightDecay: read("weightDecay"),
    optimizer: read("optimizer"),
    clipNorm: read("clipNorm"),
    schedule: read("schedule"),
    warmUp: read("warmUp"),
    augmentation: read("augmentation"),
    elasticRate: read("elasticRate"),
    movingRate: read("movingRate"),
    staleness: read("staleness"),
    delayCompensation: read("delayCompensation"),
    outerLearningRate: read("outerLearningRate"),
    outerMomentum: read("outerMomentum"),
    nesterovDelay: read("nesterovDelay"),
    groups: read("groups"),
    shares: read("shares"),
    periods: read("periods"),
    scaledFrom: read("scaledFrom"),
    applier: read("applier"),
    autotune: read("autotune"),
    backend: read("backend"),
    seed: read("seed"),
    targetAccuracy: read("targetAccuracy"),
    maxMinutes: read("maxMinutes"),
    volunteers: read("volunteers"),
    applierThreads: read("applierThreads"),
    host: read("host"),
    port: read("port"),
    tls: read("tls"),
    checkpointIntervalMs: read("checkpointIntervalMs"),
    runsFolder: read("runsFolder"),
  };
  refuseContradictions(config, rule, (field) => given.get(field)?.source || flagOf(field));
  return config;
}

export function modelOf({ model }: Pick<RunConfig, "model">): ModelDescription {
  return typeof model === "string" ? MODELS[model] : model;
}

export interface SettingsParts {
  /** The run's name. */
  readonly run: string;
  /** The data set in words and numbers, and where its shards are. */
  readonly data: RunSettings["data"];
  readonly layout: ParameterLayout;
}

/** What every volunteer is told (SPEC H2). */
export function settingsFor(config: RunConfig, { run, data, layout }: SettingsParts): RunSettings {
  const { momentum: place } = SOLVERS[config.solver];
  const model = modelOf(config);
  return {
    run,
    model: { ...model, layers: [...model.layers] },
    layoutHash: layout.hash,
    data,
    solver: config.solver,
    exchange: config.exchange,
    movingRate: config.movingRate ?? movingRateFor(config.elasticRate, config.volunteers),
    batch: config.batch,
    communicationPeriod: config.communicationPeriod,
    learningRate: config.learningRate,
    momentum: place === "replica" || place === "optional-replica" ? config.momentum : 0,
    weightDecay: config.weightDecay,
    optimizer: { kind: config.optimizer, ...(config.clipNorm === null ? {} : { clipNorm: config.clipNorm }) },
    schedule: { decay: config.schedule, warmUpSteps: config.warmUp },
    augmentation: config.augmentation,
    seed: config.seed,
    backend: config.backend,
    targetAccuracy: config.targetAccuracy,
  };
}

function fieldsOfFile(file: { readonly path: string; readonly value: unknown }): [FieldName, unknown][] {
  const { path, value } = file;
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ConfigError(`${path} holds ${shown(value)}; accepted is a JSON object such as {"model": "lenet"}.`);
  }
  return Object.entries(value).map(([field, content]): [FieldName, unknown] => {
    if (isFieldName(field)) return [field, content];
    throw new ConfigError(
      `${path} has the field "${field}", which no run has; accepted are ${Object.keys(FIELDS).join(", ")}.`,
    );
  });
}

function refuseContradictions(config: RunConfig, rule: Solver, sourceOf: (field: FieldName) => string): void {
  const { solver } = config;
  if (rule.momentum === "none" && config.momentum !== 0) {
    throw new ConfigError(
      `${sourceOf("momentum")} is ${config.momentum}, but the solver ${solver} has no momentum; leave it out, or use async-measgd.`,
    );
  }
  if (rule.rule === "gradient" && config.communicationPeriod !== 1) {
    throw new ConfigError(
      `${sourceOf("communicationPeriod")} is ${config.communicationPeriod}, but the solver ${solver} pushes every gradient; accepted is 1.`,
    );
  }
  if (rule.rule === "gradient") refuseReplicasOptimizer(config, sourceOf);
  if (config.optimizer === "nesterov" && config.momentum === 0) {
    throw new ConfigError(
      `${sourceOf("optimizer")} is "nesterov", but the momentum is 0; set --momentum, with a solver that has one, or leave it out.`,
    );
  }
  if (config.optimizer === "adamw" && config.momentum < 0) {
    throw new ConfigError(
      `${sourceOf("momentum")} is ${config.momentum}, but adamw takes the mean of gradients with it; accepted is 0 to 0.999.`,
    );
  }
  if (rule.rule === "gradient" && config.exchange !== "one-round-trip") {
    throw new ConfigError(
      `${sourceOf("exchange")} is "${config.exchange}", which only elastic solvers have; with ${solver} leave it out.`,
    );
  }
  // The replica computes the difference itself there, so its rate cannot follow the number of replicas.
  if (config.exchange === "two-round-trip" && config.movingRate === null && config.volunteers === 0) {
    throw new ConfigError(
      `${sourceOf("exchange")} is "two-round-trip", which needs a fixed moving rate; add --moving-rate, for example 0.9 divided by the replicas that you expect.`,
    );
  }
}

/** The center takes the step there, by its own rule (SPEC X15). */
function refuseReplicasOptimizer(config: RunConfig, sourceOf: (field: FieldName) => string): void {
  const { solver } = config;
  const unused = (
    [
      ["optimizer", config.optimizer, config.optimizer !== "momentum"],
      ["clipNorm", config.clipNorm, config.clipNorm !== null],
      ["weightDecay", config.weightDecay, config.weightDecay !== 0],
    ] as const
  ).find(([, , isUnused]) => isUnused);
  if (!unused) return;
  throw new ConfigError(
    `${sourceOf(unused[0])} is ${shown(unused[1])}, but with the solver ${solver} the center takes the steps, by momentum alone; leave it out, or choose an elastic solver.`,
  );
}

export function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;
}

function shown(value: unknown): string {
  const text = typeof value === "number" ? String(value) : (JSON.stringify(value) ?? "missing");
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
