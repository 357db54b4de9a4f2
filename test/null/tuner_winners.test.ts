import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FileOfWinners, pathOfWinners } from "../../client/node/winners.ts";
import { outcomeOf } from "../../client/participation/tuning.ts";
import type { TunedProduct, TuningResult } from "../../shared/engine/tuning.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "drove-winners-"));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

describe("Winners in a file", () => {
  test("What one process writes another reads, and neither loses the other's", async () => {
    const path = join(folder, "deep", "winners.json");
    const [one, other] = [new FileOfWinners(path), new FileOfWinners(path)];
    expect(await one.get("a")).toBeUndefined();
    await one.set("a", "1");
    await other.set("b", "2");
    await Promise.all([one.set("c", "3"), one.set("a", "4")]);
    expect(await other.get("a")).toBe("4");
    expect(await one.get("b")).toBe("2");
    expect(await one.get("c")).toBe("3");
    expect(await readdir(join(folder, "deep"))).toEqual(["winners.json"]);
  });

  test.each(["", "{", "null", "[1]", '{"a":1}'])(
    "A file that says %j knows nothing, and is written anew",
    async (text) => {
      const path = join(folder, "winners.json");
      await writeFile(path, text);
      const winners = new FileOfWinners(path);
      expect(await winners.get("a")).toBeUndefined();
      await winners.set("a", "1");
      expect(await winners.get("a")).toBe("1");
    },
  );

  test("Where nothing can be written it stays silent", async () => {
    await writeFile(join(folder, "file"), "");
    const winners = new FileOfWinners(join(folder, "file", "winners.json"));
    await expect(winners.set("a", "1")).resolves.toBeUndefined();
    expect(await winners.get("a")).toBeUndefined();
  });

  test("The oldest entries go first", async () => {
    const path = join(folder, "winners.json");
    const many = Object.fromEntries(Array.from({ length: 4000 }, (_, at) => [`key ${at}`, "x"]));
    await writeFile(path, JSON.stringify(many));
    await new FileOfWinners(path).set("newest", "y");
    const kept = Object.keys(JSON.parse(await readFile(path, "utf8")) as object);
    expect(kept).toHaveLength(4000);
    expect(kept[0]).toBe("key 1");
    expect(kept.at(-1)).toBe("newest");
  });

  test("DROVE_CACHE comes first, then the platform's own cache folder", () => {
    expect(pathOfWinners("linux", { DROVE_CACHE: "/d", XDG_CACHE_HOME: "/x" }, "/h")).toBe("/d/winners.json");
    expect(pathOfWinners("linux", { XDG_CACHE_HOME: "/x" }, "/h")).toBe("/x/drove/winners.json");
    expect(pathOfWinners("darwin", {}, "/h")).toBe("/h/.cache/drove/winners.json");
    expect(pathOfWinners("win32", { LOCALAPPDATA: "/l" }, "/h")).toBe("/l/drove/winners.json");
  });
});

function product(from: TunedProduct["from"]): TunedProduct {
  const times = { ms: undefined, ruleMs: undefined, measuredImages: undefined };
  return { product: "p", count: 1, winner: "w", from, ...times, batch: 1, tried: [], failed: [] };
}

test("The volunteer is told in a sentence what tuning came to", () => {
  const result: TuningResult = { products: [], spentMs: 2960, speedup: 1.304, isComplete: true };
  const words = (...froms: TunedProduct["from"][]): string => outcomeOf({ ...result, products: froms.map(product) });
  expect(words("measured", "remembered")).toBe(
    "2 of 2 kernels tuned on this device in 3.0 s: 1.30 times faster than guessed.",
  );
  expect(words("remembered", "remembered")).toBe(
    "Its kernels were tuned at an earlier start: 1.30 times faster than guessed.",
  );
  expect(words("rule")).toBe("Its kernels are chosen by rule; there was no time to measure one.");
  const begun = outcomeOf({
    ...result,
    speedup: 1,
    isComplete: false,
    products: [product("measured"), product("rule")],
  });
  expect(begun).toBe(
    "1 of 2 kernels tuned on this device in 3.0 s: the first guess stands. The others have their turn at the next start.",
  );
});
