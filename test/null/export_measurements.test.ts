import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { exportOf } from "../../coordinator/export/export_of.ts";
import { crc32c } from "../../coordinator/export/record_file.ts";
import { writeRunFolder } from "../support/export/run_folder.ts";
import { readEventFile, type TensorboardEvent } from "../support/export/tensorboard_reader.ts";

let root = "";
let folder = "";
let older = "";
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "drove-export-"));
  folder = await writeRunFolder(root, "mine");
  older = await writeRunFolder(root, "older", false);
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function linesOf(from: string): Promise<Record<string, unknown>[]> {
  const { parts } = await exportOf("metrics", { folder: from, dataRoot: root });
  const lines = Buffer.concat(parts).toString("utf8").trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

test("Measurements are JSON lines: one for each evaluation and each logged view, in order", async () => {
  const lines = await linesOf(folder);
  expect(lines.map(({ kind, seconds }) => `${String(kind)} ${String(seconds)}`)).toEqual([
    ...[0, 1, 2].flatMap((second) => [`view ${second}`, `evaluation ${second}`]),
    "view 3",
  ]);
  expect(lines[3]).toEqual({
    run: "mine",
    kind: "evaluation",
    at: "2026-11-21T12:00:01.000Z",
    seconds: 1,
    samples: 1000,
    bytes: 1e6,
    accuracy: 0.6,
    testLoss: 0.9,
    trainLoss: 1.4,
    images: 1000,
  });
  expect(lines[6]).toMatchObject({
    replicas: 2,
    hiddenReplicas: 1,
    dutyCycle: 0.75,
    version: 30,
    stalenessMax: 3,
    epoch: 3,
    epochUsed: 30_000,
  });
});

test("A run without an event log has the evaluations of its checkpoint", async () => {
  const lines = await linesOf(older);
  expect(lines.map(({ kind, at, accuracy }) => [kind, at, accuracy])).toEqual([
    ["evaluation", null, 0.5],
    ["evaluation", null, 0.6],
    ["evaluation", null, 0.7],
  ]);
});

test("Every key of the lines is explained in the documents, and none that is not there", async () => {
  const text = await readFile(new URL("../../docs/grafana/README.md", import.meta.url), "utf8");
  const rows = text.split("\n").filter((line) => line.startsWith("| `"));
  const explained = rows.flatMap((row) => [...row.split("|")[1]!.matchAll(/`(\w+)`/g)].map(([, key]) => key));
  const written = new Set((await linesOf(folder)).flatMap((line) => Object.keys(line)));
  expect(new Set(explained)).toEqual(written);
  expect(explained).toHaveLength(written.size);
});

test("Checksums of records are CRC-32C, by its published check value", () => {
  expect(crc32c(new TextEncoder().encode("123456789"))).toBe(0xe3069283);
});

async function eventsOf(from: string): Promise<{ events: TensorboardEvent[]; fileName: string }> {
  const { parts, fileName } = await exportOf("tensorboard", { folder: from, dataRoot: root });
  return { events: readEventFile(new Uint8Array(Buffer.concat(parts))), fileName };
}

test("An event file's records and checksums hold for an independent reader, and scalars and histograms are in it", async () => {
  const { events, fileName } = await eventsOf(folder);
  expect(fileName).toBe("events.out.tfevents.1795262400.drove");
  expect(events[0]).toMatchObject({ wallTime: 1_795_262_400, fileVersion: "brain.Event:2" });
  const scalars = events.flatMap(({ step, wallTime, values }) =>
    values.map(({ tag, simpleValue }) => ({ tag, simpleValue, step, wallTime })),
  );
  const accuracies = scalars.filter(({ tag }) => tag === "accuracy/test");
  expect(accuracies.map(({ step }) => step)).toEqual([0, 1000, 2000]);
  expect(accuracies[2]?.simpleValue).toBeCloseTo(0.7, 6);
  expect(accuracies[2]?.wallTime).toBe(1_795_262_402);
  const tags = new Set(scalars.map(({ tag }) => tag));
  for (const tag of [
    "loss/test",
    "loss/train",
    "throughput/samples_per_second",
    "staleness/mean",
    "staleness/p99",
    "hyperparameters/learning_rate",
    "hyperparameters/communication_period",
    "replicas/connected",
    "exchanges/refused",
    "epoch/used_share",
  ]) {
    expect(tags).toContain(tag);
  }
});

test("Staleness is a histogram of TensorBoard's: limits that grow, and a count in each bucket", async () => {
  const { events } = await eventsOf(folder);
  const histograms = events.flatMap(({ values }) => values.flatMap(({ histogram }) => histogram ?? []));
  // The first with pushes, one every ten views, and the last.
  expect(histograms.map(({ num }) => num)).toEqual([10, 30]);
  const { bucketLimits, buckets, ...moments } = histograms.at(-1)!;
  expect(bucketLimits).toEqual([0.5, 1.5, 2.5, 3.5]);
  expect(buckets).toEqual([8, 8, 7, 7]);
  expect(moments).toEqual({ min: 0, max: 3, num: 30, sum: 43, sumSquares: 99 });
});

test("A run without an event log has an event file of its evaluations", async () => {
  const { events } = await eventsOf(older);
  expect(events.slice(1).map(({ wallTime, step }) => [wallTime, step])).toEqual([
    [0, 0],
    [1, 1000],
    [2, 2000],
  ]);
});
