import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { RunFolder, runNames } from "../../coordinator/store/run_folder.ts";
import { RunLock } from "../../coordinator/store/run_lock.ts";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "drove-runs-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const what = { model: "lenet", data: "mnist", solver: "ea-wild", resume: false };

test("A run without a name gets the first free one, also when several start at once", async () => {
  const folders = await Promise.all([1, 2, 3].map(() => RunFolder.open({ root, ...what })));
  expect(folders.map(({ name }) => name).toSorted()).toEqual([
    "lenet-mnist-ea-wild-1",
    "lenet-mnist-ea-wild-2",
    "lenet-mnist-ea-wild-3",
  ]);
  expect(await runNames(root)).toHaveLength(3);
  await Promise.all(folders.map((folder) => folder.release()));
});

test("A run that exists is refused unless it shall go on, and one that does not exist cannot go on", async () => {
  const first = await RunFolder.open({ root, ...what, name: "mine" });
  await first.writeJson(first.settingsPath, { tau: 10 });
  await first.release();
  await expect(RunFolder.open({ root, ...what, name: "mine" })).rejects.toThrow(/already a run named "mine".*--resume/);
  const again = await RunFolder.open({ root, ...what, name: "mine", resume: true });
  expect([again.resumed, await again.readJson(again.settingsPath)]).toEqual([true, { tau: 10 }]);
  expect(await again.readJson(again.resultPath)).toBeUndefined();
  await again.release();
  await expect(RunFolder.open({ root, ...what, name: "other", resume: true })).rejects.toThrow(
    /no run named "other".*there are: .*mine/,
  );
  await expect(RunFolder.open({ root, ...what, resume: true })).rejects.toThrow(/Which run shall go on/);
  await expect(RunFolder.open({ root, ...what, name: "../up" })).rejects.toThrow(/cannot name a run/);
});

test("A start that was killed before it wrote anything does not take the name", async () => {
  await mkdir(join(root, "early"));
  const folder = await RunFolder.open({ root, ...what, name: "early" });
  expect(folder.resumed).toBe(false);
  await folder.release();
});

test("Two coordinators never hold one run: a living process keeps it, a killed one leaves it", async () => {
  const path = join(root, "held");
  await mkdir(path);
  const module = fileURLToPath(new URL("../../coordinator/store/run_lock.ts", import.meta.url));
  const code = `const { RunLock } = await import(${JSON.stringify(module)}); await RunLock.take(${JSON.stringify(path)}); console.log("held"); setInterval(() => {}, 1000);`;
  const holder = spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: ["ignore", "pipe", "inherit"] });
  await once(holder.stdout, "data");
  await expect(RunLock.take(path)).rejects.toThrow(new RegExp(`Process ${holder.pid} on .* is running this run`));
  const exited = once(holder, "exit");
  holder.kill("SIGKILL");
  await exited;
  const lock = await RunLock.take(path);
  await expect(RunLock.take(path)).rejects.toThrow(new RegExp(`Process ${process.pid} on`));
  expect(await readdir(path)).toEqual(["lock"]);
  await lock.release();
  expect(await readdir(path)).toEqual([]);
});

test.runIf(process.platform === "linux")("A process that merely has the same number does not keep a run", async () => {
  const path = join(root, "same-number");
  await mkdir(path);
  await (await RunLock.take(path)).release();
  const lock = await RunLock.take(path);
  const held = JSON.parse(await readFile(join(path, "lock"), "utf8")) as { birth: string };
  await writeFile(join(path, "lock"), JSON.stringify({ ...held, birth: "another-boot:1" }));
  const taken = await RunLock.take(path);
  expect(await readFile(join(path, "lock"), "utf8")).toBe(JSON.stringify(held));
  await taken.release();
  await lock.release();
});

test("Of many that find a stale lock one takes it", async () => {
  const path = join(root, "contended");
  await mkdir(path);
  await writeFile(join(path, "lock"), "torn");
  const results = await Promise.allSettled(Array.from({ length: 8 }, () => RunLock.take(path)));
  expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
});
