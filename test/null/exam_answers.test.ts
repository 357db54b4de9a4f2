/** The coordinator's side of the entrance exam: coordinator/exam/, and how the server gives its answers. */

import { readdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ExamAnswers } from "../../coordinator/exam/exam_answers.ts";
import { readAnswers } from "../../shared/engine/exam/examine.ts";
import { planOf } from "../../shared/engine/run_plan.ts";
import { MODELS } from "../../shared/model/catalogue.ts";
import type { RunSettings } from "../../shared/run_settings.ts";
import { TINY_SETTINGS } from "../support/run_fixture.ts";
import { startHarness } from "./server_harness.ts";

const SETTINGS: RunSettings = {
  ...TINY_SETTINGS,
  model: MODELS.mlp,
  data: { ...TINY_SETTINGS.data, trainExamples: 100, normalisation: { mean: [0.13], deviation: [0.31] } },
  batch: 8,
};

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "drove-exam-"));
});
afterAll(() => rm(folder, { recursive: true }));

function fail(error: unknown): never {
  throw error;
}

async function computed(settings: RunSettings): Promise<ExamAnswers> {
  const exam = new ExamAnswers({ settings, folder, onFailure: fail });
  await exam.done;
  return exam;
}

test("[E11] Answers are computed once, kept in the run's folder, and read from there by a resumed run", async () => {
  const first = await computed(SETTINGS);
  expect("problem" in readAnswers(first.bytes!, planOf(SETTINGS, 100), SETTINGS.seed)).toBe(false);
  const [file] = await readdir(folder);
  expect(first.path).toBe(`api/exam/${/^exam-([0-9a-f]{16})\.bin$/.exec(file!)![1]}`);

  // A file that can only have been read, not computed: of another seed's answers, with a right checksum.
  const other = await computed({ ...SETTINGS, seed: 99 });
  expect(other.path).not.toBe(first.path);
  await writeFile(join(folder, file!), other.bytes!);
  expect((await computed(SETTINGS)).bytes).toEqual(other.bytes);
});

test("[E11] A damaged file is computed again", async () => {
  const first = await computed({ ...SETTINGS, seed: 5 });
  const path = join(folder, `exam-${first.path.split("/").at(-1)}.bin`);
  const bytes = await readFile(path);
  bytes[300]! ^= 1;
  await writeFile(path, bytes);
  expect((await computed({ ...SETTINGS, seed: 5 })).bytes).toEqual(first.bytes);
  expect(new Uint8Array(await readFile(path))).toEqual(first.bytes);
});

test("Closing ends the computing at once", async () => {
  const exam = new ExamAnswers({ settings: { ...SETTINGS, seed: 123 }, folder, onFailure: fail });
  await exam.close();
  expect(exam.bytes).toBeUndefined();
});

test("[E11] The server says when answers are being computed, gives them for ever, and says where there will be none", async () => {
  const exam = { path: "api/exam/00112233aabbccdd", bytes: undefined as Uint8Array | undefined, hasFailed: false };
  const harness = await startHarness({ exam });
  try {
    const address = `${harness.url}/${exam.path}`;
    const computing = await fetch(address);
    expect([computing.status, computing.headers.get("retry-after")]).toEqual([503, "1"]);
    exam.bytes = Uint8Array.of(1, 2, 3);
    const given = await fetch(address);
    expect(new Uint8Array(await given.arrayBuffer())).toEqual(Uint8Array.of(1, 2, 3));
    expect(given.headers.get("cache-control")).toContain("immutable");
    exam.bytes = undefined;
    exam.hasFailed = true;
    const none = await fetch(address);
    expect([none.status, await none.text()]).toEqual([500, expect.stringContaining("in its log")]);
  } finally {
    await harness.close();
  }
});
