/** The coordinator's side of the entrance exam: coordinator/exam/, and how the server gives its answers. */

import { readdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { ExamAnswers } from "../../coordinator/exam/exam_answers.ts";
import { RunExam } from "../../coordinator/exam/run_exam.ts";
import { readAnswers } from "../../shared/engine/exam/examine.ts";
import { planOf } from "../../shared/engine/run_plan.ts";
import { MODELS } from "../../shared/model/catalogue.ts";
import type { RunSettings } from "../../shared/run_settings.ts";
import { TINY_SETTINGS } from "../support/tiny_run.ts";
import { startHarness } from "./server_harness.ts";

const SETTINGS: RunSettings = {
  ...TINY_SETTINGS,
  model: MODELS.mlp,
  data: { ...TINY_SETTINGS.data, trainExamples: 100, normalisation: { mean: [0.13], deviation: [0.31] } },
  batch: 8,
};

let folder = "";
let exams: RunExam[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "drove-exam-"));
});
afterEach(async () => {
  await Promise.all(exams.map((exam) => exam.close()));
  exams = [];
  await rm(folder, { recursive: true });
});

function fail(error: unknown): never {
  throw error;
}

function examFor(settings: RunSettings): RunExam {
  const exam = new RunExam({ settings, folder, onFailure: fail });
  exams.push(exam);
  return exam;
}

function answersFor(exam: RunExam, microBatches: number): ExamAnswers {
  return exam.answers.find(({ path }) => path === `${exam.path}/${microBatches}`)!;
}

async function computed(settings: RunSettings, microBatches = 1): Promise<ExamAnswers> {
  const answers = answersFor(examFor(settings), microBatches);
  await answers.begin();
  return answers;
}

/** Where the answers under this path are kept. */
function fileOf(path: string): string {
  const [, , key, microBatches] = path.split("/");
  return join(folder, `exam-${key}-${microBatches}.bin`);
}

test.each([1, 4])(
  "[E11] Answers for %i parts are computed once, kept in the run's folder, and read from there by a resumed run",
  async (microBatches) => {
    const first = await computed(SETTINGS, microBatches);
    const plan = planOf(SETTINGS, 8, microBatches);
    expect("problem" in readAnswers(first.bytes!, plan, SETTINGS.seed)).toBe(false);
    expect(first.path).toMatch(new RegExp(`^api/exam/[0-9a-f]{16}/${microBatches}$`));
    expect(new Uint8Array(await readFile(fileOf(first.path)))).toEqual(first.bytes);

    // A file that can only have been read, not computed: of another seed's answers, with a right checksum.
    const other = await computed({ ...SETTINGS, seed: 99 }, microBatches);
    expect(other.path).not.toBe(first.path);
    await writeFile(fileOf(first.path), other.bytes!);
    expect((await computed(SETTINGS, microBatches)).bytes).toEqual(other.bytes);
  },
);

test("[E11] There are answers for each divisor of the batch; only those for one part are computed unasked", async () => {
  const exam = examFor(SETTINGS);
  expect(exam.answers.map(({ path }) => path)).toEqual([1, 2, 4, 8].map((parts) => `${exam.path}/${parts}`));
  await answersFor(exam, 1).begin();
  const kept = await readdir(folder);
  expect(kept.map((name) => join(folder, name))).toEqual([fileOf(`${exam.path}/1`)]);
  expect(answersFor(exam, 2).bytes).toBeUndefined();
});

test("[E11] A damaged file is computed again", async () => {
  const settings = { ...SETTINGS, seed: 5 };
  const first = await computed(settings);
  const path = fileOf(first.path);
  const bytes = await readFile(path);
  bytes[300]! ^= 1;
  await writeFile(path, bytes);
  expect((await computed(settings)).bytes).toEqual(first.bytes);
  expect(new Uint8Array(await readFile(path))).toEqual(first.bytes);
});

test("Closing ends all computing at once, begun and waiting", async () => {
  // Computes for longer than this waits.
  const exam = examFor({ ...SETTINGS, model: MODELS["resnet-50"] });
  const begun = exam.answers.map((answers) => answers.begin());
  await sleep(500);
  await exam.close();
  await Promise.all(begun);
  expect(exam.answers.map(({ bytes }) => bytes)).toEqual([undefined, undefined, undefined, undefined]);
  expect(await readdir(folder)).toEqual([]);
});

test("[E11] The server has answers for exactly the divisors, and computes them at the first request", async () => {
  const exam = examFor(SETTINGS);
  const halves = answersFor(exam, 2);
  const harness = await startHarness({ exam: exam.answers });
  try {
    for (const missing of ["", "/", "/0", "/3", "/02", "/16", "/2/"])
      expect((await fetch(`${harness.url}/${exam.path}${missing}`)).status).toBe(404);
    const address = `${harness.url}/${halves.path}`;
    expect((await fetch(address)).status).toBe(503);
    // The request has begun it: this only waits.
    await halves.begin();
    const given = await fetch(address);
    expect([given.status, given.headers.get("etag")]).toEqual([200, `"${halves.path}"`]);
    expect(given.headers.get("cache-control")).toContain("immutable");
    expect(new Uint8Array(await given.arrayBuffer())).toEqual(new Uint8Array(await readFile(fileOf(halves.path))));
    expect(answersFor(exam, 4).bytes).toBeUndefined();

    // Computing once more would write it again.
    await rm(fileOf(halves.path));
    expect((await fetch(address)).status).toBe(200);
    await halves.begin();
    expect(await readdir(folder)).not.toContain(basename(fileOf(halves.path)));
  } finally {
    await harness.close();
  }
});

test("[E11] The server says when answers are being computed, begins that, and says where there will be none", async () => {
  let begun = 0;
  const answers = {
    path: "api/exam/00112233aabbccdd/1",
    bytes: undefined as Uint8Array | undefined,
    hasFailed: false,
    begin: async (): Promise<void> => void begun++,
  };
  const harness = await startHarness({ exam: [answers] });
  try {
    const address = `${harness.url}/${answers.path}`;
    const computing = await fetch(address);
    expect([computing.status, computing.headers.get("retry-after"), begun]).toEqual([503, "1", 1]);
    answers.bytes = Uint8Array.of(1, 2, 3);
    const given = await fetch(address);
    expect(new Uint8Array(await given.arrayBuffer())).toEqual(Uint8Array.of(1, 2, 3));
    expect(given.headers.get("cache-control")).toContain("immutable");
    answers.bytes = undefined;
    answers.hasFailed = true;
    const none = await fetch(address);
    expect([none.status, await none.text()]).toEqual([500, expect.stringContaining("in its log")]);
  } finally {
    await harness.close();
  }
});
