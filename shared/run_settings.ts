/**
 * What a volunteer needs to know of a run, all of it from the coordinator (`GET /api/run`): the model, where the data
 * is, and how to train. Checked at the client's door too, because a page may be older than the coordinator.
 */

import * as v from "valibot";
import { BACKEND_WISHES } from "./backends.ts";
import { LIMITS } from "./wire/codes.ts";
import { CODEC_NAMES } from "./wire/codec/codec.ts";
import { modelSchema } from "./model/schema.ts";
import { SOLVER_NAMES } from "./solver/catalogue.ts";

/** `OptimizerKind` (optimizer.ts). */
export const OPTIMIZER_KINDS = ["momentum", "nesterov", "lars", "adamw"] as const;
const MOST_CROP_PADDING = 64;
const MOST_CLASS_NAMES = 1000;
/** Of the longest name of a class. */
export const CLASS_NAME_CHARACTERS = 40;

const text = v.pipe(v.string(), v.maxLength(LIMITS.textCharacters));
const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(1));
const wholeOrZero = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const positive = v.pipe(v.number(), v.finite(), v.gtValue(0));
const amount = v.pipe(v.number(), v.finite(), v.minValue(0));

/** `Decay` (schedule.ts). */
export const decaySchema = v.variant("kind", [
  v.strictObject({ kind: v.literal("constant") }),
  v.strictObject({ kind: v.literal("step"), every: whole, factor: v.pipe(positive, v.maxValue(1)) }),
  v.strictObject({ kind: v.literal("inv"), gamma: positive, power: positive }),
  v.strictObject({ kind: v.literal("cosine"), steps: whole, floor: v.pipe(amount, v.maxValue(1)) }),
]);

/** `Augmentation` (dice.ts). */
export const augmentationSchema = v.strictObject({
  cropPadding: v.pipe(wholeOrZero, v.maxValue(MOST_CROP_PADDING)),
  flip: v.boolean(),
});

/** As `RTCIceServer` has it. */
export const iceServerSchema = v.strictObject({
  urls: v.pipe(v.string(), v.regex(/^(?:stun|turn)s?:[^\s]+$/), v.maxLength(LIMITS.textCharacters)),
  username: v.exactOptional(text),
  credential: v.exactOptional(text),
});
export const TRANSPORT_WISHES = ["auto", "websocket", "webrtc"] as const;

/** A piece of the training set: `examples` images (NHWC bytes), then `examples` label bytes. Immutable under its address. */
const shard = v.strictObject({ url: text, examples: whole });

const schema = v.strictObject({
  run: text,
  model: modelSchema,
  layoutHash: text,
  data: v.strictObject({
    name: text,
    /** In words, for the volunteer: what is trained, and with what. */
    title: text,
    trainExamples: whole,
    testExamples: whole,
    /** One value for each channel, or a single one for all. */
    normalisation: v.strictObject({
      mean: v.pipe(v.array(v.number()), v.minLength(1), v.readonly()),
      deviation: v.pipe(v.array(v.pipe(v.number(), v.gtValue(0))), v.minLength(1), v.readonly()),
    }),
    shards: v.array(shard),
    /** What the classes are called, in their order; numbers where left out. */
    classNames: v.exactOptional(
      v.pipe(
        v.array(v.pipe(v.string(), v.maxLength(CLASS_NAME_CHARACTERS))),
        v.maxLength(MOST_CLASS_NAMES),
        v.readonly(),
      ),
    ),
    /** A few held-out examples, for those who want to try the model: as a shard. */
    samples: v.exactOptional(shard),
  }),
  solver: v.picklist(SOLVER_NAMES),
  exchange: v.picklist(["one-round-trip", "two-round-trip"]),
  /** Samples of one step; of a gradient solver in groups, of one step of the whole group. */
  batch: whole,
  /** In which a batch is done, so that shares of it can be given: a divisor of the batch. Assignments name whole numbers of them. */
  batchParts: whole,
  /** tau, learning rate and momentum as the run began; what holds now comes with every assignment (solver/assignment.ts). */
  communicationPeriod: whole,
  learningRate: amount,
  momentum: v.pipe(v.number(), v.minValue(-1), v.maxValue(1)),
  weightDecay: amount,
  /** With which every local step ends. */
  optimizer: v.strictObject({ kind: v.picklist(OPTIMIZER_KINDS), clipNorm: v.exactOptional(positive) }),
  augmentation: augmentationSchema,
  seed: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  backend: v.picklist(BACKEND_WISHES),
  targetAccuracy: v.nullable(amount),
  /** How vectors travel, as the run wishes; what holds is agreed on in the handshake (SPEC C, H8). */
  codecUp: v.picklist(CODEC_NAMES),
  codecDown: v.picklist(CODEC_NAMES),
  /** That exchanges carry in turn (SPEC X17). */
  fragments: whole,
  /** `auto` measures both ways and takes the faster (SPEC T3). */
  transport: v.picklist(TRANSPORT_WISHES),
  /** Over WebRTC pushes go in slices of which some may be lost (SPEC T6). */
  lossy: v.boolean(),
  iceServers: v.pipe(v.array(iceServerSchema), v.readonly()),
  /** Members of a compute group may average among themselves, where volunteers allow it (SPEC G8). */
  peers: v.boolean(),
  /** Address under which the answers to the entrance exam are (SPEC E11), immutable. Without one none is held. */
  exam: v.exactOptional(text),
});

export type RunSettings = v.InferOutput<typeof schema>;

/** The settings, or a sentence that names the field, what was found and what is accepted. */
export function readRunSettings(value: unknown): RunSettings | { readonly problem: string } {
  const checked = v.safeParse(schema, value);
  if (checked.success) return checked.output;
  const [issue] = checked.issues;
  return {
    problem: `The coordinator's description of the run has a wrong field "${v.getDotPath(issue) ?? ""}": ${issue.message}`,
  };
}
