/**
 * What a model description must look like as JSON, field by field: for run settings that come over HTTP and for a user's
 * model file. Whether the layers fit together is `inferShapes`' question.
 */

import * as v from "valibot";

const MAX_NAME_CHARACTERS = 200;
const MAX_LAYERS = 2000;

const text = v.pipe(v.string(), v.minLength(1), v.maxLength(MAX_NAME_CHARACTERS));
const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(1));
const wholeOrZero = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const real = v.pipe(v.number(), v.finite());
const positive = v.pipe(real, v.gtValue(0));
const share = v.pipe(real, v.minValue(0), v.maxValue(1));

const named = {
  name: text,
  from: v.exactOptional(v.union([text, v.pipe(v.array(text), v.minLength(1), v.readonly())])),
};
const windowed = {
  size: whole,
  stride: whole,
  padding: v.exactOptional(wholeOrZero),
  ceil: v.exactOptional(v.boolean()),
};

export const layerSchema = v.variant("kind", [
  v.strictObject({
    kind: v.literal("conv2d"),
    ...named,
    kernel: whole,
    channels: whole,
    stride: v.exactOptional(whole),
    padding: v.exactOptional(wholeOrZero),
    dilation: v.exactOptional(whole),
    groups: v.exactOptional(whole),
    bias: v.exactOptional(v.boolean()),
  }),
  v.strictObject({ kind: v.literal("max-pool"), ...named, ...windowed }),
  v.strictObject({ kind: v.literal("average-pool"), ...named, ...windowed }),
  v.strictObject({ kind: v.literal("global-average-pool"), ...named }),
  v.strictObject({
    kind: v.literal("batch-norm"),
    ...named,
    epsilon: v.exactOptional(positive),
    momentum: v.exactOptional(share),
  }),
  v.strictObject({ kind: v.literal("layer-norm"), ...named, epsilon: v.exactOptional(positive) }),
  v.strictObject({
    kind: v.literal("local-response-norm"),
    ...named,
    size: v.exactOptional(whole),
    alpha: v.exactOptional(positive),
    beta: v.exactOptional(positive),
    k: v.exactOptional(positive),
  }),
  v.strictObject({ kind: v.literal("dense"), ...named, units: whole, bias: v.exactOptional(v.boolean()) }),
  v.strictObject({ kind: v.literal("relu"), ...named }),
  v.strictObject({ kind: v.literal("leaky-relu"), ...named, slope: v.exactOptional(real) }),
  v.strictObject({ kind: v.literal("gelu"), ...named }),
  v.strictObject({ kind: v.literal("silu"), ...named }),
  v.strictObject({ kind: v.literal("tanh"), ...named }),
  v.strictObject({ kind: v.literal("sigmoid"), ...named }),
  v.strictObject({ kind: v.literal("dropout"), ...named, rate: share }),
  v.strictObject({ kind: v.literal("add"), ...named }),
  v.strictObject({ kind: v.literal("concat"), ...named }),
  v.strictObject({ kind: v.literal("flatten"), ...named }),
  v.strictObject({ kind: v.literal("embedding"), ...named, vocabulary: whole, width: whole }),
]);

export const modelSchema = v.strictObject({
  name: text,
  input: v.strictObject({ height: whole, width: whole, channels: whole }),
  classes: whole,
  loss: v.exactOptional(v.picklist(["softmax-cross-entropy", "mean-squared-error"])),
  initialisation: v.exactOptional(v.picklist(["xavier", "he"])),
  layers: v.pipe(v.array(layerSchema), v.minLength(1), v.maxLength(MAX_LAYERS), v.readonly()),
});
