/**
 * A trained model as safetensors: the center's parameters by name, in the engine's own order (convolutions [kernel, kernel, in / groups,
 * out], dense weights [inputs, units]), and in the metadata all that is needed to use them. Unlike a checkpoint it has no velocity.
 */

import * as v from "valibot";
import type { Normalisation } from "../../shared/engine/plan.ts";
import { layoutOf, type ParameterLayout } from "../../shared/model/layout.ts";
import { ModelError, type ModelDescription } from "../../shared/model/model.ts";
import { modelSchema } from "../../shared/model/schema.ts";
import { encodeSafetensors, parseSafetensors, type TensorFile } from "../store/safetensors.ts";
import { exportedFile, ExportError, type ExportedFile } from "./formats.ts";
import { centerTensors } from "./tensors.ts";

const FORMAT = "drove model 1";

export interface ModelFile {
  readonly model: ModelDescription;
  readonly normalisation: Normalisation;
  /** In the layout's order, gaps included. */
  readonly parameters: Float32Array<ArrayBuffer>;
  readonly metadata: Readonly<Record<string, string>>;
}

export function safetensorsOf(file: ModelFile & { readonly fileStem: string }): ExportedFile {
  const { model, normalisation, parameters, metadata, fileStem } = file;
  const layout = layoutOf(model);
  const tensors = [...centerTensors(layout, parameters)].map(([name, { tensor, values }]) => ({
    name,
    shape: tensor.shape,
    values,
  }));
  const parts = encodeSafetensors(tensors, {
    ...metadata,
    format: FORMAT,
    layout: layout.hash,
    model: JSON.stringify(model),
    normalisation: JSON.stringify(normalisation),
  });
  // Views of the center and of nothing shared.
  return exportedFile(
    `${fileStem}.safetensors`,
    "application/octet-stream",
    parts as readonly Uint8Array<ArrayBuffer>[],
  );
}

const numbers = v.pipe(v.array(v.number()), v.minLength(1), v.readonly());
const metadataSchema = v.object({
  format: v.literal(FORMAT),
  model: v.pipe(v.string(), v.parseJson(), modelSchema),
  normalisation: v.pipe(v.string(), v.parseJson(), v.object({ mean: numbers, deviation: numbers })),
});

/** Reads what `safetensorsOf` made, wherever it has been since. Throws an `ExportError` or `StoreError` that names the file. */
export function readModelFile(bytes: Uint8Array<ArrayBuffer>, path: string): ModelFile {
  const file = parseSafetensors(bytes, path);
  const checked = v.safeParse(metadataSchema, file.metadata);
  if (!checked.success) {
    const [issue] = checked.issues;
    throw new ExportError(
      `${path} was not exported by Drove: its metadata have a missing or wrong "${v.getDotPath(issue) ?? ""}"; make one with: drove export --format safetensors`,
    );
  }
  const { model, normalisation } = checked.output;
  return { model, normalisation, parameters: gathered(file, layoutOfFile(model, path), path), metadata: file.metadata };
}

function layoutOfFile(model: ModelDescription, path: string): ParameterLayout {
  try {
    return layoutOf(model);
  } catch (error) {
    if (error instanceof ModelError) throw new ExportError(`${path}: ${error.message}`);
    throw error;
  }
}

function gathered({ tensors }: TensorFile, layout: ParameterLayout, path: string): Float32Array<ArrayBuffer> {
  const parameters = new Float32Array(layout.elements);
  const bytes = new Uint8Array(parameters.buffer);
  for (const { name, shape, offset, elements } of layout.tensors) {
    const stored = tensors.get(name);
    if (stored?.dtype !== "F32" || stored.bytes.length !== 4 * elements) {
      throw new ExportError(
        `${path} lacks the tensor "${name}" of ${shape.join("x")} float32 numbers, which its own model has; export it again.`,
      );
    }
    bytes.set(stored.bytes, 4 * offset);
  }
  return parameters;
}
