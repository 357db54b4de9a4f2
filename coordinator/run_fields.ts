/**
 * The fields of a run, one line each: what is accepted (for a schema and in words), the default, and how text from the
 * command line becomes a value. `run_config.ts` reads them; the commands make their flags and their help from them.
 */

import * as v from "valibot";
import { BACKEND_WISHES } from "../shared/backends.ts";
import { MODELS, type ModelName } from "../shared/model/catalogue.ts";
import type { Augmentation } from "../shared/engine/dice.ts";
import { augmentationSchema, decaySchema, OPTIMIZER_KINDS } from "../shared/run_settings.ts";
import { stalenessPolicySchema } from "../shared/operator.ts";
import { modelSchema } from "../shared/model/schema.ts";
import { SOLVER_NAMES } from "../shared/solver/catalogue.ts";
import { DEFAULT_ELASTIC_RATE } from "../shared/solver/rule.ts";
import { CONSTANT_RATE } from "../shared/solver/schedule.ts";
import type { StalenessPolicy } from "../shared/solver/staleness.ts";
import { above0UpTo, asIs, asNumber, numberBetween, wholeBetween } from "./field_values.ts";
import { WIRE_FIELDS } from "./wire_fields.ts";

const MODEL_NAMES = Object.keys(MODELS) as [ModelName, ...ModelName[]];
/** It becomes the name of a folder. */
const FOLDER_NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/;
const FOLDER_NAME_IN_WORDS = "1 to 64 of a-z, 0-9, point, dash and underscore, beginning with a letter or digit";

const folderName = v.pipe(v.string(), v.regex(FOLDER_NAME));
const path = v.pipe(v.string(), v.minLength(1));

function asPolicy(value: unknown): unknown {
  if (typeof value !== "string") return value;
  const [kind, amount] = value.split(":");
  if (kind === "scale" && amount !== undefined) return { kind, halfRateStaleness: asNumber(amount) };
  if (kind === "bound" && amount !== undefined) return { kind, limit: asNumber(amount) };
  return amount === undefined && kind === "none" ? { kind } : value;
}

function asDecay(value: unknown): unknown {
  if (typeof value !== "string") return value;
  const [kind, ...amounts] = value.split(":");
  const [first, second] = amounts.map(asNumber);
  if (kind === "constant" && amounts.length === 0) return { kind };
  if (kind === "step" && amounts.length === 2) return { kind, every: first, factor: second };
  if (kind === "inv" && amounts.length === 2) return { kind, gamma: first, power: second };
  if (kind === "cosine" && (amounts.length === 1 || amounts.length === 2))
    return { kind, steps: first, floor: second ?? 0 };
  return value;
}

function asAugmentation(value: unknown): unknown {
  if (typeof value !== "string") return value;
  const words = value === "none" ? [] : value.split(",").map((word) => word.trim());
  const crops = words.filter((word) => /^crop[0-9]+$/.test(word));
  const flips = words.filter((word) => word === "flip");
  const isUnderstood = crops.length + flips.length === words.length && crops.length < 2 && flips.length < 2;
  if (!isUnderstood) return value;
  return { cropPadding: Number(crops[0]?.slice("crop".length) ?? 0), flip: flips.length === 1 };
}

const NO_AUGMENTATION: Augmentation = { cropPadding: 0, flip: false };
const NO_POLICY: StalenessPolicy = { kind: "none" };

export const FIELDS = {
  name: {
    schema: v.nullable(folderName),
    initial: null,
    fromText: asIs,
    accepted: FOLDER_NAME_IN_WORDS,
    placeholder: "NAME",
    help: "the run's name, which is its folder's too; without one the first free is taken",
  },
  model: {
    schema: v.union([v.picklist(MODEL_NAMES), modelSchema]),
    initial: "lenet",
    fromText: asIs,
    accepted: `one of ${MODEL_NAMES.join(", ")}, or the path of a model file such as ./my_model.json`,
    placeholder: "NAME|FILE",
    help: `what is trained: ${MODEL_NAMES.join(", ")}, or a model file (.json, .ts or .js)`,
  },
  data: {
    schema: folderName,
    initial: "mnist",
    fromText: asIs,
    accepted: `"mnist", "fashion-mnist", "cifar10" or the name of an imported data set (see \`drove data list\`)`,
    placeholder: "NAME",
    help: "what it is trained on: mnist, fashion-mnist, cifar10 or an imported data set",
  },
  solver: {
    schema: v.picklist(SOLVER_NAMES),
    initial: "ea-wild",
    fromText: asIs,
    accepted: `one of ${SOLVER_NAMES.join(", ")}`,
    placeholder: "NAME",
    help: `how replicas and center meet: ${SOLVER_NAMES.join(", ")}`,
  },
  exchange: {
    schema: v.picklist(["one-round-trip", "two-round-trip"]),
    initial: "one-round-trip",
    fromText: asIs,
    accepted: `"one-round-trip" or "two-round-trip"`,
    placeholder: "KIND",
    help: "one-round-trip or two-round-trip",
  },
  batch: {
    schema: wholeBetween(1, 4096),
    initial: 64,
    fromText: asNumber,
    accepted: "a whole number from 1 to 4096, such as 64",
    placeholder: "N",
    help: "images per local step",
  },
  communicationPeriod: {
    schema: wholeBetween(1, 100_000),
    initial: 10,
    fromText: asNumber,
    accepted: "a whole number from 1 to 100000, such as 10",
    placeholder: "N",
    help: "local steps between two exchanges",
  },
  learningRate: {
    schema: above0UpTo(100),
    initial: 0.03,
    fromText: asNumber,
    accepted: "a number above 0 and up to 100, such as 0.03",
    placeholder: "NUMBER",
    help: "step size",
  },
  momentum: {
    schema: numberBetween(-0.999, 0.999),
    initial: 0.9,
    fromText: asNumber,
    accepted: "a number from -0.999 to 0.999, such as 0.9",
    placeholder: "NUMBER",
    help: "heavy ball, where the solver has one",
  },
  weightDecay: {
    schema: numberBetween(0, 1),
    initial: 0,
    fromText: asNumber,
    accepted: "a number from 0 to 1, such as 0.0005",
    placeholder: "NUMBER",
    help: "pull of every weight towards 0",
  },
  optimizer: {
    schema: v.picklist(OPTIMIZER_KINDS),
    initial: "momentum",
    fromText: asIs,
    accepted: `"momentum" (with momentum 0 plain SGD), "nesterov", "lars" or "adamw"`,
    placeholder: "NAME",
    help: "what a replica's steps end with: momentum, nesterov, lars or adamw",
  },
  clipNorm: {
    schema: v.nullable(above0UpTo(1e9)),
    initial: null,
    fromText: asNumber,
    accepted: "a number above 0, such as 1, or null in a file",
    placeholder: "NUMBER",
    help: "a longer gradient is scaled down to this norm",
  },
  schedule: {
    schema: decaySchema,
    initial: CONSTANT_RATE.decay,
    fromText: asDecay,
    accepted: `"constant", "step:EVERY:FACTOR", "inv:GAMMA:POWER" or "cosine:STEPS[:FLOOR]", in steps of all replicas together; in a file {"kind": "step", "every": N, "factor": F}, {"kind": "inv", "gamma": G, "power": P} or {"kind": "cosine", "steps": N, "floor": F}`,
    placeholder: "SCHEDULE",
    help: "how the learning rate falls: constant, step:EVERY:FACTOR, inv:GAMMA:POWER or cosine:STEPS[:FLOOR], in steps of all replicas together",
  },
  warmUp: {
    schema: wholeBetween(0, 1e9),
    initial: 0,
    fromText: asNumber,
    accepted: "a whole number of steps from 0 to 1000000000",
    placeholder: "STEPS",
    help: "steps of all replicas together in which the learning rate rises to its full size (where nothing is said, 50 in a run of an elastic solver)",
  },
  augmentation: {
    schema: augmentationSchema,
    initial: NO_AUGMENTATION,
    fromText: asAugmentation,
    accepted: `"none", "crop4" (a random crop after 4 pixels of padding; up to 64), "flip" or "crop4,flip"; in a file {"cropPadding": 4, "flip": true}`,
    placeholder: "KINDS",
    help: "what is done to training images at random: none, crop4, flip or crop4,flip",
  },
  elasticRate: {
    schema: above0UpTo(2),
    initial: DEFAULT_ELASTIC_RATE,
    fromText: asNumber,
    accepted: "a number above 0 and up to 2, such as 0.9",
    placeholder: "NUMBER",
    help: "beta: the pull on the center by all replicas together; each has beta / replicas",
  },
  movingRate: {
    schema: v.nullable(above0UpTo(1)),
    initial: null,
    fromText: asNumber,
    accepted: "a number above 0 and up to 1, such as 0.1, or null in a file",
    placeholder: "NUMBER",
    help: "alpha: a fixed pull per exchange instead of beta / replicas",
  },
  staleness: {
    schema: stalenessPolicySchema,
    initial: NO_POLICY,
    fromText: asPolicy,
    accepted: `"none", "scale:S0" (half the rate at staleness S0 above 0) or "bound:LIMIT" (refused above LIMIT); in a file {"kind": "scale", "halfRateStaleness": S0} or {"kind": "bound", "limit": LIMIT}`,
    placeholder: "POLICY",
    help: "what staleness does: none, scale:S0 or bound:LIMIT",
  },
  delayCompensation: {
    schema: numberBetween(0, 1000),
    initial: 0,
    fromText: asNumber,
    accepted: "a number from 0 to 1000, such as 0.04",
    placeholder: "NUMBER",
    help: "lambda: how strongly a gradient solver corrects gradients for the way that the center went meanwhile",
  },
  outerLearningRate: {
    schema: above0UpTo(10),
    initial: 0.7,
    fromText: asNumber,
    accepted: "a number above 0 and up to 10, such as 0.7",
    placeholder: "NUMBER",
    help: "step size of the center's own optimizer, with diloco and async-diloco",
  },
  outerMomentum: {
    schema: numberBetween(0, 0.999),
    initial: 0.9,
    fromText: asNumber,
    accepted: "a number from 0 to 0.999, such as 0.9",
    placeholder: "NUMBER",
    help: "Nesterov momentum of the center's own optimizer, with diloco and async-diloco",
  },
  nesterovDelay: {
    schema: v.nullable(wholeBetween(1, 10_000)),
    initial: null,
    fromText: asNumber,
    accepted: "a whole number from 1 to 10000, such as 8, or null in a file",
    placeholder: "N",
    help: "pushes between two moves of async-diloco's outer momentum; as many as replicas where left out",
  },
  groups: {
    schema: v.nullable(wholeBetween(1, 1000)),
    initial: null,
    fromText: asNumber,
    accepted: "a whole number from 1 to 1000, such as 4, or null in a file",
    placeholder: "N",
    help: "compute groups: replicas inside one average synchronously, groups do not wait for each other",
  },
  shares: {
    schema: v.picklist(["equal", "speed"]),
    initial: "speed",
    fromText: asIs,
    accepted: `"equal" or "speed"`,
    placeholder: "KIND",
    help: "how a compute group divides its work: equal, or by measured speed",
  },
  periods: {
    schema: v.picklist(["equal", "speed"]),
    initial: "equal",
    fromText: asIs,
    accepted: `"equal" or "speed"`,
    placeholder: "KIND",
    help: "local steps between exchanges: equal for all, or fewer for slower replicas",
  },
  scaledFrom: {
    schema: v.nullable(wholeBetween(1, 1_000_000)),
    initial: null,
    fromText: asNumber,
    accepted: "a whole number of images from 1 to 1000000, such as 64, or null in a file",
    placeholder: "BATCH",
    help: "the batch that the learning rate was found for; it is scaled in proportion",
  },
  applier: {
    schema: v.picklist(["auto", "lock-free", "compare-and-swap", "locked"]),
    initial: "auto",
    fromText: asIs,
    accepted: `"auto", "lock-free", "compare-and-swap" or "locked"`,
    placeholder: "KIND",
    help: "how threads meet at the center: auto (as the solver says), lock-free, compare-and-swap or locked",
  },
  autotune: {
    schema: v.boolean(),
    initial: false,
    fromText: asIs,
    accepted: "true or false",
    placeholder: "",
    help: "choose compute groups, momentum and learning rate as the run goes (gradient solvers)",
  },
  ...WIRE_FIELDS,
  backend: {
    schema: v.picklist(BACKEND_WISHES),
    initial: "auto",
    fromText: asIs,
    accepted: `"auto", "webgpu", "wasm" or "hybrid"`,
    placeholder: "NAME",
    help: "what volunteers compute on: auto (the fastest, measured), webgpu, wasm or hybrid (both)",
  },
  seed: {
    schema: wholeBetween(0, 2 ** 32 - 1),
    initial: 1,
    fromText: asNumber,
    accepted: "a whole number from 0 to 4294967295",
    placeholder: "N",
    help: "initial parameters and batches follow from it",
  },
  targetAccuracy: {
    schema: v.nullable(above0UpTo(1)),
    initial: null,
    fromText: asNumber,
    accepted: "a share above 0 and up to 1, such as 0.98, or null in a file",
    placeholder: "SHARE",
    help: "the run ends when this share of all test images is right",
  },
  maxMinutes: {
    schema: v.nullable(above0UpTo(1e6)),
    initial: null,
    fromText: asNumber,
    accepted: "a number of minutes above 0, such as 10, or null in a file",
    placeholder: "MINUTES",
    help: "the run ends after this time",
  },
  volunteers: {
    schema: wholeBetween(0, 64),
    initial: 0,
    fromText: asNumber,
    accepted: "a whole number from 0 to 64",
    placeholder: "N",
    help: "headless volunteers to start on this machine",
  },
  applierThreads: {
    schema: wholeBetween(1, 64),
    initial: 2,
    fromText: asNumber,
    accepted: "a whole number from 1 to 64, such as 2",
    placeholder: "N",
    help: "threads that apply pushes to the center",
  },
  host: {
    schema: path,
    initial: "127.0.0.1",
    fromText: asIs,
    accepted: `an address of this machine, such as "127.0.0.1", or "0.0.0.0" for all`,
    placeholder: "ADDRESS",
    help: "address to listen on; 0.0.0.0 lets other machines in",
  },
  port: {
    schema: wholeBetween(0, 65_535),
    initial: 8080,
    fromText: asNumber,
    accepted: "a whole number from 0 (any free one) to 65535",
    placeholder: "N",
    help: "port to listen on; 0 takes a free one",
  },
  tls: {
    schema: v.nullable(v.union([v.literal("self-signed"), v.strictObject({ certificate: path, key: path })])),
    initial: null,
    fromText: asIs,
    accepted: `"self-signed", {"certificate": FILE, "key": FILE} or null`,
    placeholder: "",
    help: "https",
  },
  checkpointIntervalMs: {
    schema: wholeBetween(100, 3_600_000),
    initial: 1000,
    fromText: asNumber,
    accepted: "a whole number of milliseconds from 100 to 3600000",
    placeholder: "MS",
    help: "milliseconds between two checkpoints",
  },
  runsFolder: {
    schema: path,
    initial: "runs",
    fromText: asIs,
    accepted: "the path of a folder",
    placeholder: "FOLDER",
    help: "where runs are kept, one folder each",
  },
} as const;

export type FieldName = keyof typeof FIELDS;

export function isFieldName(text: string): text is FieldName {
  return Object.hasOwn(FIELDS, text);
}

/** `learningRate` is `--learning-rate` on the command line. */
export function flagOf(field: FieldName): string {
  return `--${field.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
