/** A run's folder in, a file in one of the formats out: what `drove export` writes and the operator's page downloads. */

import { readFile } from "node:fs/promises";
import { isMissing } from "../store/durable_file.ts";
import { exportedFile, ExportError, type ExportedFile, type ExportFormat } from "./formats.ts";
import { judgementOf } from "./judgement.ts";
import { metricsLinesOf } from "./metrics_lines.ts";
import { modelCardOf } from "./model_card.ts";
import { onnxOf } from "./onnx.ts";
import { datasetOf, eventsPath, normalisationOf, openRun, type Center, type SourceRun } from "./run_source.ts";
import { safetensorsOf } from "./safetensors.ts";
import { tensorboardOf } from "./tensorboard.ts";

export interface ExportRequest {
  /** `runs/NAME` */
  readonly folder: string;
  /** Where imported data sets lie; what is not there is left out where it can be. */
  readonly dataRoot: string;
  /** The center as it is now, in the place of an older one in the folder. */
  readonly center?: Center;
}

/** Throws an `ExportError`, `StoreError` or `DataError` with a sentence. */
export async function exportOf(
  format: ExportFormat,
  { folder, dataRoot, center }: ExportRequest,
): Promise<ExportedFile> {
  const run = await openRun(folder, center);
  const fileStem = fileStemOf(run);
  switch (format) {
    case "safetensors":
    case "onnx": {
      const normalisation = await normalisationOf(run, dataRoot);
      const file = {
        model: run.model,
        parameters: run.center.parameters,
        normalisation,
        metadata: metadataOf(run),
        fileStem,
      };
      return format === "onnx" ? onnxOf({ ...file, version: run.center.version }) : safetensorsOf(file);
    }
    case "card": {
      const [normalisation, dataset] = await Promise.all([normalisationOf(run, dataRoot), datasetOf(run, dataRoot)]);
      return modelCardOf({ run, normalisation, dataset, fileStem });
    }
    case "metrics":
      return metricsLinesOf(run, fileStem);
    case "tensorboard":
      return tensorboardOf(run);
    case "events":
      return eventsOf(run, fileStem);
    default:
      return format satisfies never;
  }
}

function fileStemOf({ name }: SourceRun): string {
  return name.replaceAll(/[^A-Za-z0-9._-]+/g, "-").replace(/^[.-]+/, "") || "model";
}

/** Of both model formats: texts alone, as safetensors wants them. */
function metadataOf(run: SourceRun): Readonly<Record<string, string>> {
  const judged = judgementOf(run);
  const { settings, config, center, incarnation } = run;
  return {
    run: run.name,
    data: config.data,
    solver: config.solver,
    version: String(center.version),
    incarnation: String(incarnation),
    ...(settings?.data.classNames && { classNames: JSON.stringify(settings.data.classNames) }),
    ...(judged && { accuracy: String(judged.accuracy), testImages: String(judged.testImages) }),
    ...(judged && Number.isFinite(judged.testLoss) && { testLoss: String(judged.testLoss) }),
  };
}

async function eventsOf({ folder, name }: SourceRun, fileStem: string): Promise<ExportedFile> {
  const bytes = await readFile(eventsPath(folder)).catch((error: unknown) => {
    if (isMissing(error)) throw new ExportError(`The run "${name}" has no event log; it is older than they are.`);
    throw error;
  });
  return exportedFile(`${fileStem}.events.jsonl`, "application/x-ndjson; charset=utf-8", [bytes]);
}
