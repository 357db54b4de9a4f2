import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadMnist } from "../../coordinator/data/mnist.ts";
import { startCoordinator } from "../support/coordinator_process.ts";
import { inProcess } from "../support/command_line.ts";
import type { Ended } from "../support/drove_command.ts";
import { referenceLogits } from "../support/export/onnx_comparison.ts";
import { runParameters, writeRunFolder } from "../support/export/run_folder.ts";
import { MODELS } from "../../shared/model/catalogue.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "drove-export-"));
  await writeRunFolder(join(folder, "runs"), "older", false);
  await writeRunFolder(join(folder, "runs"), "mine");
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** `@` is the folder. */
function drove(...args: string[]): Promise<Ended> {
  return inProcess(...args.map((arg) => arg.replaceAll("@", folder)));
}

const RUNS = ["--runs-folder", "@/runs"];

function resultOf({ stdout }: Ended): Record<string, unknown> {
  return JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "") as Record<string, unknown>;
}

/** Without a library: the share of right answers, and which answers digit 4 got. */
async function expectedAnswers(): Promise<{ accuracy: number; rowOfFour: number[] }> {
  const { test: held } = await loadMnist();
  const source = {
    model: MODELS.logistic,
    parameters: runParameters(),
    normalisation: { mean: [0.25], deviation: [0.5] },
  };
  const logits = referenceLogits(source, held.images);
  const rowOfFour = Array<number>(10).fill(0);
  let correct = 0;
  for (let image = 0; image < held.count; image++) {
    const own = [...logits.subarray(10 * image, 10 * image + 10)];
    const answer = own.indexOf(Math.max(...own));
    if (answer === held.labels[image]) correct++;
    if (held.labels[image] === 4) rowOfFour[answer]!++;
  }
  return { accuracy: correct / held.count, rowOfFour };
}

describe("drove export and drove eval", () => {
  test("Everything of a run is written into a folder, and what it has not is said", async () => {
    const all = await drove("export", "mine", "--format", "all", "--out", "@/all", "--json", ...RUNS);
    expect([all.exitCode, all.stderr]).toEqual([0, expect.stringContaining("all/mine.onnx: mine as onnx")]);
    expect((await readdir(join(folder, "all"))).toSorted()).toEqual([
      "README.md",
      "events.out.tfevents.1795262400.drove",
      "mine.events.jsonl",
      "mine.metrics.jsonl",
      "mine.onnx",
      "mine.safetensors",
    ]);
    expect(resultOf(all)).toMatchObject({ run: "mine", files: expect.arrayContaining([expect.any(Object)]) });
    const older = await drove("export", "older", "--format", "all", "--out", "@/older-export", ...RUNS);
    expect(older.stderr).toBe('Without events: The run "older" has no event log; it is older than they are.\n');
    expect(await readdir(join(folder, "older-export"))).toHaveLength(5);
  });

  test("The newest run is exported where none is named, under the name that is given", async () => {
    const { stdout } = await drove("export", "--format", "events", "--out", "@/newest.jsonl", ...RUNS);
    expect(stdout).toMatch(/newest\.jsonl: mine as events, \d+\.\d kB\n$/);
    expect(await readFile(join(folder, "newest.jsonl"), "utf8")).toContain('"kind":"began"');
  });

  test("A run and its exported file are evaluated alike, and as plain loops do it, class by class", async () => {
    await drove("export", "mine", "--out", "@/mine.safetensors", ...RUNS);
    const evaluated = await drove("eval", "--json", ...RUNS);
    const ofRun = resultOf(evaluated);
    const ofFile = resultOf(await drove("eval", "@/mine.safetensors", "--json", ...RUNS));
    const { accuracy, rowOfFour } = await expectedAnswers();
    expect(ofRun).toMatchObject({ what: "mine, version 40", data: "mnist", images: 10_000, accuracy });
    expect((ofRun["confusion"] as number[][])[4]).toEqual(rowOfFour);
    expect({ ...ofFile, what: ofRun["what"] }).toEqual(ofRun);
    // For a person: the sum, a line for each class, the matrix and the worst confusions.
    const { stderr } = evaluated;
    expect(stderr).toMatch(/^mine, version 40: \d+\.\d\d % of the 10,000 test images of mnist are right, mean loss /m);
    expect(stderr).toMatch(/^ {2}9 +\d+\.\d\d % {2}\d+ of 1,009$/m);
    expect(stderr).toMatch(/^ {2} +4(?: +(?:\d+|·)){10}$/m);
    expect(stderr).toMatch(/^ {2}\d taken for \d: [\d,]+ times, \d+\.\d\d % of its images$/m);
  });

  test.for<[string[], number, string]>([
    [["export", "nope", ...RUNS], 2, 'There is no run named "nope" in @/runs; accepted is mine or older.'],
    [
      ["export", "--runs-folder", "@/empty"],
      2,
      "There are no runs in @/empty yet; begin one with `drove train`, or say with --runs-folder where yours are.",
    ],
    [
      ["eval", "model.onnx"],
      2,
      "model.onnx is neither a run's name nor a .safetensors file; make one with: drove export --format safetensors",
    ],
    [
      ["export", "127.0.0.1:1"],
      1,
      "No coordinator answers at http://127.0.0.1:1/ (ECONNREFUSED); check the link, and that the run is on.",
    ],
  ])("%j is answered with a sentence and the exit code %i", async ([args, exitCode, sentence]) => {
    const ended = await drove(...args);
    expect([ended.stderr, ended.exitCode]).toEqual([`drove: ${sentence.replaceAll("@", folder)}\n`, exitCode]);
  });

  test("Data that the model does not take are refused with both shapes", async () => {
    const small = { height: 2, width: 2, channels: 3 };
    const model = { name: "small", input: small, classes: 2, layers: [{ kind: "dense", name: "fc", units: 2 }] };
    await writeFile(join(folder, "small.safetensors"), smallFile(model));
    expect((await drove("eval", "@/small.safetensors", "--data", "mnist")).stderr).toBe(
      `drove: --data mnist has images of 28x28x1 in 10 classes, but ${folder}/small.safetensors takes 2x2x3 in up to 2; name data that fit.\n`,
    );
  });
});

/** By the format's words; every value is 0. */
function smallFile(model: object): Buffer {
  const header = JSON.stringify({
    __metadata__: {
      format: "drove model 1",
      model: JSON.stringify(model),
      normalisation: '{"mean":[0],"deviation":[1]}',
    },
    "fc.weights": { dtype: "F32", shape: [12, 2], data_offsets: [0, 96] },
    "fc.bias": { dtype: "F32", shape: [2], data_offsets: [96, 104] },
  });
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, Buffer.from(header), Buffer.alloc(104)]);
}

test(
  "A run that goes on is exported by its operator's link or with its token, and by nobody else",
  { timeout: 180_000 },
  async () => {
    const coordinator = await startCoordinator({
      args: ["--model", "logistic", "--data", "mnist", "--name", "going-on"],
    });
    const elsewhere = ["--runs-folder", join(folder, "elsewhere")];
    try {
      const link = await coordinator.operatorUrl();
      const byLink = await drove("export", link, "--out", "@/live.safetensors", ...elsewhere);
      expect([byLink.stderr, byLink.exitCode]).toEqual(["", 0]);
      expect(byLink.stdout).toMatch(/live\.safetensors: going-on as safetensors, 32\.\d kB\n$/);
      const byFolder = await drove(
        "export",
        coordinator.url,
        "--format",
        "card",
        "--runs-folder",
        coordinator.runsFolder,
        "--out",
        "@/live.md",
      );
      expect([byFolder.stderr, byFolder.exitCode]).toEqual(["", 0]);
      expect(await readFile(join(folder, "live.md"), "utf8")).toContain("# going-on");
      const without = await drove("export", coordinator.url, ...elsewhere);
      expect([without.exitCode, without.stderr]).toEqual([
        1,
        expect.stringContaining("gives its model to its operator only"),
      ]);
      const wrong = await drove("export", coordinator.url, "--token", "x".repeat(32), ...elsewhere);
      expect([wrong.exitCode, wrong.stderr]).toEqual([1, expect.stringContaining("does not take this token")]);
    } finally {
      await coordinator.stop();
    }
  },
);
