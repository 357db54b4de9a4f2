import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { exportOf } from "../../coordinator/export/export_of.ts";
import { quoted, stalenessBars } from "../../coordinator/export/card_text.ts";
import { RUN_VERSION, writeRunFolder } from "../support/export/run_folder.ts";

let root = "";
let card = "";
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "drove-export-"));
  card = await cardOf(await writeRunFolder(root, "mine"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function cardOf(folder: string): Promise<string> {
  const { parts, fileName } = await exportOf("card", { folder, dataRoot: root });
  expect(fileName).toBe("README.md");
  return Buffer.concat(parts).toString("utf8");
}

/** Of a table of two columns: the second cell of the row that begins with `label`. */
function valueOf(label: string): string | undefined {
  const row = card.split("\n").find((line) => line.startsWith(`| ${label} |`));
  return row?.split(" | ")[1]?.replace(/ \|$/, "");
}

describe("The model card", () => {
  test("It begins with the Hub's front matter: tags, data, metrics, and a license that is left to the operator", () => {
    const [, matter = ""] = card.split("---\n");
    expect(matter).toMatch(/^# license: /m);
    expect(matter).not.toMatch(/^license:/m);
    for (const line of ["  - collaborative", "  - drove", "  - ea-wild", '  - "ylecun/mnist"', "  - accuracy"]) {
      expect(matter.split("\n")).toContain(line);
    }
    expect(matter).toMatch(/- type: accuracy\n {12}value: 0\.7\n/);
  });

  test("It says what was trained on, with the balance of the classes and the normalisation", () => {
    expect(card).toContain("Reading handwritten digits.");
    expect(card).toContain("60,000 images to train on, 10,000 held out");
    expect(card).toContain("the mean 0.250000 and the deviation 0.500000");
    expect(card).toContain("| 1 | `digit 1` | 6,742 (11.24 %) | 1,135 |");
  });

  test("It says how: every setting, and what was changed as the run went on", () => {
    expect(valueOf("learningRate")).toBe("`0.03`");
    expect(valueOf("communicationPeriod")).toBe("`10`");
    expect(valueOf("seed")).toBe("`9`");
    expect(card).toContain("| 2.5 s | 2,500 | learningRate | `0.03` | `0.01` | operator |");
  });

  test("It says who: devices by class, and the names that are offered, harmless, and none that was taken back", () => {
    expect(card).toContain("| wasm | `a / device` | 2 | 4,000 |");
    expect(card).toContain("`Ada / <b>L</b> 'x' [link](http://example.org)`");
    expect(card).not.toContain("Regretful");
  });

  test("It says how stale, what was applied and refused, how long it took and what travelled", () => {
    expect(card).toContain("| 1.43 | 1 | 3 | 3 |");
    expect(card).toMatch(/^ +2 {2}█+ 7 \(23\.33 %\)$/m);
    expect(valueOf("Exchanges applied")).toBe("30");
    expect(valueOf("Exchanges refused")).toBe("1 (3.23 %)");
    expect(card).toContain("`NOT_FINITE` 1");
    expect(valueOf("Times through the whole training set")).toBe("2");
    expect(valueOf("Sent by replicas")).toBe("3.0 MB");
    expect(valueOf("Version of the center (applied moves)")).toBe(String(RUN_VERSION));
  });

  test("It says how to load the files beside it, by their names", () => {
    expect(card).toContain('onnxruntime.InferenceSession("mine.onnx")');
    expect(card).toContain('safe_open("mine.safetensors", "np")');
    expect(card).toContain("drove eval mine.safetensors");
  });

  test("Where the run ended with this center, its own judgement on all test images counts", async () => {
    const folder = await writeRunFolder(root, "ended");
    const result = { version: RUN_VERSION, accuracy: 0.9, testLoss: 0.3, testImages: 10_000 };
    await writeFile(join(folder, "result.json"), JSON.stringify(result));
    const ended = await cardOf(folder);
    expect(ended).toContain("| Accuracy on held-out images | 90.00 % |");
    expect(ended).toContain("Measured on these very parameters");
    expect(card).toContain("measured by the coordinator shortly before these parameters");
  });

  test("A run without an event log has a card too, from its ledger and its checkpoint", async () => {
    card = await cardOf(await writeRunFolder(root, "older", false));
    expect(valueOf("Exchanges applied")).toBe("39");
    expect(valueOf("Exchanges refused")).toBe("1 (2.50 %)");
    expect(valueOf("Samples")).toBe("3,900 (1,300 a second)");
    expect(card).toContain("Nobody offered a name.");
    expect(card).toContain("| 1.46 | 1 | 3 | 3 |");
  });
});

test("What others wrote stays within its backticks and its cell", () => {
  expect(quoted("a`b|c\nd\u202Ee\0")).toBe("`a'b/c d e`");
  expect(quoted(" \n ")).toBe("-");
});

test("Bars of staleness take wider ranges the further out, and count every push once", () => {
  const counts = [5, 0, 1, 2, 3, ...Array<number>(20).fill(1)];
  const lines = stalenessBars(counts).split("\n");
  expect(lines.map((line) => line.slice(0, 10).trim())).toEqual([
    "0",
    "1",
    "2",
    "3 to 4",
    "5 to 8",
    "9 to 16",
    "17 to 24",
  ]);
  const counted = lines.map((line) => Number(/ (\d+) \(/.exec(line)?.[1]));
  expect(counted).toEqual([5, 0, 1, 5, 4, 8, 8]);
});
