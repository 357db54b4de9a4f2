/** SPEC D3: what a participation makes of `/center/latest` and the file that it names. */

import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { fetchCenter } from "../../client/participation/fetched_center.ts";
import type { Fetched } from "../../client/participation/surroundings.ts";
import { HandClock } from "../support/hand_clock.ts";

const VALUES = Float32Array.from({ length: 256 }, (_, index) => index / 16);
const FILE = new Uint8Array(VALUES.buffer);
const LATEST = {
  incarnation: 3,
  version: 41,
  elements: 256,
  bytes: 1024,
  sha256: createHash("sha256").update(FILE).digest("hex"),
  address: "center/3-41.f32",
  encodings: {},
};

function bodyOf(bytes: Uint8Array, status = 200): Fetched {
  return { ok: status === 200, status, arrayBuffer: async () => new Uint8Array(bytes).buffer };
}

/** Answers as a coordinator with these files does; asks of nobody else. */
function means(
  latest: unknown,
  file: Uint8Array = FILE,
): Parameters<typeof fetchCenter>[0] & { readonly asked: string[]; readonly clock: HandClock } {
  const asked: string[] = [];
  return {
    asked,
    clock: new HandClock(),
    sha256: (bytes) => crypto.subtle.digest("SHA-256", bytes),
    fetch: async (path) => {
      asked.push(path);
      if (path === "center/latest") return bodyOf(Buffer.from(JSON.stringify(latest)));
      return path === LATEST.address ? bodyOf(file) : bodyOf(new Uint8Array(0), 404);
    },
  };
}

test("[D3] The newest center is fetched, and is the one whose hash was named", async () => {
  const held = await fetchCenter(means(LATEST), 256);
  expect(held).toEqual({ incarnation: 3, version: 41, values: VALUES });
});

test("[D3] Whatever is wrong with it, there is none, and nobody is asked elsewhere", async () => {
  const wrong: readonly [string, unknown, Uint8Array?][] = [
    ["nothing", null],
    ["no JSON object", "center"],
    ["too much of it", { ...LATEST, more: "x".repeat(5000) }],
    ["another address", { ...LATEST, address: "https://example.org/center/3-41.f32" }],
    ["a path elsewhere", { ...LATEST, address: "center/../api/run" }],
    ["another hash", { ...LATEST, sha256: "0".repeat(64) }],
    ["a file that is not kept", { ...LATEST, address: "center/3-40.f32" }],
    ["a file that was cut", LATEST, FILE.subarray(0, 1000)],
  ];
  for (const [what, latest, file] of wrong) {
    const asking = means(latest, file);
    expect(await fetchCenter(asking, 256), what).toBeUndefined();
    expect(
      asking.asked.every((path) => /^center\/(?:latest|3-4[01]\.f32)$/.test(path)),
      what,
    ).toBe(true);
  }
  const { sha256: _, ...without } = means(LATEST);
  expect(await fetchCenter(without, 256)).toBeUndefined();
});

test("[D3] One that takes more than two seconds is not waited for", async () => {
  const slow = means(LATEST);
  const fetched = fetchCenter({ ...slow, fetch: () => new Promise(() => {}) }, 256);
  await slow.clock.advance(2000);
  expect(await fetched).toBeUndefined();
});
