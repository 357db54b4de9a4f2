/**
 * What is wrong with a model description, in a sentence: the layer by its place and name, the field, what was found and what
 * is accepted, the shape that reaches the layer, and the word that was probably meant.
 */

import * as v from "valibot";
import { fieldsOfKind, LAYER_KINDS, type LayerKind } from "../shared/model/layer_words.ts";
import { describeShape, shapeLayers, type ImageShape, type Layer } from "../shared/model/model.ts";
import { layerSchema } from "../shared/model/schema.ts";
import { closest } from "./closest.ts";
import { shown } from "./config_error.ts";

/** As other frameworks say it. */
const OTHER_WORDS: Readonly<Record<string, LayerKind>> = {
  conv: "conv2d",
  convolution: "conv2d",
  linear: "dense",
  fc: "dense",
  fullyconnected: "dense",
  innerproduct: "dense",
  pool: "max-pool",
  maxpooling2d: "max-pool",
  avgpool: "average-pool",
  averagepooling2d: "average-pool",
  adaptiveavgpool2d: "global-average-pool",
  gap: "global-average-pool",
  bn: "batch-norm",
  batchnormalization: "batch-norm",
  lrn: "local-response-norm",
  swish: "silu",
  concatenate: "concat",
  residual: "add",
};

/** `value` is the whole description as it was found. */
export function modelIssueInWords(issue: v.BaseIssue<unknown>, value: unknown): string {
  const keys = (issue.path ?? []).map(({ key }) => key);
  const [first, index, ...rest] = keys;
  if (first !== "layers" || typeof index !== "number") {
    const field = keys.map(String).join(".");
    return `${field === "" ? "the whole" : `field "${field}"`}${problemOf(issue, keys.at(-1))}.`;
  }
  const layer = layersOf(value)[index];
  const field = rest.map(String).join(".");
  const where = `layer ${index + 1}${nameOf(layer)}${field === "" ? "" : `, field "${field}"`}`;
  const reaches = shapeBefore(value, index);
  const gets = reaches === undefined ? "" : ` The layer gets ${describeShape(reaches)}.`;
  return `${where}${problemOf(issue, rest[0], layer)}.${meant(issue, rest[0], layer)}${gets}`;
}

/** Follows the place: " is 0; accepted is …" or ": there is …". */
function problemOf(issue: v.BaseIssue<unknown>, field: unknown, layer?: unknown): string {
  const kind = kindOf(layer);
  const isField = issue.type === "strict_object";
  if (isField && issue.expected === "never") {
    const known = kind ? fieldsOfKind(kind).map(({ name }) => name) : [];
    const accepted = ["name", "from", ...known].join(", ");
    return kind
      ? `: there is no such field in a layer of kind ${kind}; accepted are ${accepted}`
      : ": there is no such field; leave it out or correct its name";
  }
  if (isField && issue.received === "undefined") {
    return kind ? ` is missing; a layer of kind ${kind} needs it` : " is missing";
  }
  if (issue.type === "variant") {
    return issue.received === "undefined"
      ? ` is missing; accepted is one of ${LAYER_KINDS.join(", ")}`
      : ` is ${issue.received}, which is no kind of layer; accepted is one of ${LAYER_KINDS.join(", ")}`;
  }
  return ` is ${shown(issue.input)}; accepted is ${acceptedBy(issue, field)}`;
}

function acceptedBy(issue: v.BaseIssue<unknown>, field: unknown): string {
  const { requirement } = issue;
  const limit = typeof requirement === "number" ? String(requirement) : "";
  switch (issue.type) {
    case "min_value":
      return `a number from ${limit}`;
    case "max_value":
      return `a number up to ${limit}`;
    case "gt_value":
      return `a number above ${limit}`;
    case "safe_integer":
      return "a whole number";
    case "min_length":
      return field === "layers" ? "at least one layer" : `something of length ${limit} or more`;
    case "max_length":
      return `something of length ${limit} at most`;
    case "number":
      return "a number";
    case "string":
      return "a text";
    case "boolean":
      return "true or false";
    case "array":
      return "a list";
    case "strict_object":
    case "object":
      return "an object";
    default:
      return (issue.expected ?? "something else").replaceAll(/[()]/g, "").replaceAll(" | ", " or ");
  }
}

function meant(issue: v.BaseIssue<unknown>, field: unknown, layer: unknown): string {
  const kind = kindOf(layer);
  const found = issue.type === "variant" ? wordOf(layer, "kind") : field;
  if (typeof found !== "string") return "";
  const isUnknownField = issue.type === "strict_object" && issue.expected === "never";
  const word =
    issue.type === "variant"
      ? (OTHER_WORDS[found.toLowerCase().replaceAll(/[-_ ]/g, "")] ?? closest(found, LAYER_KINDS))
      : isUnknownField && kind
        ? closest(
            found,
            fieldsOfKind(kind).map(({ name }) => name),
          )
        : undefined;
  return word === undefined ? "" : ` Did you mean "${word}"?`;
}

/** What the layers before it give; undefined where they do not say. */
function shapeBefore(value: unknown, index: number): ImageShape | undefined {
  if (typeof value !== "object" || value === null || !("input" in value)) return undefined;
  const input = v.safeParse(INPUT, value.input);
  const before = v.safeParse(v.array(layerSchema), layersOf(value).slice(0, index));
  if (!input.success || !before.success || wordOf(layersOf(value)[index], "from") !== undefined) return undefined;
  try {
    const layers: readonly Layer[] = before.output;
    return shapeLayers(input.output, layers).at(-1)?.output ?? input.output;
  } catch {
    return undefined;
  }
}

const side = v.pipe(v.number(), v.safeInteger(), v.minValue(1));
const INPUT = v.strictObject({ height: side, width: side, channels: side });

function layersOf(value: unknown): readonly unknown[] {
  const isObject = typeof value === "object" && value !== null && "layers" in value;
  return isObject && Array.isArray(value.layers) ? (value.layers as readonly unknown[]) : [];
}

function kindOf(layer: unknown): LayerKind | undefined {
  const kind = wordOf(layer, "kind");
  return LAYER_KINDS.find((one) => one === kind);
}

function wordOf(layer: unknown, field: "kind" | "from" | "name"): unknown {
  return typeof layer === "object" && layer !== null ? (layer as Readonly<Record<string, unknown>>)[field] : undefined;
}

function nameOf(layer: unknown): string {
  const name = wordOf(layer, "name");
  return typeof name === "string" ? ` (${shown(name)})` : "";
}
