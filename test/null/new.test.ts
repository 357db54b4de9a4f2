/** Run files as `drove new` writes them: they are accepted, and the schema beside them says the same as Drove itself. */

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Ajv, type AnySchemaObject, type ValidateFunction } from "ajv";
import { afterAll, beforeAll, expect, test } from "vitest";
import { configFrom } from "../../coordinator/cli/config_flags.ts";
import { placeOfRun, runUrl } from "../../coordinator/cli/run_file.ts";
import { modelFileSchema, runFileSchema } from "../../coordinator/file_schemas.ts";
import { loadModelFile } from "../../coordinator/model_file.ts";
import { ConfigError, modelOf, readConfig } from "../../coordinator/run_config.ts";
import { FIELDS } from "../../coordinator/run_fields.ts";
import { TEMPLATE_NAMES } from "../../coordinator/run_templates.ts";
import { MODELS } from "../../shared/model/catalogue.ts";
import { LAYER_KINDS } from "../../shared/model/layer_words.ts";
import { SOLVER_NAMES } from "../../shared/solver/catalogue.ts";
import { inProcess } from "../support/command_line.ts";

let folder = "";
let isRunFile: ValidateFunction;
let isModelFile: ValidateFunction;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "drove-new-"));
  const ajv = new Ajv({ allErrors: true });
  // As editors read them.
  isRunFile = ajv.compile(JSON.parse(JSON.stringify(runFileSchema())) as AnySchemaObject);
  isModelFile = ajv.compile(JSON.parse(JSON.stringify(modelFileSchema())) as AnySchemaObject);
});
afterAll(() => rm(folder, { recursive: true }));

async function json(...path: string[]): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(join(folder, ...path), "utf8")) as Record<string, unknown>;
}

test("A run file has what was asked for, names its schema beside it, and is the run that was asked for", async () => {
  const file = join(folder, "asked", "drove.run.json");
  const ended = await inProcess(
    "new",
    file,
    ..."--model mlp --solver async-easgd --staleness scale:20 --augmentation crop2".split(" "),
    ..."--codec-up int8 --peers --groups 2 --tls-self-signed --port 0 --json".split(" "),
  );
  expect(ended.exitCode).toBe(0);
  expect(await json("asked", "drove.run.json")).toEqual({
    $schema: "./drove.run.schema.json",
    model: "mlp",
    data: "mnist",
    solver: "async-easgd",
    augmentation: { cropPadding: 2, flip: false },
    staleness: { kind: "scale", halfRateStaleness: 20 },
    groups: 2,
    codecUp: "int8",
    peers: true,
    targetAccuracy: 0.98,
    port: 0,
    tls: "self-signed",
  });
  expect(await json("asked", "drove.run.schema.json")).toEqual(runFileSchema());
  expect(JSON.parse(ended.stdout)).toMatchObject({ file, model: null, fields: { groups: 2 } });
  expect(await configFrom({ config: file })).toMatchObject({ model: "mlp", groups: 2, momentum: 0, codecUp: "int8" });
});

test("A file that is there is not written over without --force", async () => {
  const file = join(folder, "twice.json");
  expect((await inProcess("new", file)).exitCode).toBe(0);
  const again = await inProcess("new", file, "--model", "mlp");
  expect([again.exitCode, again.stderr]).toEqual([
    2,
    `drove: ${file} is there already; name another file than twice.json, or add --force to write over it.\n`,
  ]);
  expect(await json("twice.json")).toMatchObject({ model: "lenet" });
  expect((await inProcess("new", file, "--model", "mlp", "--force")).exitCode).toBe(0);
  expect(await json("twice.json")).toMatchObject({ model: "mlp" });
});

test.for(TEMPLATE_NAMES)(
  "The template %s gives a run file that Drove and its schema accept, also with every field",
  async (name) => {
    for (const flags of [[], ["--all"]]) {
      const file = join(folder, `${name}${flags.length}`, "drove.run.json");
      expect((await inProcess("new", file, "--template", name, ...flags)).stderr).toBe("");
      const written = await json(`${name}${flags.length}`, "drove.run.json");
      expect([isRunFile(written), isRunFile.errors]).toEqual([true, null]);
      const config = await configFrom({ config: file });
      expect(config).toEqual({ ...config, ...(name === "classroom" ? { host: "0.0.0.0", tls: "self-signed" } : {}) });
      if (flags.length > 0) expect(Object.keys(written)).toEqual(["$schema", ...Object.keys(FIELDS)]);
    }
  },
);

test("A model of one's own is begun for the data set, beside the run file, with a schema of its own", async () => {
  const file = join(folder, "own", "drove.run.json");
  const { stdout } = await inProcess("new", file, "--template", "own-model");
  expect(stdout).toContain("`drove model ");
  expect(await json("own", "drove.run.json")).toMatchObject({ model: "./drove.model.json", data: "mnist" });
  const model = await json("own", "drove.model.json");
  expect(model).toMatchObject({ $schema: "./drove.model.schema.json", classes: 10 });
  expect(await json("own", "drove.model.schema.json")).toEqual(modelFileSchema());
  expect([isModelFile(model), isModelFile.errors]).toEqual([true, null]);
  const { name, input } = modelOf(await configFrom({ config: file }));
  expect([name, input]).toEqual(["my-model", { height: 28, width: 28, channels: 1 }]);
  const refused = await inProcess("new", join(folder, "own", "other.json"), "--template", "own-model");
  expect(refused.stderr).toMatch(/drove\.model\.json is there already/);
});

test("A model file is named by its place beside the run file", async () => {
  await writeFile(join(folder, "mine.json"), JSON.stringify(MODELS.mlp));
  await inProcess("new", join(folder, "below", "run.json"), "--model", join(folder, "mine.json"));
  expect(await json("below", "run.json")).toMatchObject({ model: "../mine.json" });
  expect(modelOf(await configFrom({ config: join(folder, "below", "run.json") })).name).toBe("mlp");
  expect((await loadModelFile("./mine.json", folder)).name).toBe("mlp");
});

/** Whether Drove itself takes a run file, apart from what only fits together or not. */
function isAccepted(value: unknown): boolean {
  try {
    readConfig({ file: { path: "x", value } });
    return true;
  } catch (error) {
    if (error instanceof ConfigError) return error.message.includes(", but ");
    throw error;
  }
}

const VALUES: readonly unknown[] = [
  null,
  true,
  "",
  "auto",
  "lenet",
  "mnist",
  "ea-wild",
  "self-signed",
  "../up",
  0,
  1,
  -1,
  0.5,
  1.5,
  64,
  1e12,
  [],
  {},
  { kind: "none" },
  { kind: "bound", limit: 3 },
  { kind: "bound", limit: -3 },
  { kind: "step", every: 10, factor: 0.5 },
  { kind: "step", every: 10, factor: 0.5, more: 1 },
  { cropPadding: 4, flip: true },
  { cropPadding: 65, flip: true },
  { certificate: "a.pem", key: "b.pem" },
  [{ urls: "stun:example.org:3478" }],
  [{ urls: "http://example.org" }],
  MODELS.mlp,
  { ...MODELS.mlp, classes: 0 },
  { ...MODELS.mlp, layers: [{ kind: "swish", name: "a" }] },
];

test("The schema accepts what Drove accepts and nothing else, for every field and many values", () => {
  const different = Object.keys(FIELDS).flatMap((field) =>
    VALUES.filter((value) => isRunFile({ [field]: value }) !== isAccepted({ [field]: value })).map((value) => [
      field,
      value,
    ]),
  );
  expect(different).toEqual([]);
  expect(isRunFile({ model: "./mine.ts" })).toBe(true);
  expect(isRunFile({ lerningRate: 1 })).toBe(false);
  for (const solver of SOLVER_NAMES) expect(isRunFile({ solver })).toBe(true);
});

test("Every field and every kind of layer is described where editors show it", () => {
  const { properties = {} } = runFileSchema();
  expect(Object.keys(properties)).toEqual(["$schema", ...Object.keys(FIELDS)]);
  for (const field of Object.values(properties))
    expect((field as { description: string }).description).toMatch(/\w+.*\./);
  const text = JSON.stringify(modelFileSchema());
  for (const kind of LAYER_KINDS) expect(text).toContain(`{"const":"${kind}"}`);
  for (const model of Object.values(MODELS)) expect([isModelFile(model), isModelFile.errors]).toEqual([true, null]);
});

test("Other commands go by the run file: where runs are, and where the coordinator is; flags win", async () => {
  const config = join(folder, "place.json");
  const fields = { name: "ours", runsFolder: "elsewhere", host: "0.0.0.0", port: 8443, tls: "self-signed" };
  await writeFile(config, JSON.stringify({ ...fields, model: "./not/there.json", unknown: 1 }));
  expect(await placeOfRun({ config })).toEqual({ ...fields, path: config });
  expect((await placeOfRun({ config, runsFolder: "here" })).runsFolder).toBe("here");
  expect(String(await runUrl(undefined, { config }))).toBe("https://127.0.0.1:8443/");
  expect(String(await runUrl("127.0.0.1:1", { config }))).toBe("http://127.0.0.1:1/");
  await writeFile(config, JSON.stringify({ host: "::1", port: 81 }));
  expect(String(await runUrl(undefined, { config }))).toBe("http://[::1]:81/");
  await writeFile(config, JSON.stringify({ port: 0 }));
  await expect(runUrl(undefined, { config })).rejects.toThrow(/"port" is 0, which is another one in every run; pass/);
  await writeFile(config, JSON.stringify({ runsFolder: 7 }));
  await expect(placeOfRun({ config })).rejects.toThrow(/place\.json: "runsFolder" is 7; accepted is the path/);
});

test("A model is shown layer by layer with what it costs, and its kinds of layers with their fields", async () => {
  const { exitCode, stdout } = await inProcess("model", "lenet");
  expect(exitCode).toBe(0);
  expect(stdout).toContain("lenet: images of 28x28x1, 10 classes, 431,080 parameters (1.7 MB in f32), ");
  const shown = JSON.parse((await inProcess("model", "lenet", "--json")).stdout) as {
    readonly layers: readonly { readonly name: string; readonly parameters: number; readonly multiplyAdds: number }[];
    readonly parameters: number;
  };
  expect(shown.layers.reduce((sum, { parameters }) => sum + parameters, 0)).toBe(shown.parameters);
  // 20 filters of 5x5x1 at 24x24 places.
  expect(shown.layers[0]).toMatchObject({ parameters: 20 * 25 + 20, multiplyAdds: 20 * 25 * 24 * 24 });
  expect((await inProcess("model", "--layers")).stdout).toMatch(/\n {2}dropout +rate +Zeroes each value/);
});
