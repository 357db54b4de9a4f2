import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type * as DroveEngine from "../../client/engine_module/entry.ts";
import { mnistExamples } from "../support/mnist_examples.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const IMAGE_BYTES = 28 * 28;

let folder: string;
let modulePath: string;
let engine: typeof DroveEngine;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "drove-engine-"));
  await build({
    configFile: join(ROOT, "vite.config.ts"),
    mode: "engine",
    logLevel: "error",
    build: { outDir: folder },
  });
  modulePath = join(folder, "drove_engine.js");
  engine = (await import(pathToFileURL(modulePath).href)) as typeof DroveEngine;
}, 120_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

describe("The engine alone, as one module", () => {
  test("trains LeNet on MNIST from bytes, on the CPU", async () => {
    const batch = 20;
    const { images, labels } = mnistExamples(10 * batch);
    const normalisation = { mean: [0.1307], deviation: [0.3081] };
    const trainer = await engine.compile("wasm", engine.models.lenet, { batch, normalisation });
    const batchAt = (index: number): { images: Uint8Array; labels: Uint8Array } => ({
      images: images.subarray(index * batch * IMAGE_BYTES, (index + 1) * batch * IMAGE_BYTES),
      labels: labels.subarray(index * batch, (index + 1) * batch),
    });
    const losses: number[] = [];
    for (let epoch = 0; epoch < 6; epoch++) {
      for (let index = 0; index < 10; index++) trainer.step(batchAt(index));
      losses.push(await trainer.loss());
    }
    expect(losses[0]).toBeGreaterThan(1);
    expect(losses.at(-1)).toBeLessThan(0.3);
    expect((await trainer.evaluate(batchAt(0))).correct).toBeGreaterThan(17);
    expect(await trainer.parameters()).toHaveLength(trainer.layout.elements);
    trainer.close();
  });

  test("says what is wrong with a batch and with a model", async () => {
    const trainer = await engine.compile("wasm", engine.models.logistic, { batch: 2 });
    expect(() => trainer.step({ images: new Uint8Array(784), labels: new Uint8Array(1) })).toThrow(
      "A batch has 2 labels and 1568 bytes of images; 1 and 784 came.",
    );
    const model = { ...engine.models.logistic, layers: [{ kind: "dense", name: "fc", units: 9 }] } as const;
    await expect(engine.compile("wasm", model, { batch: 2 })).rejects.toThrow('layer "fc" gives 1x1x9');
  });

  test("README's example runs as it stands", async () => {
    const readme = await readFile(join(ROOT, "README.md"), "utf8");
    const [, example] = /## Use the engine alone[^]*?```js\n([^]*?)```/.exec(readme) ?? [];
    expect(example).toContain("compile(device, model");
    const program = join(folder, "example.mjs");
    await writeFile(program, example!.replace("./build/engine/drove_engine.js", pathToFileURL(modulePath).href));
    const { stdout } = await promisify(execFile)(process.execPath, [program], { timeout: 30_000 });
    const losses = [...stdout.matchAll(/wasm: mean loss of ten steps ([\d.]+)/g)].map(([, loss]) => Number(loss));
    expect(losses).toHaveLength(4);
    expect(losses[3]).toBeLessThan(0.5 * losses[0]!);
    expect(stdout).toMatch(/\d+ numbers in the layout/);
  });
});
