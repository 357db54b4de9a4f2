/** SPEC D: published centers over HTTP, and joining with one that was fetched so, at a real server over a real run. */

import { createHash } from "node:crypto";
import { afterEach, describe, expect, test } from "vitest";
import type { LatestCenter } from "../../coordinator/server/center_files.ts";
import { CODEC_NAMES } from "../../shared/wire/codec/codec.ts";
import { decode, encode } from "../../shared/wire/codec/naive.ts";
import { Random } from "../../shared/random.ts";
import { CodecReplica } from "../support/codec_replica.ts";
import { helloHeader, RunFixture, type FixtureOptions, type Peer, type Received } from "../support/run_fixture.ts";
import { serveFixture, type ServedFixture } from "../support/served_fixture.ts";

let open: ServedFixture[] = [];

afterEach(async () => {
  for (const serving of open.splice(0)) {
    await serving.close();
    expect(serving.fixture.failures).toEqual([]);
  }
  open = [];
});

async function served(options: FixtureOptions = {}): Promise<ServedFixture> {
  const serving = await serveFixture(await RunFixture.create({ applier: "locked", ...options }));
  open.push(serving);
  return serving;
}

async function latestOf({ url }: ServedFixture): Promise<LatestCenter> {
  const response = await fetch(new URL("center/latest", url));
  expect(response.status).toBe(200);
  expect(response.headers.get("cache-control")).toBe("no-store");
  return (await response.json()) as LatestCenter;
}

async function bytesAt({ url }: ServedFixture, address: string): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(new URL(address, url));
  expect(response.status).toBe(200);
  return new Uint8Array(await response.arrayBuffer());
}

/** One exchange of a replica that joins for it. */
async function exchanged({ fixture }: ServedFixture, seed: number): Promise<void> {
  const { peer, welcome } = await fixture.join(undefined, 1, { codecs: CODEC_NAMES });
  const replica = new CodecReplica(fixture.layout.elements, "parameters");
  replica.welcomed(welcome);
  const random = new Random(seed);
  replica.parameters = replica.parameters.map((x) => x + random.normal());
  const { header, payload } = replica.push();
  peer.send("push", header, payload);
  await peer.receive("answer");
  peer.send("leave", {});
}

describe("Files", () => {
  test("[D1] The newest center has an address of its own, immutable and tagged by its hash; who asks may not keep the pointer", async () => {
    const run = await served();
    await exchanged(run, 1);
    const latest = await latestOf(run);
    const { parameters, version } = run.fixture.center.snapshot();
    expect(latest).toMatchObject({
      incarnation: 1,
      version,
      elements: parameters.length,
      bytes: 4 * parameters.length,
    });
    expect(latest.address).toBe(`center/1-${version}.f32`);
    const response = await fetch(new URL(latest.address, run.url));
    const bytes = new Uint8Array(await response.arrayBuffer());
    expect(new Float32Array(bytes.buffer)).toEqual(parameters);
    expect(createHash("sha256").update(bytes).digest("hex")).toBe(latest.sha256);
    expect(response.headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
    expect(response.headers.get("etag")).toBe(`"${latest.sha256}"`);
    expect(response.headers.get("content-length")).toBe(String(bytes.length));
    const again = await fetch(new URL(latest.address, run.url), { headers: { "If-None-Match": `"${latest.sha256}"` } });
    expect(again.status).toBe(304);
    const head = await fetch(new URL(latest.address, run.url), { method: "HEAD" });
    expect([head.status, head.headers.get("content-length")]).toEqual([200, String(bytes.length)]);
  });

  test("[D1] The same center encoded: each codec a file, its tag the hash of its bytes", async () => {
    const run = await served();
    const latest = await latestOf(run);
    const { parameters } = run.fixture.center.snapshot();
    for (const codec of ["f16", "bf16", "int8"] as const) {
      const response = await fetch(new URL(latest.encodings[codec], run.url));
      const bytes = new Uint8Array(await response.arrayBuffer());
      expect(bytes).toEqual(encode(codec, parameters));
      expect(response.headers.get("etag")).toBe(`"${createHash("sha256").update(bytes).digest("hex")}"`);
      expect(response.headers.get("cache-control")).toContain("immutable");
      decode(codec, bytes, parameters.length).forEach((value, k) => expect(value).toBeCloseTo(parameters[k]!, 2));
    }
  });

  test("[D1] A center that moves is published anew once a second at most, and an address keeps its bytes", async () => {
    const run = await served();
    const first = await latestOf(run);
    const bytes = await bytesAt(run, first.address);
    await exchanged(run, 2);
    expect(await latestOf(run)).toEqual(first);
    run.fixture.nowMs += 1001;
    const second = await latestOf(run);
    expect(second.version).toBe(1);
    expect(second.sha256).not.toBe(first.sha256);
    expect(await bytesAt(run, first.address)).toEqual(bytes);
    // Where nothing has moved nothing is published.
    run.fixture.nowMs += 1001;
    expect(await latestOf(run)).toEqual(second);
  });

  test("[D1] What is not kept, never was, or belongs to another incarnation is answered 404 with a sentence; only GET and HEAD", async () => {
    const run = await served();
    const { version } = await latestOf(run);
    const first = `center/1-${version}.f32`;
    for (const address of [
      "center/1-77.f32",
      `center/2-${version}.f32`,
      `center/1-${version}.int4`,
      "center/",
      "center/1-1",
      `center/1-${"9".repeat(30)}.f32`,
    ]) {
      const response = await fetch(new URL(address, run.url));
      expect([address, response.status]).toEqual([address, 404]);
      expect(await response.text()).toMatch(/^[A-Z].*\.\n$/);
    }
    for (let turn = 0; turn < 12; turn++) {
      await exchanged(run, turn);
      run.fixture.nowMs += 1001;
      await latestOf(run);
    }
    expect((await fetch(new URL(first, run.url))).status).toBe(404);
    expect((await fetch(new URL("center/latest", run.url), { method: "POST" })).status).toBe(405);
    run.fixture.run.finish("stopped", "The test is over.");
    expect((await fetch(new URL("center/latest", run.url))).status).toBe(404);
  });

  test("[D1] Many who ask at once get one publication", async () => {
    const run = await served({ settings: { codecDown: "int8" } });
    const all = await Promise.all(Array.from({ length: 20 }, () => latestOf(run)));
    expect(new Set(all.map(({ sha256 }) => sha256)).size).toBe(1);
  });
});

function joinWith(
  run: ServedFixture,
  holds: { incarnation: number; version: number },
): Promise<{ peer: Peer; welcome: Received<"welcome"> }> {
  return run.fixture.join(undefined, 1, { codecs: CODEC_NAMES, holds });
}

describe.each(["f32", "int8"] as const)("Joining a run whose center comes down in %s", (codecDown) => {
  test("[D3] Whoever has fetched a center that is still kept is welcomed without one, and its pushes count from there", async () => {
    const run = await served({ settings: { codecDown }, rule: { movingRate: 0.5 } });
    await exchanged(run, 3);
    const { version, incarnation, address } = await latestOf(run);
    const held = new Float32Array((await bytesAt(run, address)).buffer);
    await exchanged(run, 4);
    const { peer, welcome } = await joinWith(run, { incarnation, version });
    expect(welcome.header).toMatchObject({ resumed: false, version });
    expect(welcome.payload).toHaveLength(0);
    const replica = new CodecReplica(held.length, "parameters");
    replica.welcomed(welcome, held);
    replica.parameters = held.map((x) => x + 1);
    const before = run.fixture.center.snapshot().parameters;
    const { header, payload } = replica.push();
    peer.send("push", header, payload);
    const answer = await peer.receive("answer");
    expect(answer.header.staleness).toBe(1);
    replica.answered(answer);
    const { parameters } = run.fixture.center.snapshot();
    parameters.forEach((c, k) => expect(c).toBeCloseTo(before[k]! + 0.5 * (held[k]! + 1 - before[k]!), 4));
  });

  test("[D3] A version that is not kept, or of another incarnation, is no help: the welcome brings the center", async () => {
    const run = await served({ settings: { codecDown }, incarnation: 3 });
    const { version } = await latestOf(run);
    for (const holds of [
      { incarnation: 3, version: version + 5 },
      { incarnation: 2, version },
    ]) {
      const { welcome } = await joinWith(run, holds);
      expect(welcome.payload).toHaveLength(4 * run.fixture.layout.elements);
    }
  });
});

test("[D3] [X15] A member of a barrier is given the very center, unless it has fetched that", async () => {
  const run = await served({ settings: { solver: "sync-sgd", codecDown: "int8" } });
  const first = await latestOf(run);
  const { incarnation, version } = first;
  const { peer, welcome } = await joinWith(run, { incarnation, version });
  expect(welcome.payload).toHaveLength(0);
  const replica = new CodecReplica(run.fixture.layout.elements, "gradient");
  replica.welcomed(welcome, new Float32Array((await bytesAt(run, first.address)).buffer));
  const { header, payload } = replica.push(new Float32Array(replica.elements).fill(0.1));
  peer.send("push", header, payload);
  await peer.receive("answer");
  const late = await joinWith(run, { incarnation, version });
  expect(late.welcome.header.version).toBe(1);
  expect(late.welcome.payload).toHaveLength(4 * replica.elements);
});

test("[D3] [H5] Whoever goes on where it was needs no center, whatever it holds", async () => {
  const run = await served();
  const { peer, welcome } = await run.fixture.join();
  const { replica, token, incarnation, version } = welcome.header;
  peer.cut();
  const back = run.fixture.connect();
  back.send("hello", { ...helloHeader({ replica, token, incarnation }), holds: { incarnation, version } });
  expect((await back.receive("welcome")).header.resumed).toBe(true);
});
