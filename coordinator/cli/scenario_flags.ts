/** The flags of the commands that simulate, made from the fields of a scenario, and what they and the scenario file say together. */

import { dirname } from "node:path";
import { Option, type Command } from "commander";
import { isModelPath, loadModelFile } from "../model_file.ts";
import { FIELDS } from "../run_fields.ts";
import type { ScenarioSource } from "../simulate/scenario.ts";
import { isScenarioField, SCENARIO_FIELDS, scenarioFlagOf, type ScenarioField } from "../simulate/scenario_fields.ts";
import { readRunFile } from "./run_file.ts";

export type ScenarioOptions = Readonly<Partial<Record<ScenarioField, string>>> & {
  readonly config?: string;
  readonly runsFolder: string;
};

export function addScenarioFlags(command: Command, except: readonly ScenarioField[] = []): void {
  command.option("--config <FILE>", "scenario to read before the flags: a JSON object of the same fields");
  for (const field of Object.keys(SCENARIO_FIELDS).filter(isScenarioField)) {
    if (except.includes(field)) continue;
    const { placeholder, help } = SCENARIO_FIELDS[field];
    command.addOption(new Option(`${scenarioFlagOf(field)} <${placeholder}>`, help + defaultInWords(field)));
  }
  command.option("--runs-folder <FOLDER>", "where imported data sets lie", FIELDS.runsFolder.initial);
}

export async function scenarioSourcesOf(options: ScenarioOptions): Promise<ScenarioSource> {
  const names = Object.keys(SCENARIO_FIELDS).filter(isScenarioField);
  const flags: Partial<Record<ScenarioField, unknown>> = Object.fromEntries(
    names.map((field) => [field, options[field]]),
  );
  flags.model = await withModel(flags.model, ".");
  if (options.config === undefined) return { flags };
  const { path, value } = await readRunFile(options.config);
  if (typeof value !== "object" || value === null || !("model" in value)) return { flags, file: { path, value } };
  return { flags, file: { path, value: { ...value, model: await withModel(value.model, dirname(path)) } } };
}

/** A path in the place of a model's name becomes the model that the file describes. */
async function withModel(model: unknown, folder: string): Promise<unknown> {
  return typeof model === "string" && isModelPath(model) ? loadModelFile(model, folder) : model;
}

function defaultInWords(field: ScenarioField): string {
  const { initial } = SCENARIO_FIELDS[field];
  if (typeof initial === "boolean") return ` (default: ${initial ? "yes" : "no"})`;
  if (typeof initial === "string" || typeof initial === "number") return ` (default: ${initial})`;
  return initial !== null && "kind" in initial ? ` (default: ${initial.kind})` : "";
}
