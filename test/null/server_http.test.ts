import { once } from "node:events";
import { createServer, request } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readRunSettings } from "../../shared/run_settings.ts";
import { METRICS } from "../../shared/metrics.ts";
import type { RunView } from "../../shared/run_view.ts";
import { EventStream } from "../../coordinator/server/event_stream.ts";
import { start } from "../../coordinator/server/server.ts";
import { SHARD, startHarness, type Harness } from "./server_harness.ts";

let harness: Harness;
beforeAll(async () => {
  harness = await startHarness();
});
afterAll(() => harness.close());

const get = (path: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(harness.url + path, { headers });

/** Sends the path as it is, where `fetch` would tidy it first. */
function rawStatus(path: string, method = "GET"): Promise<number> {
  const { port } = harness.server;
  return new Promise((resolve, reject) => {
    const asked = request({ host: "127.0.0.1", port, path, method }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    asked.on("error", reject).end();
  });
}

test("Both pages are served, without and with their extension", async () => {
  expect(await (await get("/")).text()).toContain("volunteer");
  expect(await (await get("/index.html")).text()).toContain("volunteer");
  expect(await (await get("/operator")).text()).toContain("operator");
  expect((await get("/operator.html?from=link")).headers.get("content-type")).toBe("text/html; charset=utf-8");
});

test("Every answer isolates its page and lets it load only what is ours", async () => {
  for (const path of ["/", "/assets/page-1a2b3c.js", "/api/run", `/${SHARD.path}`, "/nothing"]) {
    const { headers } = await get(path);
    expect(headers.get("content-security-policy")).toBe(
      "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self' ws: wss:; " +
        "img-src 'self' data:; style-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    );
    expect(headers.get("cross-origin-opener-policy")).toBe("same-origin");
    expect(headers.get("cross-origin-embedder-policy")).toBe("require-corp");
    expect(headers.get("cross-origin-resource-policy")).toBe("same-origin");
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("referrer-policy")).toBe("no-referrer");
    expect(headers.get("permissions-policy")).toContain("compute-pressure=(self), screen-wake-lock=(self)");
  }
});

test("Hashed assets are kept for ever and travel compressed, pages are asked for again", async () => {
  const asset = await get("/assets/page-1a2b3c.js", { "accept-encoding": "gzip" });
  expect(asset.headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
  expect(asset.headers.get("content-encoding")).toBe("gzip");
  expect(Number(asset.headers.get("content-length"))).toBeLessThan(500);
  expect((await asset.text()).length).toBe(5004);
  expect((await get("/")).headers.get("cache-control")).toBe("no-cache");
});

test("A shard comes whole with its length and its tag, and is not sent again to who has it", async () => {
  const shard = await get(`/${SHARD.path}`);
  expect(await shard.text()).toBe("imageslabels");
  expect(shard.headers.get("content-length")).toBe("12");
  expect(shard.headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
  const etag = shard.headers.get("etag") ?? "";
  expect(etag).toMatch(/^".+"$/);
  const again = await get(`/${SHARD.path}`, { "if-none-match": etag });
  expect(again.status).toBe(304);
  expect(await again.text()).toBe("");
  expect((await get(`/${SHARD.path}`, { "if-none-match": '"another"' })).status).toBe(200);
});

test("HEAD has the headers of GET and no body", async () => {
  const head = await fetch(`${harness.url}/${SHARD.path}`, { method: "HEAD" });
  expect(head.headers.get("content-length")).toBe("12");
  expect(await head.text()).toBe("");
});

test("Nothing outside the client is ever served, however the path is written", async () => {
  const paths = [
    "/../package.json",
    "/..%2fpackage.json",
    "/%2e%2e/package.json",
    "/assets/../../server.ts",
    "/.git/config",
    "//etc/passwd",
    "/assets/",
    "/data/",
    "/data/mnist/",
    "/%00",
    "/%",
    "/index.html/",
    "/api",
    "/ws",
    "/constructor",
    "/__proto__",
    "/assets\\page.js",
  ];
  for (const path of paths) expect([path, await rawStatus(path)]).toEqual([path, 404]);
});

test("Other methods than GET and HEAD are refused with 405", async () => {
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
    expect(await rawStatus("/api/view", method)).toBe(405);
});

test("[H2] The run's settings pass the client's own check", async () => {
  const settings = readRunSettings(await (await get("/api/run")).json());
  expect(settings).toMatchObject({
    run: "test",
    solver: "ea-wild",
    batch: 64,
    momentum: 0.9,
    layoutHash: harness.layoutHash,
  });
});

test("The view says how the run is doing, and is never kept", async () => {
  const answer = await get("/api/view");
  expect(answer.headers.get("cache-control")).toBe("no-store");
  expect(await answer.json()).toMatchObject({ run: "test", state: "waiting", version: 0, connected: 0, own: null });
});

test("Live events bring a whole view at once and another within a second", async () => {
  const answer = await get("/api/events");
  expect(answer.headers.get("content-type")).toContain("text/event-stream");
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const startedMs = performance.now();
  while (text.split("\n\n").length < 3) text += (await reader.read()).value ?? "";
  expect(performance.now() - startedMs).toBeLessThan(2000);
  const views = text
    .split("\n\n")
    .slice(0, 2)
    .map((event) => JSON.parse(event.replace(/^data: /, "")) as RunView);
  expect(views.map(({ run }) => run)).toEqual(["test", "test"]);
  await reader.cancel();
});

test("A reader of live events that takes nothing gets the newest later, never a queue", async () => {
  const beganMs = performance.now();
  // Too long for the kernel's buffers, so that the first view is still on its way while others are made.
  const events = new EventStream(
    { historyKey: () => "", text: () => `${Math.round(performance.now() - beganMs)} ${"x".repeat(30_000_000)}` },
    8,
  );
  const server = createServer((_, response) => void events.add(response)).listen(0, "127.0.0.1");
  await once(server, "listening");
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  socket.write("GET / HTTP/1.1\r\nHost: coordinator\r\n\r\n");
  socket.pause();
  await new Promise((resolve) => setTimeout(resolve, 2600));
  const seen: number[] = [];
  socket.on("data", (data: Buffer) => {
    for (const [, number] of data.toString("latin1").matchAll(/data: (\d+) /g)) seen.push(Number(number));
  });
  socket.resume();
  while (seen.length < 2) await once(socket, "data");
  // One was on its way; those of the seconds in between were never made.
  expect(seen[1]).toBeGreaterThanOrEqual(2500);
  socket.destroy();
  events.close();
  server.close();
});

test("The last event, sent when the server closes, says that the run is over", async () => {
  const ending = await startHarness();
  const answer = await fetch(`${ending.url}/api/events`);
  ending.run.finish("stopped", "over");
  await ending.close();
  const events = (await answer.text()).trimEnd().split("\n\n");
  expect(JSON.parse(events.at(-1)!.replace(/^data: /, ""))).toMatchObject({ state: "stopped" });
});

test("Every metric of the table is on the metrics page under its name and kind", async () => {
  harness.run.countRefusal("NOT_A_FRAME");
  harness.run.recordEvaluation({ accuracy: 0.5, meanLoss: 1, images: 10 });
  const text = await (await get("/metrics")).text();
  const { trainLoss, checkpointSeconds, dutyCycle, targetAccuracy } = METRICS;
  const valueless = new Set<string>([trainLoss, checkpointSeconds, dutyCycle, targetAccuracy].map(({ name }) => name));
  for (const { name, kind, help } of Object.values(METRICS)) {
    // Nothing was pushed, nothing is on disk, nobody is there and no target set: these have no value yet.
    if (valueless.has(name)) continue;
    expect(text).toContain(`# HELP ${name} ${help}\n# TYPE ${name} ${kind}\n`);
  }
  expect(text).toMatch(/^drove_refusals_total\{code="NOT_A_FRAME"\} \d+$/m);
  expect(text).toContain('drove_staleness_versions_bucket{le="+Inf"} 0\n');
  expect(text).toContain("drove_test_accuracy_ratio 0.5\n");
});

/** The status line that these bytes are answered with. */
function answerTo(text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(harness.server.port, "127.0.0.1", () => socket.write(text));
    let answer = "";
    socket.on("data", (data) => {
      answer += data.toString();
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(answer.split("\r\n", 1)[0] ?? ""));
  });
}

test("A malformed request gets 400, an endless header 431, and the next one is answered", async () => {
  expect(await answerTo("\0\0\0 what\r\n\r\n")).toContain("400");
  expect(await answerTo(`GET / HTTP/1.1\r\nHost: x\r\nLong: ${"x".repeat(100_000)}\r\n\r\n`)).toContain("431");
  expect((await get("/healthz")).status).toBe(200);
});

test("A taken port, a foreign address and missing pages are refused with the fix", async () => {
  const { run, server } = harness;
  const options = {
    run,
    host: "127.0.0.1",
    port: server.port,
    tls: null,
    clientFolder: "nowhere",
    shards: [],
    onFailure: () => {},
  } as const;
  await expect(start(options)).rejects.toThrow(/run `npm run build` first/);
  await expect(startHarness({ port: server.port })).rejects.toThrow(
    /Port \d+ on 127\.0\.0\.1 is already in use; .*--port/,
  );
  await expect(startHarness({ host: "192.0.2.1" })).rejects.toThrow(
    /This machine has no address 192\.0\.2\.1; .*--host/,
  );
});
