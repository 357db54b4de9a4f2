/**
 * A trained model as one ONNX file, for any runtime: raw pixels in (`images`, float32 [batch, height, width, channels], 0 to 255, the
 * order of image libraries and of Drove's own data), normalisation inside, `logits` and `probabilities` out ([batch, classes]).
 * The batch may be of any size. Inside, the graph has ONNX's own order, channels before pixels.
 */

import { layoutOf } from "../../shared/model/layout.ts";
import { inferShapes, readsTokens, type ModelDescription } from "../../shared/model/model.ts";
import { channelValue, type Normalisation } from "../../shared/engine/plan.ts";
import { exportedFile, ExportError, type ExportedFile } from "./formats.ts";
import { FLOAT, int, OnnxGraph, type Value } from "./onnx_graph.ts";
import { OnnxLayers } from "./onnx_layers.ts";
import { encoderOf } from "./proto_file.ts";
import { centerTensors } from "./tensors.ts";

/** Widely supported since 2022; IR version 8 belongs to it. */
const OPERATOR_SET = 17;
const IR_VERSION = 8;
/** Protocol buffers end there; a hundred kilobytes or so go to names and nodes. */
const MOST_BYTES = 2 ** 31 - 2 ** 20;

export const ONNX_INPUT = "images";
export const ONNX_LOGITS = "logits";
export const ONNX_PROBABILITIES = "probabilities";

export interface OnnxSource {
  readonly model: ModelDescription;
  /** In the layout's order, gaps included. */
  readonly parameters: Float32Array<ArrayBuffer>;
  readonly normalisation: Normalisation;
  /** Of the center. */
  readonly version: number;
  /** What the file says about itself, as it is. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Without its ending. */
  readonly fileStem: string;
}

/** Throws an `ExportError` where the format has no room. */
export async function onnxOf(source: OnnxSource): Promise<ExportedFile> {
  const { model, version, metadata, fileStem } = source;
  const bytes = 4 * layoutOf(model).elements;
  if (bytes > MOST_BYTES) {
    throw new ExportError(
      `The parameters of ${model.name} take ${(bytes / 2 ** 30).toFixed(1)} GiB, and one ONNX file holds at most 2; export safetensors instead.`,
    );
  }
  const graph = new OnnxGraph();
  addModel(graph, source);
  const encode = await encoderOf("onnx.proto", "onnx.ModelProto");
  const file = encode({
    irVersion: IR_VERSION,
    producerName: "drove",
    modelVersion: version,
    docString: inWords(model),
    opsetImport: [{ domain: "", version: OPERATOR_SET }],
    metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
    graph: {
      name: model.name,
      node: graph.nodes,
      initializer: graph.tensors,
      input: [inputInfo(model)],
      output: [ONNX_LOGITS, ONNX_PROBABILITIES].map((name) => info(name, [model.classes])),
    },
  });
  return exportedFile(`${fileStem}.onnx`, "application/octet-stream", [file]);
}

function addModel(graph: OnnxGraph, { model, parameters, normalisation }: OnnxSource): void {
  const tensors = centerTensors(layoutOf(model), parameters);
  const layers = new OnnxLayers(graph, (name) => {
    const found = tensors.get(name);
    if (!found) throw new Error(`invariant violation: no parameter "${name}"`);
    return found;
  });
  const shaped = inferShapes(model);
  const input = inputValue(graph, model, readsTokens(shaped) ? undefined : normalisation);
  const values: Value[] = [];
  for (const layer of shaped) {
    const inputs = layer.sources.map(({ index }) => (index < 0 ? input : values[index]!));
    values.push(layers.add(layer, inputs));
  }
  const outputs = graph.rows(values.at(-1)!);
  graph.output("Identity", ONNX_LOGITS, [outputs.name]);
  if (model.loss === "mean-squared-error") {
    // What is trained towards 0 and 1 is no logit: it is the share itself, up to what is beyond both.
    graph.output("Clip", ONNX_PROBABILITIES, [ONNX_LOGITS, graph.scalar(0), graph.scalar(1)]);
  } else {
    graph.output("Softmax", ONNX_PROBABILITIES, [ONNX_LOGITS], int("axis", 1));
  }
}

/** (x / 255 - mean) / deviation as one factor and one summand, as the engine has it; tokens stay as they are. */
function inputValue(
  graph: OnnxGraph,
  { input: shape }: ModelDescription,
  normalisation: Normalisation | undefined,
): Value {
  graph.reserve(ONNX_INPUT, ONNX_LOGITS, ONNX_PROBABILITIES);
  if (!normalisation) return { form: "image", shape, name: ONNX_INPUT };
  const { channels } = shape;
  const perChannel = (valueOf: (mean: number, deviation: number) => number): Float32Array<ArrayBuffer> =>
    Float32Array.from({ length: channels }, (_, channel) =>
      valueOf(channelValue(normalisation.mean, channel), channelValue(normalisation.deviation, channel)),
    );
  const factor = perChannel((_, deviation) => 1 / (255 * deviation));
  const summand = perChannel((mean, deviation) => -mean / deviation);
  const scaled = graph.add("Mul", "images/scaled", [ONNX_INPUT, graph.tensor("images.factor", [channels], factor)]);
  const moved = graph.add("Add", "images/normalised", [scaled, graph.tensor("images.summand", [channels], summand)]);
  return graph.fromNhwc(moved, shape);
}

function inputInfo({ input: { height, width, channels } }: ModelDescription): object {
  return {
    ...info(ONNX_INPUT, [height, width, channels]),
    docString: "Raw pixels, 0 to 255; rows of pixels of channels, as they lie in an image.",
  };
}

function info(name: string, lengths: readonly number[]): object {
  const dim = [{ dimParam: "batch" }, ...lengths.map((dimValue) => ({ dimValue }))];
  return { name, type: { tensorType: { elemType: FLOAT, shape: { dim } } } };
}

function inWords({ name, input: { height, width, channels }, classes }: ModelDescription): string {
  return (
    `${name}, trained with Drove. Input "${ONNX_INPUT}": [batch, ${height}, ${width}, ${channels}], raw pixel values from 0 to 255; the ` +
    `normalisation is part of the graph. Outputs "${ONNX_LOGITS}" and "${ONNX_PROBABILITIES}": [batch, ${classes}].`
  );
}
