/**
 * A user's own model: a JSON file, or a TypeScript or JavaScript module whose default export is a model description. Only
 * the coordinator opens it; volunteers are sent the description. What is wrong is said with the file, the layer and the field.
 */

import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import * as v from "valibot";
import { layoutOf } from "../shared/model/layout.ts";
import { describeShape, ModelError, shapeLayers, type ModelDescription } from "../shared/model/model.ts";
import { modelSchema } from "../shared/model/schema.ts";
import { ConfigError } from "./config_error.ts";
import { modelIssueInWords } from "./model_issue.ts";

export const MODEL_FILE_ENDINGS = [".json", ".ts", ".mts", ".js", ".mjs"];
const JSON_ENDING = /\.json$/i;
const MODULE_ENDING = /\.(ts|mts|js|mjs)$/i;

/** Whether a text in the place of a model's name is the path of a model file. */
export function isModelPath(text: string): boolean {
  return JSON_ENDING.test(text) || MODULE_ENDING.test(text) || text.includes("/");
}

/** `path` as the user wrote it, relative to `folder`. Throws a `ConfigError` with the fix. */
export async function loadModelFile(path: string, folder: string): Promise<ModelDescription> {
  const file = resolve(folder, path);
  if (JSON_ENDING.test(path)) return modelFrom(path, parsed(path, await textOf(path, file)));
  if (MODULE_ENDING.test(path)) return modelFrom(path, await defaultExport(path, file));
  throw new ConfigError(
    `The model ${path} is neither a JSON file nor a module; give the file the ending .json, .ts, .js or .mjs.`,
  );
}

async function textOf(path: string, file: string): Promise<string> {
  return readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new ConfigError(`The model file ${path} cannot be read (${error.code}); looked for ${file}.`);
  });
}

function parsed(path: string, text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new ConfigError(`The model file ${path} is not JSON (${(error as Error).message}); correct it there.`);
  }
}

async function defaultExport(path: string, file: string): Promise<unknown> {
  await textOf(path, file);
  let module: Readonly<Record<string, unknown>>;
  try {
    module = (await import(pathToFileURL(file).href)) as Readonly<Record<string, unknown>>;
  } catch (error) {
    throw new ConfigError(`The model file ${path} cannot be loaded (${(error as Error).message}); correct it there.`);
  }
  if (module["default"] === undefined) {
    throw new ConfigError(`The model file ${path} exports no default; write \`export default { name, input, … }\`.`);
  }
  // What volunteers get: data and nothing else.
  return JSON.parse(JSON.stringify(module["default"])) as unknown;
}

function modelFrom(path: string, value: unknown): ModelDescription {
  if (Array.isArray(value)) throw new ConfigError(`The model file ${path} holds a list; accepted is an object.`);
  const description = withoutSchema(value);
  const checked = v.safeParse(modelSchema, description);
  if (!checked.success)
    throw new ConfigError(`The model file ${path}: ${modelIssueInWords(checked.issues[0], description)}`);
  try {
    layoutOf(checked.output);
  } catch (error) {
    if (error instanceof ModelError)
      throw new ConfigError(`The model file ${path}: ${error.message}${placeOf(error, checked.output)}`);
    throw error;
  }
  return checked.output;
}

/** Editors complete a model file by the schema that it names. */
function withoutSchema(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).filter(([field]) => field !== "$schema"));
}

/** Which layer it is, and what reaches it, where that can be said. */
function placeOf({ layer: index }: ModelError, { input, layers }: ModelDescription): string {
  const layer = index === undefined ? undefined : layers[index];
  if (index === undefined || layer === undefined) return "";
  const place = ` It is layer ${index + 1} of ${layers.length}, of kind ${layer.kind}`;
  if (layer.from !== undefined) return `${place}.`;
  const reaches = shapeLayers(input, layers.slice(0, index)).at(-1)?.output ?? input;
  return `${place}, and gets ${describeShape(reaches)}.`;
}
