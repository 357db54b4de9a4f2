/**
 * A user's own model: a JSON file, or a TypeScript or JavaScript module whose default export is a model description. Only
 * the coordinator opens it; volunteers are sent the description. What is wrong is said with the file, the layer and the field.
 */

import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import * as v from "valibot";
import { layoutOf } from "../shared/model/layout.ts";
import { ModelError, type ModelDescription } from "../shared/model/model.ts";
import { modelSchema } from "../shared/model/schema.ts";
import { ConfigError } from "./run_config.ts";

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
  const checked = v.safeParse(modelSchema, value);
  if (!checked.success) throw new ConfigError(`The model file ${path}: ${inWords(checked.issues[0], value)}`);
  try {
    layoutOf(checked.output);
  } catch (error) {
    if (error instanceof ModelError) throw new ConfigError(`The model file ${path}: ${error.message}`);
    throw error;
  }
  return checked.output;
}

/** "layer 3 ("conv2"), field "kernel": Invalid type: Expected number but received "five"." */
function inWords(issue: v.BaseIssue<unknown>, value: unknown): string {
  const keys = (issue.path ?? []).map(({ key }) => key);
  const [first, index, ...rest] = keys;
  const isLayer = first === "layers" && typeof index === "number";
  const fields = isLayer ? rest : keys;
  const where = [
    ...(isLayer ? [`layer ${index + 1}${nameOfLayer(value, index)}`] : []),
    ...(fields.length > 0 ? [`field "${fields.map(String).join(".")}"`] : []),
  ].join(", ");
  const what =
    issue.type === "strict_object" && issue.expected === "never"
      ? `there is no such field${isLayer ? " in this kind of layer" : ""}; leave it out or correct its name`
      : `expected ${issue.expected ?? issue.requirement?.toString() ?? "something else"}, got ${issue.received}`;
  return `${where || "the whole"}: ${what}.`;
}

function nameOfLayer(value: unknown, index: number): string {
  const layer = (value as { readonly layers: readonly unknown[] }).layers[index];
  const name = typeof layer === "object" && layer !== null && "name" in layer ? layer.name : undefined;
  return typeof name === "string" ? ` ("${name}")` : "";
}
