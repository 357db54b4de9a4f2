/**
 * Everything that a run needs, in one schema-checked object: defaults, then the run file (`drove.run.json`), then the
 * flags of the command line. Wrong input is refused with a sentence that names the field, what was found and what is
 * accepted. `run_fields.ts` lists the fields; volunteers get theirs from `settingsFor`, never from a file of their own.
 */

import * as v from "valibot";
import type { BackendWish } from "../shared/backends.ts";
import type { CodecName } from "../shared/wire/codec/codec.ts";
import type { Augmentation } from "../shared/engine/dice.ts";
import { MODELS, type ModelName } from "../shared/model/catalogue.ts";
import type { ParameterLayout } from "../shared/model/layout.ts";
import type { ModelDescription } from "../shared/model/model.ts";
import type { RunSettings } from "../shared/run_settings.ts";
import { solverOf, type SolverName } from "../shared/solver/catalogue.ts";
import { replicaRuleOf } from "../shared/solver/replica_rule.ts";
import { batchPartsOf } from "../shared/solver/groups.ts";
import type { SolverSettings } from "../shared/solver/settings.ts";
import { codecsFor } from "./codec_defaults.ts";
import { refuseContradictions } from "./run_contradictions.ts";
import { didYouMean } from "./closest.ts";
import { ConfigError, shown } from "./config_error.ts";
import { FIELDS, flagOf, isFieldName, type FieldName } from "./run_fields.ts";

export { ConfigError } from "./config_error.ts";

export type TlsConfig = "self-signed" | { readonly certificate: string; readonly key: string };

/** How pushes reach the center: `auto` is what the solver's order says; the others are its twins, for comparison. */
export type ApplierChoice = "auto" | "lock-free" | "compare-and-swap" | "locked";

export interface RunConfig extends SolverSettings {
  /** null: the first free one of `<model>-<data>-<solver>-<n>`. */
  readonly name: string | null;
  /** Of the catalogue, or a user's own. */
  readonly model: ModelName | ModelDescription;
  /** "mnist", "fashion-mnist", "cifar10", or the name of an imported data set. */
  readonly data: string;
  readonly clipNorm: number | null;
  /** Samples of the center's step that the learning rate was found for (`learningRateOf`). null: it is taken as it is. */
  readonly scaledFrom: number | null;
  readonly augmentation: Augmentation;
  readonly applier: ApplierChoice;
  /** Omnivore's optimizer chooses groups, momentum and learning rate as the run goes. */
  readonly autotune: boolean;
  /** Of pushes and of the center (SPEC C). */
  readonly codecUp: CodecName;
  readonly codecDown: CodecName;
  readonly fragments: number;
  readonly transport: RunSettings["transport"];
  readonly lossy: boolean;
  readonly iceServers: RunSettings["iceServers"];
  readonly peers: boolean;
  readonly backend: BackendWish;
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
    const near = didYouMean(found?.value, field === "model" ? Object.keys(MODELS) : picksOf(schema));
    throw new ConfigError(
      `${found?.source ?? field} is ${shown(found?.value)}${inside}; accepted is ${accepted}.${near}`,
    );
  };

  const model = read("model");
  const data = read("data");
  const solver = read("solver");
  for (const [field, value] of ownDefaults(solver)) if (!given.has(field)) given.set(field, { value, source: "" });

  const [codecUp, codecDown] = [read("codecUp"), read("codecDown")];
  const fitting = codecsFor(solver, read("exchange"), read("groups"));
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
    codecUp: codecUp === "auto" ? fitting.up : codecUp,
    codecDown: codecDown === "auto" ? fitting.down : codecDown,
    fragments: read("fragments"),
    transport: read("transport"),
    lossy: read("lossy"),
    iceServers: read("iceServers"),
    peers: read("peers"),
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
  refuseContradictions({
    config,
    sourceOf: (field) => given.get(field)?.source || flagOf(field),
  });
  return config;
}

/** Of all replicas together: five exchanges of the default period. */
const ELASTIC_WARM_UP_STEPS = 50;

/**
 * What a solver fixes is its default too: one gradient per exchange, no momentum where it has none, Nesterov's where prescribed. Momentum
 * on a replica begins in the steepest place: LeNet with batches of 32 diverged in its first steps in 1 of 10 simulated runs, with 50
 * steps of warm-up in none, and was as accurate after 6,000 images (2026-11-21). And momentum adds up: asynchrony brings some of its own (Mitliagkas et al. 2016), and so does the outer optimizer of diloco. With
 * the momentum of the other solvers both diverge on MNIST.
 */
function ownDefaults(solver: SolverName): [FieldName, unknown][] {
  const { rule, momentum, order } = solverOf(solver);
  const { optimizer } = replicaRuleOf(solver, "one-round-trip");
  const defaults: [FieldName, unknown][] = [];
  if (rule === "elastic") defaults.push(["warmUp", ELASTIC_WARM_UP_STEPS]);
  if (rule === "gradient") defaults.push(["communicationPeriod", 1]);
  if (momentum === "none" || momentum === "center-nesterov") defaults.push(["momentum", 0]);
  if (momentum === "center" && order !== "barrier") defaults.push(["momentum", 0.4], ["learningRate", 0.01]);
  if (optimizer) defaults.push(["optimizer", optimizer]);
  return defaults;
}

export function modelOf({ model }: Pick<RunConfig, "model">): ModelDescription {
  return typeof model === "string" ? MODELS[model] : model;
}

/**
 * Linear scaling (Goyal et al. 2017): the learning rate grows with the samples of one step. Those are the batch; of sync-sgd
 * without groups, whose step takes a batch of every replica, the batch times the volunteers that the run begins with.
 */
function learningRateOf({ solver, learningRate, batch, groups, volunteers, scaledFrom }: RunConfig): number {
  if (scaledFrom === null) return learningRate;
  const { rule, order } = solverOf(solver);
  const batches = rule === "gradient" && order === "barrier" && groups === null ? Math.max(1, volunteers) : 1;
  return (learningRate * batches * batch) / scaledFrom;
}

/** What replicas and center work with: the config's numbers, the learning rate scaled. */
export function solverSettingsOf(config: RunConfig): SolverSettings {
  return { ...config, learningRate: learningRateOf(config) };
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
  const solver = solverSettingsOf(config);
  const { hasMomentum, takesGradients } = replicaRuleOf(config.solver, config.exchange);
  const model = modelOf(config);
  return {
    run,
    model: { ...model, layers: [...model.layers] },
    layoutHash: layout.hash,
    data,
    solver: config.solver,
    exchange: config.exchange,
    batch: config.batch,
    // The autotuner will want groups.
    batchParts: batchPartsOf(solver, config.groups !== null || config.autotune),
    communicationPeriod: config.communicationPeriod,
    learningRate: solver.learningRate,
    momentum: hasMomentum ? config.momentum : 0,
    // Of gradient solvers the center takes the steps.
    weightDecay: takesGradients ? 0 : config.weightDecay,
    optimizer: takesGradients
      ? { kind: "momentum" }
      : { kind: config.optimizer, ...(config.clipNorm === null ? {} : { clipNorm: config.clipNorm }) },
    augmentation: config.augmentation,
    seed: config.seed,
    codecUp: config.codecUp,
    codecDown: config.codecDown,
    fragments: config.fragments,
    transport: config.transport,
    lossy: config.lossy,
    iceServers: [...config.iceServers],
    peers: config.peers,
    backend: config.backend,
    targetAccuracy: config.targetAccuracy,
  };
}

function fieldsOfFile(file: { readonly path: string; readonly value: unknown }): [FieldName, unknown][] {
  const { path, value } = file;
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ConfigError(`${path} holds ${shown(value)}; accepted is a JSON object such as {"model": "lenet"}.`);
  }
  // Editors complete a run file by the schema that it names.
  const fields = Object.entries(value).filter(([field]) => field !== "$schema");
  return fields.map(([field, content]): [FieldName, unknown] => {
    if (isFieldName(field)) return [field, content];
    throw new ConfigError(
      `${path} has the field "${field}", which no run has; accepted are ${Object.keys(FIELDS).join(", ")}.${didYouMean(field, Object.keys(FIELDS))}`,
    );
  });
}

/** The names that a field chooses among, where it does. */
function picksOf(schema: v.GenericSchema): readonly string[] {
  return v.isOfType("picklist", schema) ? (schema as v.PicklistSchema<readonly string[], undefined>).options : [];
}

export function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;
}
