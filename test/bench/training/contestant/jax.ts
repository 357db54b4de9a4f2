/** jax-js: one jitted function makes loss, gradients and the momentum update; a batch is uploaded for each step. */

import { blockUntilReady, defaultDevice, init, jit, numpy as np, valueAndGrad } from "@jax-js/jax";
import { elementsOf } from "../../../../shared/model/model.ts";
import { JaxModel } from "../../../reference/jax_model.ts";
import { normalisedImages, oneHot, type Contestant, type Prepare } from "../job.ts";

type Arrays = Record<string, np.Array>;

export const prepareJax: Prepare = async (backend, job, data) => {
  if (backend !== "webgpu" && backend !== "wasm") throw new Error(`jax-js is not measured on ${backend}.`);
  const opened = await init(backend);
  if (!opened.includes(backend)) throw new Error(`jax-js has no backend "${backend}" here.`);
  defaultDevice(backend);
  const { model, batch, learningRate, momentum } = job;
  const network = new JaxModel(model);
  let parameters = network.parameters(data.parameters);
  let velocities: Arrays = Object.fromEntries(
    Object.entries(parameters).map(([name, values]) => [name, np.zeros(values.shape)]),
  );
  const images = normalisedImages(job, data.images, "nchw");
  const targets = oneHot(job, data.labels);
  const imageElements = elementsOf(model.input);
  const { height, width, channels } = model.input;

  const lossAndGradients = valueAndGrad((values: Arrays, inputs: np.Array, answers: np.Array) =>
    network.meanLoss(values, inputs, answers),
  );
  const train = jit(
    (values: Arrays, speeds: Arrays, inputs: np.Array, answers: np.Array): [np.Array, Arrays, Arrays] => {
      const kept = Object.fromEntries(Object.entries(values).map(([name, array]) => [name, array.ref]));
      const [loss, gradients] = lossAndGradients(kept, inputs, answers) as [np.Array, Arrays];
      const nextSpeeds: Arrays = {};
      const nextValues: Arrays = {};
      for (const name of Object.keys(values)) {
        const speed = speeds[name]!.mul(momentum).sub(gradients[name]!.mul(learningRate));
        nextValues[name] = values[name]!.add(speed.ref);
        nextSpeeds[name] = speed;
      }
      return [loss, nextValues, nextSpeeds];
    },
  );

  await blockUntilReady([parameters, velocities]);
  let last: np.Array | undefined;
  const contestant: Contestant = {
    device: `jax-js 0.1.25, ${backend}`,
    compileMs: null,
    step: async (first) => {
      last?.dispose();
      const inputs = np.array(images.subarray(first * imageElements, (first + batch) * imageElements));
      const answers = np.array(targets.subarray(first * model.classes, (first + batch) * model.classes));
      const shaped = inputs.reshape([batch, channels, height, width]);
      [last, parameters, velocities] = train(parameters, velocities, shaped, answers.reshape([batch, model.classes]));
      // Nothing is computed before somebody waits for it; its manual asks to wait in each iteration.
      await blockUntilReady([last, parameters, velocities]);
    },
    loss: async () => (await last!.ref.data())[0] as number,
  };
  return contestant;
};
