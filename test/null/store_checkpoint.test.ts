import { cpSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  CHECKPOINT_FILE,
  readCheckpoint,
  recoverCheckpoint,
  STATE_FILE,
  writeCheckpoint,
  type Snapshot,
} from "../../coordinator/store/checkpoint.ts";
import { CheckpointWriter } from "../../coordinator/store/checkpoint_writer.ts";
import { encodeSafetensors, parseSafetensors } from "../../coordinator/store/safetensors.ts";
import { MODELS } from "../../shared/model/catalogue.ts";
import { initialParameters, layoutOf } from "../../shared/model/layout.ts";
import { Random } from "../../shared/random.ts";

/** Small, because many are written. */
const layout = layoutOf({
  name: "tiny",
  input: { height: 3, width: 3, channels: 1 },
  classes: 4,
  layers: [
    { kind: "dense", name: "fc1", units: 5 },
    { kind: "dense", name: "fc2", units: 4 },
  ],
});
let root: string;
let made = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "drove-checkpoint-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function newFolder(): Promise<string> {
  const folder = join(root, String(made++));
  await mkdir(folder);
  return folder;
}

/** Parameters that name their version; the state too. */
function snapshot(version: number): Snapshot {
  return { version, parameters: initialParameters(layout, version), velocity: null, state: { version } };
}

async function versionIn(folder: string): Promise<number> {
  const found = await readCheckpoint(folder, layout);
  if (!found) return 0;
  expect(found.state).toEqual({ version: found.version });
  expect(found.parameters).toEqual(initialParameters(layout, found.version));
  return found.version;
}

test("A checkpoint comes back bit for bit, velocity and state with it", async () => {
  const folder = await newFolder();
  expect(await readCheckpoint(folder, layout)).toBeUndefined();
  const velocity = initialParameters(layout, 77);
  const written = { ...snapshot(5), velocity, state: { incarnation: 3, nested: { losses: [1.5, null] } } };
  await writeCheckpoint(folder, layout, written);
  expect(await readCheckpoint(folder, layout)).toEqual(written);
});

test("The file is what safetensors asks for: tensors by name and shape, no hole, data at a multiple of 8", async () => {
  const folder = await newFolder();
  await writeCheckpoint(folder, layout, snapshot(9));
  const bytes = await readFile(join(folder, CHECKPOINT_FILE));
  const headerBytes = Number(bytes.readBigUInt64LE());
  expect(headerBytes % 8).toBe(0);
  expect(bytes.length).toBe(8 + headerBytes + layout.parameters * 4);
  const { metadata, tensors } = parseSafetensors(bytes, "x");
  expect(metadata).toEqual({ format: "drove checkpoint 1", version: "9", layout: layout.hash });
  expect([...tensors].map(([name, { dtype, shape }]) => [name, dtype, shape])).toEqual([
    ["fc1.weights", "F32", [9, 5]],
    ["fc1.bias", "F32", [5]],
    ["fc2.weights", "F32", [5, 4]],
    ["fc2.bias", "F32", [4]],
  ]);
});

test("[L5] A crash at any step of any write leaves a whole pair, and so does a second crash after the first", async () => {
  const folder = await newFolder();
  const random = new Random(4);
  await writeCheckpoint(folder, layout, snapshot(1));
  await writeCheckpoint(folder, layout, snapshot(2));

  const crashedAt = async (from: string, version: number): Promise<string[]> => {
    const copies: string[] = [];
    await writeCheckpoint(from, layout, snapshot(version), () => {
      copies.push(join(root, String(made++)));
      cpSync(from, copies.at(-1)!, { recursive: true });
    });
    // A crash within a write leaves a part of the file that was being written.
    const cuts: string[] = [];
    for (const copy of copies) {
      for (const file of (await readdir(copy)).filter((name) => name.endsWith(".tmp"))) {
        const cut = join(root, String(made++));
        cpSync(copy, cut, { recursive: true });
        const { length } = await readFile(join(cut, file));
        await truncate(join(cut, file), random.below(length));
        cuts.push(cut);
      }
    }
    return [...copies, ...cuts];
  };
  const copies = await crashedAt(folder, 3);
  expect(copies.length).toBeGreaterThan(12);
  const seen = new Set<number>();
  for (const copy of copies) {
    const version = await versionIn(copy);
    seen.add(version);
    await recoverCheckpoint(copy);
    expect(await versionIn(copy)).toBe(version);
    for (const second of await crashedAt(copy, 4)) expect(await versionIn(second)).toBeGreaterThanOrEqual(version);
  }
  expect([...seen].toSorted((a, b) => a - b)).toEqual([2, 3]);
  expect(await versionIn(folder)).toBe(3);
}, 60_000);

test("A first write that was cut off means that there is no checkpoint", async () => {
  const folder = await newFolder();
  await writeFile(join(folder, `${CHECKPOINT_FILE}.tmp`), "half");
  expect(await readCheckpoint(folder, layout)).toBeUndefined();
});

test("Torn, foreign and missing files are refused with a sentence", async () => {
  const folder = await newFolder();
  await writeCheckpoint(folder, layout, snapshot(1));
  const other = layoutOf(MODELS.lenet);
  await expect(readCheckpoint(folder, other)).rejects.toThrow(/belongs to another model .*resume with the model/);
  await truncate(join(folder, CHECKPOINT_FILE), 100);
  await expect(readCheckpoint(folder, layout)).rejects.toThrow(
    /holds no whole checkpoint \(no tensors file is the one .* version 1/,
  );
  await writeFile(join(folder, STATE_FILE), "{}");
  await expect(readCheckpoint(folder, layout)).rejects.toThrow(/state\.json is not a whole state file/);
  await rm(join(folder, STATE_FILE));
  await expect(readCheckpoint(folder, layout)).rejects.toThrow(/state\.json is missing/);
});

test("Mutated safetensors headers are refused or read, never worse", () => {
  const random = new Random(8);
  const values = Float32Array.of(1, 2, 3, 4, 5, 6);
  const whole = Buffer.concat(
    encodeSafetensors(
      [
        { name: "a", shape: [2, 3], values },
        { name: "b", shape: [6], values },
      ],
      { k: "v" },
    ),
  );
  const refusals: string[] = [];
  const held: number[] = [];
  for (let round = 0; round < 10_000; round++) {
    const bytes = new Uint8Array(whole);
    for (let flip = random.below(3); flip >= 0; flip--) bytes[random.below(bytes.length - 48)] = random.below(256);
    try {
      const { tensors } = parseSafetensors(
        round % 10 === 0 ? bytes.subarray(0, random.below(bytes.length)) : bytes,
        "f",
      );
      const tensorBytes = [...tensors.values()].reduce((sum, tensor) => sum + tensor.bytes.length, 0);
      held.push(8 + Number(Buffer.from(bytes).readBigUInt64LE()) + tensorBytes);
    } catch (error) {
      refusals.push((error as Error).message);
    }
  }
  expect(refusals.length).toBeGreaterThan(5000);
  expect(refusals.filter((sentence) => !sentence.startsWith("f is not a whole safetensors file: "))).toEqual([]);
  // What was read accounts for every byte.
  expect(new Set(held)).toEqual(new Set([whole.length]));
});

test("The writer never queues more than one: a newer snapshot takes the place of the one that waits", async () => {
  const folder = await newFolder();
  const writer = new CheckpointWriter(folder, layout);
  const versions = await Promise.all(
    Array.from({ length: 20 }, async (_, index) => (await writer.write(snapshot(index + 1))).version),
  );
  expect(versions[0]).toBe(1);
  expect(versions.slice(1)).toEqual(Array.from({ length: 19 }, () => 20));
  expect(await versionIn(folder)).toBe(20);
  const late = writer.write(snapshot(21));
  await writer.close();
  expect((await late).version).toBe(21);
  await expect(writer.write(snapshot(22))).rejects.toThrow(/has been closed/);
});

test("A checkpoint that cannot be written says so and the next one may succeed", async () => {
  const folder = join(root, "not-there");
  const writer = new CheckpointWriter(folder, layout);
  await expect(writer.write(snapshot(1))).rejects.toThrow(/cannot be written \(ENOENT\)/);
  await mkdir(folder);
  expect((await writer.write(snapshot(2))).version).toBe(2);
  await writer.close();
  expect(await versionIn(folder)).toBe(2);
});
