import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { exportAside } from "../../coordinator/export/export_aside.ts";
import { exportOf } from "../../coordinator/export/export_of.ts";
import type { ExportedFile } from "../../coordinator/export/formats.ts";
import { readModelFile, safetensorsOf } from "../../coordinator/export/safetensors.ts";
import { MODELS } from "../../shared/model/catalogue.ts";
import { initialParameters, layoutOf } from "../../shared/model/layout.ts";
import { RUN_VERSION, runParameters, writeRunFolder } from "../support/export/run_folder.ts";

let root = "";
let folder = "";
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "drove-export-"));
  folder = await writeRunFolder(root, "mine");
});
afterAll(() => rm(root, { recursive: true, force: true }));

function bytesOf({ parts }: ExportedFile): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.concat(parts));
}

interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

/** By the format's own words, without a line of Drove's: u64 header length, JSON, tensors one after the other. */
function independentlyRead(bytes: Uint8Array<ArrayBuffer>): {
  metadata: Record<string, string>;
  tensors: Map<string, { shape: readonly number[]; values: Float32Array }>;
} {
  const view = new DataView(bytes.buffer);
  const headerBytes = Number(view.getBigUint64(0, true));
  expect(headerBytes % 8).toBe(0);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + headerBytes))) as Record<string, unknown>;
  const { __metadata__: metadata, ...entries } = header;
  const tensors = new Map<string, { shape: readonly number[]; values: Float32Array }>();
  let end = 0;
  for (const [name, entry] of Object.entries(entries as Record<string, Entry>)) {
    const [from, to] = entry.data_offsets;
    expect([entry.dtype, from]).toEqual(["F32", end]);
    end = to;
    const values = Float32Array.from({ length: (to - from) / 4 }, (_, index) =>
      view.getFloat32(8 + headerBytes + from + 4 * index, true),
    );
    tensors.set(name, { shape: entry.shape, values });
  }
  expect(8 + headerBytes + end).toBe(bytes.length);
  return { metadata: metadata as Record<string, string>, tensors };
}

test("A run's center becomes named tensors and metadata that another reader understands, without the velocity", async () => {
  const file = await exportOf("safetensors", { folder, dataRoot: root });
  expect(file.fileName).toBe("mine.safetensors");
  const { metadata, tensors } = independentlyRead(bytesOf(file));
  expect([...tensors.keys()]).toEqual(["fc.weights", "fc.bias"]);
  const layout = layoutOf(MODELS.logistic);
  for (const { name, shape, offset, elements } of layout.tensors) {
    expect(tensors.get(name)?.shape).toEqual(shape);
    expect(tensors.get(name)?.values).toEqual(runParameters().slice(offset, offset + elements));
  }
  expect(JSON.parse(metadata["model"]!)).toEqual(JSON.parse(JSON.stringify(MODELS.logistic)));
  expect(JSON.parse(metadata["normalisation"]!)).toEqual({ mean: [0.25], deviation: [0.5] });
  expect(JSON.parse(metadata["classNames"]!)).toHaveLength(10);
  expect(metadata).toMatchObject({
    run: "mine",
    data: "mnist",
    version: String(RUN_VERSION),
    incarnation: "1",
    accuracy: "0.7",
    testImages: "1000",
    layout: layout.hash,
  });
});

test("What was exported is read again bit for bit, batch norm's statistics with it", () => {
  const model = MODELS["resnet-20"];
  const parameters = initialParameters(layoutOf(model), 4);
  const normalisation = { mean: [0.1, 0.2, 0.3], deviation: [1, 2, 3] };
  const file = safetensorsOf({ model, parameters, normalisation, metadata: { run: "x" }, fileStem: "x" });
  const read = readModelFile(bytesOf(file), "x.safetensors");
  expect(read.parameters).toEqual(parameters);
  expect([read.model, read.normalisation, read.metadata["run"]]).toEqual([
    JSON.parse(JSON.stringify(model)),
    normalisation,
    "x",
  ]);
});

test("A file that Drove did not export is refused with the field that it lacks", async () => {
  const checkpoint = new Uint8Array(await readFile(join(folder, "checkpoint.safetensors")));
  expect(() => readModelFile(checkpoint, "checkpoint.safetensors")).toThrow(
    'checkpoint.safetensors was not exported by Drove: its metadata have a missing or wrong "format"',
  );
  expect(() => readModelFile(new Uint8Array([1, 2, 3]), "torn.safetensors")).toThrow(
    "torn.safetensors is not a whole safetensors file: it holds only 3 bytes.",
  );
});

test(
  "Beside a run that goes on, the center that is handed in is exported, in a thread of its own and as it was then",
  { timeout: 180_000 },
  async () => {
    const layout = layoutOf(MODELS.logistic);
    const parameters = new Float32Array(new SharedArrayBuffer(4 * layout.elements)).fill(7);
    const request = { folder, dataRoot: root, center: { version: RUN_VERSION + 5, parameters } };
    const exported = exportAside("safetensors", request);
    // As appliers go on writing.
    parameters.fill(8);
    const { metadata, tensors } = independentlyRead(bytesOf(await exported));
    expect(metadata["version"]).toBe(String(RUN_VERSION + 5));
    expect(new Set(tensors.get("fc.weights")?.values)).toEqual(new Set([7]));
  },
);

test(
  "Exports beside a run are made one after the other, and too many at once are refused",
  { timeout: 180_000 },
  async () => {
    const asked = Array.from({ length: 5 }, () => exportAside("events", { folder, dataRoot: root }));
    const answers = await Promise.allSettled(asked);
    expect(answers.map(({ status }) => status)).toEqual([...Array(4).fill("fulfilled"), "rejected"]);
    expect(answers[4]).toMatchObject({
      reason: { message: expect.stringMatching(/^4 exports are being made already/) },
    });
  },
);

test(
  "What is no run, and a run without an event log, are refused with a sentence in the worker too",
  { timeout: 180_000 },
  async () => {
    const older = await writeRunFolder(root, "older", false);
    await expect(exportAside("events", { folder: older, dataRoot: root })).rejects.toThrow(
      'The run "older" has no event log; it is older than they are.',
    );
    await expect(exportAside("onnx", { folder: root, dataRoot: root })).rejects.toThrow(
      `${root} is no run: it holds no run.json; name the folder of one.`,
    );
    await writeFile(join(older, "result.json"), "{");
    await expect(exportOf("card", { folder: older, dataRoot: root })).rejects.toThrow("result.json cannot be read");
  },
);
