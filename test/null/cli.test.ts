import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runDrove, type Ended } from "../support/drove_command.ts";
import { startHarness, type Harness } from "./server_harness.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "drove-cli-"));
});
afterAll(() => rm(folder, { recursive: true }));

function drove(...args: string[]): Promise<Ended> {
  return runDrove(folder, args);
}

describe.concurrent("drove", () => {
  test("Wrong usage is one sentence with the way out, and exit code 2", async () => {
    const { exitCode, stdout, stderr } = await drove("serve", "--batch", "x");
    expect(stderr).toBe('drove: --batch is "x"; accepted is a whole number from 1 to 4096, such as 64.\n');
    expect([exitCode, stdout]).toEqual([2, ""]);
  });

  test("With --json a failure too is one JSON object on the last line of stdout", async () => {
    const { exitCode, stdout } = await drove("train", "--batch", "x", "--json");
    expect(exitCode).toBe(2);
    expect(JSON.parse(stdout)).toEqual({
      error: '--batch is "x"; accepted is a whole number from 1 to 4096, such as 64.',
      exitCode: 2,
    });
  });

  test("A coordinator that does not answer, and something else that does, are told apart", async () => {
    const other = createServer((_, response) => response.end("<html>hello</html>")).listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as AddressInfo;
    const wrong = await drove("status", `127.0.0.1:${port}`);
    expect([wrong.exitCode, wrong.stderr]).toEqual([
      1,
      `drove: http://127.0.0.1:${port}/ answers 200 without a run in it: it is no coordinator of Drove; check the link.\n`,
    ]);
    other.close();
    const silent = await drove("status", "127.0.0.1:1");
    expect([silent.exitCode, silent.stderr]).toEqual([
      1,
      "drove: No coordinator answers at http://127.0.0.1:1/ (ECONNREFUSED); check the link, and that the run is on.\n",
    ]);
  });

  test("The data sets are listed for people and for programs", async () => {
    const { exitCode, stdout } = await drove("data", "list");
    expect([exitCode, stdout.split("\n")[0]]).toEqual([
      0,
      "mnist          60,000 training and 10,000 test images of 28x28x1, 10 classes",
    ]);
    expect(JSON.parse((await drove("data", "list", "--json")).stdout)).toMatchObject({
      names: ["mnist", "fashion-mnist", "cifar10"],
      datasets: [{ name: "mnist", isReady: true, classes: 10 }, { name: "fashion-mnist" }, { name: "cifar10" }],
    });
  });
});

describe("drove status", () => {
  let harness: Harness;
  beforeAll(async () => {
    harness = await startHarness();
  });
  afterAll(() => harness.close());

  test("A run is described for people, and whole for programs", async () => {
    const { exitCode, stdout } = await drove("status", harness.url);
    expect(exitCode).toBe(0);
    expect(stdout).toContain("test: waiting, mlp on mnist with ea-wild, incarnation 1\n");
    const json = await drove("status", `${harness.url}/operator?x=1`, "--json");
    expect(JSON.parse(json.stdout.trimEnd().split("\n").at(-1)!)).toMatchObject({
      run: "test",
      state: "waiting",
      version: 0,
    });
    expect(json.stderr).toContain("test: waiting");
  });
});

describe("A self-signed coordinator", () => {
  let harness: Harness;
  beforeAll(async () => {
    harness = await startHarness({ tls: "self-signed" });
  });
  afterAll(() => harness.close());

  test("It is trusted by the hash of its key, and by nothing less", async () => {
    expect(harness.url).toMatch(/^https:/);
    const untrusted = await drove("status", harness.url);
    expect([untrusted.exitCode, untrusted.stderr]).toEqual([
      1,
      `drove: ${harness.url} has a certificate that nobody vouches for; add --trust with the hash that the coordinator prints.\n`,
    ]);
    const wrong = await drove("status", harness.url, "--trust", "AAAA");
    expect([wrong.exitCode, wrong.stderr]).toEqual([
      1,
      `drove: ${harness.url} has another key than --trust names; copy the hash that the coordinator prints.\n`,
    ]);
    const trusted = await drove("status", harness.url, "--trust", harness.server.keyHash!);
    expect([trusted.exitCode, trusted.stderr]).toEqual([0, ""]);
  });
});
