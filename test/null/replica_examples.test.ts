/** How a replica gets its training data: client/participation/examples.ts. */

import { expect, test } from "vitest";
import { Examples } from "../../client/participation/examples.ts";
import { Random } from "../../shared/random.ts";
import type { RunSettings } from "../../shared/run_settings.ts";
import { HandClock, settled } from "../support/hand_clock.ts";
import { QuadraticProgram } from "../support/quadratic_program.ts";
import { TINY_MODEL, TINY_SETTINGS } from "../support/tiny_run.ts";

const PIXELS = 4;
const SHARD_EXAMPLES = [5, 3, 4, 6];

const SETTINGS: RunSettings = {
  ...TINY_SETTINGS,
  data: {
    ...TINY_SETTINGS.data,
    shards: SHARD_EXAMPLES.map((examples, index) => ({ url: `data/${index}.bin`, examples })),
  },
};

/** Every image byte and label tells its shard. */
function bytesOf(index: number): Uint8Array<ArrayBuffer> {
  const examples = SHARD_EXAMPLES[index]!;
  const bytes = new Uint8Array(examples * (PIXELS + 1)).fill(100 + index);
  bytes.fill(index % 3, examples * PIXELS);
  return bytes;
}

class DataStage {
  readonly clock = new HandClock();
  readonly asked: string[] = [];
  readonly loadedTotals: number[] = [];
  readonly abort = new AbortController();
  respond = (url: string): Response => new Response(bytesOf(Number(/(\d)\.bin$/.exec(url)?.[1])));
  readonly examples: Examples;

  constructor(seed = 1) {
    this.examples = new Examples({
      settings: SETTINGS,
      clock: this.clock,
      random: new Random(seed),
      signal: this.abort.signal,
      fetch: async (url) => {
        this.asked.push(url);
        return this.respond(url);
      },
      onProblem: () => {},
      onLoaded: (loaded, examples) => {
        if (examples !== 18) throw new Error(`${examples} examples were told of`);
        this.loadedTotals.push(loaded);
      },
    });
  }
}

/** A program that remembers what was put into it. */
function rememberingProgram(): {
  program: QuadraticProgram;
  loads: Map<number, { images: Uint8Array; labels: Uint8Array }>;
} {
  const program = new QuadraticProgram(TINY_MODEL, 18);
  const loads = new Map<number, { images: Uint8Array; labels: Uint8Array }>();
  program.loadExamples = (...args: unknown[]) => {
    const [at, images, labels] = args as [number, Uint8Array, Uint8Array];
    loads.set(at, { images, labels });
  };
  return { program, loads };
}

async function settledOften(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await settled();
}

test("[K2] Training may begin after one shard; others are fetched when examples of them are leased, each for its own place", async () => {
  const stage = new DataStage();
  const first = await stage.examples.first();
  expect(stage.asked).toEqual([expect.stringMatching(/^data\/\d\.bin$/)]);
  const { program, loads } = rememberingProgram();
  const { loaded, load } = stage.examples.into(program, first, () => true);
  await settledOften();
  expect(stage.asked).toHaveLength(1);
  expect(loaded).toEqual([{ first: first.first, count: first.count }]);
  // The third and the fourth shard, one of them twice, and the first again.
  load([{ first: 9, count: 2 }, { first: 13, count: 1 }, first]);
  load([{ first: 10, count: 2 }]);
  await settledOften();
  const others = ["data/2.bin", "data/3.bin"].filter((url) => url !== stage.asked[0]);
  expect(stage.asked.slice(1)).toEqual(others);
  expect(loads.get(8)!.images).toEqual(new Uint8Array(4 * PIXELS).fill(102));
  expect(loads.get(8)!.labels).toEqual(new Uint8Array(4).fill(2));
  load([
    { first: 0, count: 5 },
    { first: 5, count: 3 },
  ]);
  await settledOften();
  expect([...loads.keys()].toSorted((a, b) => a - b)).toEqual([0, 5, 8, 12]);
  expect(loaded.reduce((sum, { count }) => sum + count, 0)).toBe(18);
  expect(stage.loadedTotals.at(-1)).toBe(18);
  expect(stage.asked).toHaveLength(4);
});

test("A leased shard that does not come is asked for again when its lease is heard of again, and never for a program that is gone", async () => {
  const stage = new DataStage();
  const first = await stage.examples.first();
  const { program, loads } = rememberingProgram();
  let isWanted = true;
  const { load } = stage.examples.into(program, first, () => isWanted);
  const whole = stage.respond;
  const other = first.first === 0 ? { first: 5, count: 3 } : { first: 0, count: 5 };
  stage.respond = () => new Response(null, { status: 404 });
  load([other]);
  await settledOften();
  expect(loads.size).toBe(1);
  stage.respond = whole;
  load([other]);
  await settledOften();
  expect([...loads.keys()]).toEqual([first.first, other.first]);
  isWanted = false;
  load([
    { first: 0, count: 5 },
    { first: 5, count: 3 },
    { first: 8, count: 4 },
    { first: 12, count: 6 },
  ]);
  await settledOften();
  expect(loads.size).toBe(2);
});

test("Replicas begin with different shards", async () => {
  const firsts = await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map((seed) => new DataStage(seed).examples.first()));
  expect(new Set(firsts.map(({ first }) => first)).size).toBeGreaterThan(1);
});

test("A shard that does not come is asked for again, and what came short is not trusted", async () => {
  const stage = new DataStage();
  const whole = stage.respond;
  let tries = 0;
  stage.respond = (url) => {
    tries++;
    if (tries === 1) throw new TypeError("fetch failed");
    if (tries === 2) return new Response(null, { status: 503 });
    if (tries === 3) return new Response(new Uint8Array(7));
    return whole(url);
  };
  const first = stage.examples.first();
  await stage.clock.advance(5000);
  expect((await first).images.length).toBeGreaterThan(0);
  expect(tries).toBe(4);
});

test("Data that never comes ends in a sentence with the fix, a wrong address at once", async () => {
  const gone = new DataStage();
  gone.respond = () => new Response(null, { status: 404 });
  await expect(gone.examples.first()).rejects.toThrow(/HTTP 404\).*Check that the coordinator is running/);
  expect(gone.asked).toHaveLength(1);

  const down = new DataStage();
  down.respond = () => {
    throw new TypeError("fetch failed");
  };
  const first = down.examples.first();
  const failure = first.catch(String);
  await down.clock.advance(60_000);
  expect(await failure).toContain("fetch failed");
  expect(down.asked).toHaveLength(9);
});

test("A label that the model has no class for is refused", async () => {
  const stage = new DataStage();
  stage.respond = (url) => {
    const bytes = bytesOf(Number(/(\d)\.bin$/.exec(url)?.[1]));
    bytes[bytes.length - 1] = 3;
    return new Response(bytes);
  };
  await expect(stage.examples.first()).rejects.toThrow("label 3, but there are 3 classes");
});

test("[E4] Stop ends the loading", async () => {
  const stage = new DataStage();
  stage.respond = () => {
    throw new TypeError("fetch failed");
  };
  const first = stage.examples.first();
  const failure = first.catch(String);
  stage.abort.abort();
  await stage.clock.advance(1000);
  expect(await failure).toContain("AbortError");
  expect(stage.asked.length).toBeLessThan(3);
});
