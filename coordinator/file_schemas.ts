/**
 * JSON Schemas of the files that users write, run files and model files, made from what checks these files: editors complete
 * and check them by the copies that `drove new` puts beside them, without any network.
 */

import { toJsonSchema, type JsonSchema } from "@valibot/to-json-schema";
import type * as v from "valibot";
import { LAYER_HELP, LAYER_KINDS } from "../shared/model/layer_words.ts";
import { modelSchema } from "../shared/model/schema.ts";
import { MODEL_FILE_ENDINGS } from "./model_file.ts";
import { FIELDS, isFieldName, type FieldName } from "./run_fields.ts";

export const RUN_SCHEMA_FILE = "drove.run.schema.json";
export const MODEL_SCHEMA_FILE = "drove.model.schema.json";

const DIALECT = "http://json-schema.org/draft-07/schema#";
/** What editors show for the field that names the schema itself. */
const SCHEMA_FIELD: JsonSchema = {
  type: "string",
  description: "What editors complete this file by; Drove ignores it.",
};

/** Of a run file. */
export function runFileSchema(): JsonSchema {
  const properties: Record<string, JsonSchema> = { $schema: SCHEMA_FIELD };
  for (const field of Object.keys(FIELDS).filter(isFieldName)) properties[field] = fieldSchema(field);
  return {
    $schema: DIALECT,
    title: "A run of Drove",
    description: "Everything that a run needs; flags of the command line win over it. Every field may be left out.",
    type: "object",
    properties,
    additionalProperties: false,
  };
}

/** Of a model file. */
export function modelFileSchema(): JsonSchema {
  const { properties = {}, ...rest } = modelJsonSchema();
  return {
    $schema: DIALECT,
    title: "A model for Drove",
    ...rest,
    properties: { $schema: SCHEMA_FIELD, ...properties },
  };
}

function fieldSchema(field: FieldName): JsonSchema {
  const { help, accepted, initial } = FIELDS[field];
  const words: JsonSchema = { description: `${capitalised(help)}. Accepted is ${accepted}.` };
  // What a solver or a command takes by itself is no default that an editor should fill in.
  if (initial !== null) words.default = structuredClone(initial) as JsonSchema["default"];
  return { ...words, ...(field === "model" ? modelField() : jsonSchemaOf(FIELDS[field].schema)) };
}

/** A file may name a model, the path of a model file, or hold the model itself. */
function modelField(): JsonSchema {
  const { anyOf = [] } = jsonSchemaOf(FIELDS.model.schema);
  const [names] = anyOf;
  if (typeof names !== "object") throw new Error("invariant violation: the field model is no choice");
  const endings = MODEL_FILE_ENDINGS.map((ending) => ending.slice(1)).join("|");
  const file: JsonSchema = {
    type: "string",
    pattern: `\\.(${endings})$`,
    description: "A model file, beside this file.",
  };
  return { anyOf: [names, file, { ...modelJsonSchema(), description: "A model of your own." }] };
}

function modelJsonSchema(): JsonSchema {
  const model = jsonSchemaOf(modelSchema);
  const layers = model.properties?.["layers"];
  if (typeof layers !== "object" || typeof layers.items !== "object" || Array.isArray(layers.items)) {
    throw new Error("invariant violation: a model without layers");
  }
  for (const layer of layers.items.oneOf ?? []) {
    if (typeof layer !== "object") continue;
    const kind = LAYER_KINDS.find((one) => JSON.stringify(layer.properties?.["kind"]).includes(JSON.stringify(one)));
    if (kind === undefined) throw new Error("invariant violation: a layer without a kind");
    layer.description = LAYER_HELP[kind];
  }
  return model;
}

/** Numbers in JSON are finite, and nothing writes to a file that was read. */
function jsonSchemaOf(schema: v.GenericSchema): JsonSchema {
  const { $schema: _, ...json } = toJsonSchema(schema, { ignoreActions: ["readonly", "finite"] });
  return json;
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
