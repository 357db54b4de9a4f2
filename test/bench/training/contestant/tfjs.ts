/** TensorFlow.js: its own autodiff over the model's layers, its kernels, its momentum optimizer; a batch is uploaded for each step. */

import * as tf from "@tensorflow/tfjs";
import { elementsOf, type ModelDescription } from "../../../../shared/model/model.ts";
import { layoutOf } from "../../../../shared/model/layout.ts";
import { TfjsModel } from "../../../reference/tfjs_model.ts";
import { normalisedImages, oneHot, type BackendName, type Contestant, type Prepare } from "../job.ts";

/** Where the page's server has the WASM files of TensorFlow.js. Node finds them by itself. */
const WASM_FILES = "/node_modules/@tensorflow/tfjs-backend-wasm/dist/";

export const prepareTfjs: Prepare = async (backend, job, data) => {
  await openBackend(backend);
  const { model, batch } = job;
  if (backend === "wasm" && hasConvolutions(model)) {
    throw new Error("TensorFlow.js has no filter gradient of a convolution for WASM (Conv2DBackpropFilter).");
  }
  const network = new TfjsModel(model, layoutOf(model), data.parameters);
  const optimizer = tf.train.momentum(job.learningRate, job.momentum);
  const images = normalisedImages(job, data.images, "nhwc");
  const targets = oneHot(job, data.labels);
  const imageElements = elementsOf(model.input);
  const { height, width, channels } = model.input;
  let last: tf.Scalar | undefined;
  const contestant: Contestant = {
    device: `TensorFlow.js ${tf.version.tfjs}, ${tf.getBackend()}`,
    compileMs: null,
    step: (first) => {
      last?.dispose();
      last = tf.tidy(() => {
        const inputs = tf.tensor4d(images.subarray(first * imageElements, (first + batch) * imageElements), [
          batch,
          height,
          width,
          channels,
        ]);
        const answers = tf.tensor2d(targets.subarray(first * model.classes, (first + batch) * model.classes), [
          batch,
          model.classes,
        ]);
        const loss = optimizer.minimize(() => network.meanLoss({ inputs, targets: answers }, 0), true, [
          ...network.variables.values(),
        ]);
        if (!loss) throw new Error("TensorFlow.js gave no loss.");
        return loss;
      });
    },
    loss: async () => {
      // One parameter is read too: what the queue holds before it, the update, has then been done.
      const parameters = [...network.variables.values()].at(-1)!;
      const small = tf.tidy(() => tf.slice(parameters.flatten(), 0, 1));
      const [[loss]] = await Promise.all([last!.data(), small.data()]);
      small.dispose();
      return loss!;
    },
  };
  return contestant;
};

async function openBackend(backend: BackendName): Promise<void> {
  if (backend === "webgpu") await import("@tensorflow/tfjs-backend-webgpu");
  if (backend === "wasm") {
    const { setWasmPaths } = await import("@tensorflow/tfjs-backend-wasm");
    if ("WorkerGlobalScope" in globalThis) setWasmPaths(WASM_FILES);
  }
  if (backend === "webgl" && !("WorkerGlobalScope" in globalThis)) throw new Error("There is no WebGL in Node.");
  if (!(await tf.setBackend(backend))) throw new Error(`TensorFlow.js has no backend "${backend}" here.`);
  await tf.ready();
}

function hasConvolutions(model: ModelDescription): boolean {
  return model.layers.some(({ kind }) => kind === "conv2d");
}
