/** A user's own model: what the coordinator makes of a file, and what it says of one that is wrong. */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { configFrom } from "../../coordinator/cli/config_flags.ts";
import { loadModelFile } from "../../coordinator/model_file.ts";
import { ConfigError, modelOf, readConfig } from "../../coordinator/run_config.ts";
import { startService } from "../../coordinator/service.ts";
import { layoutOf } from "../../shared/model/layout.ts";
import { LiveRun } from "../support/live_replicas.ts";

const EXAMPLE = fileURLToPath(new URL("../../examples/mnist_batch_norm.json", import.meta.url));
const GOOD = {
  name: "two layers",
  input: { height: 28, width: 28, channels: 1 },
  classes: 10,
  layers: [
    { kind: "conv2d", name: "conv1", kernel: 5, channels: 4 },
    { kind: "relu", name: "relu1" },
    { kind: "dense", name: "out", units: 10 },
  ],
};

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "drove-models-"));
});

afterAll(() => rm(folder, { recursive: true }));

async function sentenceOf(file: string, content: string): Promise<string> {
  await writeFile(join(folder, file), content);
  try {
    await loadModelFile(`./${file}`, folder);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error("the model was accepted");
}

function changed(layer: number, change: object): string {
  const layers = GOOD.layers.map((one, index) => (index === layer ? { ...one, ...change } : one));
  return JSON.stringify({ ...GOOD, layers });
}

test("The example trains: two replicas bring it from nothing to 80 % of MNIST", async () => {
  const model = await loadModelFile(EXAMPLE, ".");
  expect(layoutOf(model).parameters).toBe(9122);
  const run = await LiveRun.create({
    model: { ...model, layers: [...model.layers] },
    momentum: 0.9,
    learningRate: 0.02,
  });
  expect(await run.accuracy()).toBeLessThan(0.4);
  const replicas = [await run.join(1), await run.join(2)];
  await run.until(40);
  run.run.finish("stopped", "The test is over.");
  await Promise.all(replicas.map(({ ended }) => ended));
  expect(await run.accuracy()).toBeGreaterThan(0.8);
  await run.close();
});

test("A flag names a JSON file, and a run file a module beside it; a resumed run has the description itself", async () => {
  await writeFile(join(folder, "mine.json"), JSON.stringify(GOOD));
  await writeFile(
    join(folder, "mine.ts"),
    `const units: number = 10;\nexport default { ...${JSON.stringify(GOOD)}, name: "from a module", layers: [{ kind: "dense", name: "out", units }] };\n`,
  );
  await writeFile(join(folder, "run.json"), JSON.stringify({ model: "./mine.ts" }));
  const byFlag = await configFrom({ model: join(folder, "mine.json") });
  expect(byFlag.model).toEqual(GOOD);
  const byFile = await configFrom({ config: join(folder, "run.json") });
  expect(modelOf(byFile).name).toBe("from a module");
  const written = JSON.parse(JSON.stringify(byFlag)) as unknown;
  expect(readConfig({ file: { path: "run.json", value: written } })).toEqual(byFlag);
});

test.for<[what: string, file: string, content: string, sentence: RegExp]>([
  ["no JSON", "a.json", "{", /^The model file \.\/a\.json is not JSON \(/],
  [
    "a wrong value",
    "b.json",
    changed(0, { kernel: "five" }),
    /: layer 1 \("conv1"\), field "kernel" is "five"; accepted is a number\. The layer gets 28x28x1\.$/,
  ],
  [
    "a value out of range",
    "c.json",
    changed(0, { channels: 0 }),
    /: layer 1 \("conv1"\), field "channels" is 0; accepted is a number from 1\. The layer gets 28x28x1\.$/,
  ],
  [
    "an unknown kind",
    "d.json",
    changed(1, { kind: "swish" }),
    /: layer 2 \("relu1"\), field "kind" is "swish", which is no kind of layer; accepted is one of conv2d, .*\. Did you mean "silu"\? The layer gets 24x24x4\.$/,
  ],
  [
    "an unknown field",
    "e.json",
    changed(0, { strides: 2 }),
    /: layer 1 \("conv1"\), field "strides": there is no such field in a layer of kind conv2d; accepted are name, from, kernel, channels, stride, .*\. Did you mean "stride"\? The layer gets 28x28x1\.$/,
  ],
  [
    "a missing field",
    "f.json",
    changed(2, { units: undefined }),
    /: layer 3 \("out"\), field "units" is missing; a layer of kind dense needs it\. The layer gets 24x24x4\.$/,
  ],
  [
    "a layer too large",
    "g.json",
    changed(0, { kernel: 31 }),
    /^The model file \.\/g\.json: Layer "conv1": a 31x31 window does not fit into its input of 28x28x1 with padding 0\. It is layer 1 of 3, of kind conv2d, and gets 28x28x1\.$/,
  ],
  ["too few outputs", "h.json", changed(2, { units: 9 }), /the last layer must give 10 outputs, but layer "out" gives/],
  ["a list", "i.json", "[]", /^The model file \.\/i\.json holds a list; accepted is an object\.$/],
  [
    "no layers",
    "m.json",
    JSON.stringify({ ...GOOD, layers: [] }),
    /: field "layers" is \[\]; accepted is at least one/,
  ],
  ["no input", "n.json", JSON.stringify({ ...GOOD, input: undefined }), /: field "input" is missing\.$/],
  [
    "no kind",
    "o.json",
    changed(1, { kind: undefined }),
    /: layer 2 \("relu1"\), field "kind" is missing; accepted is one/,
  ],
  [
    "a misspelt kind",
    "p.json",
    changed(2, { kind: "Dens" }),
    /: layer 3 \("out"\), field "kind" is "Dens", .* Did you mean "dense"\? The layer gets 24x24x4\.$/,
  ],
  [
    "a layer that reads one that is not there",
    "q.json",
    changed(2, { from: "relu2" }),
    /Layer "out" reads "relu2", but no layer before it has that name; accepted are input, conv1, relu1\. It is layer 3 of 3, of kind dense\.$/,
  ],
  ["no default", "j.js", "export const model = {};", /exports no default; write `export default/],
  ["a module that fails", "k.js", 'throw new Error("no such thing");', /cannot be loaded \(no such thing\)/],
  ["another ending", "l.txt", "{}", /is neither a JSON file nor a module; give the file the ending/],
])("A file with %s is named with what it got and what was expected", async ([, file, content, sentence]) => {
  expect(await sentenceOf(file, content)).toMatch(sentence);
});

test("A file that is not there is named with the place that was looked at", async () => {
  await expect(loadModelFile("./gone.json", folder)).rejects.toThrow(
    /^The model file \.\/gone\.json cannot be read \(ENOENT\)/,
  );
});

test("A model that does not fit the data is refused with both shapes, and leaves no folder", async () => {
  const model = { ...GOOD, input: { height: 32, width: 32, channels: 3 } };
  await writeFile(join(folder, "colour.json"), JSON.stringify(model));
  const config = await configFrom({ model: join(folder, "colour.json"), runsFolder: join(folder, "runs") });
  const options = {
    clientFolder: folder,
    dataRoot: folder,
    resume: false,
    measuresCurvature: false,
    onFailure: () => {},
    onNote: () => {},
  };
  await expect(startService(config, options)).rejects.toThrow(
    /^--data mnist has images of 28x28x1 in 10 classes, but --model two layers takes 32x32x3 in up to 10; choose a model and a data set that fit\.$/,
  );
  expect(dirname(config.runsFolder)).toBe(folder);
});
