/** The model card's section on how to load the files beside it, in a few lines each. */

import { ONNX_INPUT, ONNX_LOGITS, ONNX_PROBABILITIES } from "./onnx.ts";
import type { CardSource } from "./model_card.ts";

export function usageSection({ run: { model, layout }, fileStem }: CardSource): string {
  const { height, width, channels } = model.input;
  const mode = channels === 1 ? "L" : channels === 3 ? "RGB" : undefined;
  const picture =
    mode === undefined
      ? `images = np.zeros((1, ${height}, ${width}, ${channels}), np.float32)  # your bytes, 0 to 255`
      : `picture = Image.open("picture.png").convert("${mode}").resize((${width}, ${height}))\n` +
        `images = np.asarray(picture, np.float32).reshape(1, ${height}, ${width}, ${channels})  # raw values, 0 to 255`;
  const first = layout.tensors[0]?.name ?? "";
  return `## How to use it

The ONNX file takes raw pixels, float32 from 0 to 255, as \`[batch, ${height}, ${width}, ${channels}]\`; the normalisation is inside.
${channels === 1 ? "\nDigits of MNIST and its like are white on black.\n" : ""}
\`\`\`python
import numpy as np, onnxruntime
from PIL import Image

${picture}
session = onnxruntime.InferenceSession("${fileStem}.onnx")
logits, probabilities = session.run(["${ONNX_LOGITS}", "${ONNX_PROBABILITIES}"], {"${ONNX_INPUT}": images})
print(probabilities.argmax(axis=1))
\`\`\`

In a browser or in Node:

\`\`\`js
import * as ort from "onnxruntime-web";

const session = await ort.InferenceSession.create("${fileStem}.onnx");
const images = new ort.Tensor("float32", pixels, [1, ${height}, ${width}, ${channels}]); // a Float32Array, 0 to 255
const { ${ONNX_PROBABILITIES} } = await session.run({ ${ONNX_INPUT}: images });
\`\`\`

The safetensors file has the parameters by name, convolutions as \`[kernel, kernel, in / groups, out]\` and dense weights as
\`[inputs, units]\`, images in the order rows, columns, channels; its metadata hold the model's layers and the normalisation as JSON.

\`\`\`python
from safetensors import safe_open

with safe_open("${fileStem}.safetensors", "np") as file:
    print(file.metadata()["model"], file.get_tensor(${JSON.stringify(first)}).shape)
\`\`\`

Drove itself evaluates it, with a table of what is taken for what:

\`\`\`sh
drove eval ${fileStem}.safetensors
\`\`\``;
}
