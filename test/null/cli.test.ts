import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runDrove, type Ended } from "../support/drove_command.ts";
import { startHarness, type Harness } from "./server_harness.ts";

const COMMANDS = [
  "train",
  "serve",
  "join",
  "status",
  "doctor",
  "bench",
  "data",
  "simulate",
  "autotune",
  "reproduce",
] as const;

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "drove-cli-"));
});
afterAll(() => rm(folder, { recursive: true }));

function drove(...args: string[]): Promise<Ended> {
  return runDrove(folder, args);
}

describe.concurrent("drove", () => {
  test("Every command explains itself with an example and its exit codes", async () => {
    for (const command of COMMANDS) {
      const { exitCode, stdout, stderr } = await drove(command, "--help");
      expect([command, exitCode, stderr]).toEqual([command, 0, ""]);
      expect(stdout).toContain(`Usage: drove ${command}`);
      expect(stdout).toContain(`Example:\n  drove ${command}`);
      expect(stdout).toContain("Exit codes: 0 done");
    }
  });

  test("Without a command it shows its help on stderr and ends with 2", async () => {
    const { exitCode, stdout, stderr } = await drove();
    expect([exitCode, stdout]).toEqual([2, ""]);
    for (const command of COMMANDS) expect(stderr).toContain(`\n  ${command} `);
  });

  test.for<[string[], string]>([
    [["trian"], "drove: Unknown command 'trian' Did you mean train; see `drove --help`."],
    [["train", "--foo"], "drove: Unknown option '--foo'; see `drove train --help`."],
    [["train", "--seed"], "drove: Option '--seed <N>' argument missing; see `drove train --help`."],
    [
      ["train", "extra"],
      "drove: Too many arguments for 'train'. Expected 0 arguments but got 1.; see `drove train --help`.",
    ],
    [["status"], "drove: Missing required argument 'URL'; see `drove status --help`."],
    [["serve", "--batch", "x"], 'drove: --batch is "x"; accepted is a whole number from 1 to 4096, such as 64.'],
    [
      ["serve", "--config", "none.json"],
      "drove: The run file none.json cannot be read (ENOENT); pass the path of a JSON file with --config.",
    ],
    [["serve", "--tls-cert", "a.pem"], "drove: --tls-cert needs its private key; add --tls-key FILE."],
    [["serve", "--resume"], "drove: --resume goes on with a run of yours; say which with --name."],
    [
      ["train", "--solver", "async-sgd", "--momentum", "0.9"],
      "drove: --momentum is 0.9, but the solver async-sgd has no momentum; leave it out, or use async-msgd.",
    ],
    [["status", "ftp://x"], 'drove: "ftp://x" is no link of a run; accepted is one such as http://127.0.0.1:8080.'],
    [
      ["join", "localhost:1", "--volunteers", "0"],
      'drove: --volunteers is "0"; accepted is a whole number from 1 to 64.',
    ],
    [
      ["join", "localhost:1", "--duty-cycle", "10"],
      'drove: --duty-cycle is "10"; accepted is a share of the time above 0 and up to 1, such as 0.5.',
    ],
    [
      ["join", "localhost:1", "--backend", "cuda"],
      'drove: --backend is "cuda"; accepted is "auto", "webgpu", "wasm" or "hybrid".',
    ],
  ])("Wrong usage %j is one sentence with the way out, and exit code 2", async ([args, sentence]) => {
    const { exitCode, stdout, stderr } = await drove(...args);
    expect(stderr).toBe(`${sentence}\n`);
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

  test("A run file with a wrong field is named with the field", async () => {
    await writeFile(join(folder, "wrong.json"), '{"batch": 0}');
    await writeFile(join(folder, "torn.json"), '{"batch": ');
    expect((await drove("serve", "--config", "wrong.json")).stderr).toBe(
      'drove: wrong.json: "batch" is 0; accepted is a whole number from 1 to 4096, such as 64.\n',
    );
    expect((await drove("serve", "--config", "torn.json")).stderr).toMatch(
      /^drove: The run file torn\.json is not JSON \(.*\); correct it there\.\n$/,
    );
  });

  test("An unknown data set is refused with those that there are, before anything is left on disk", async () => {
    const { exitCode, stderr } = await drove("serve", "--data", "nothing", "--port", "0");
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(
      /^drove: There is no data set named "nothing"; known here: mnist, fashion-mnist, cifar10\. .*\n$/,
    );
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

  test("An unknown benchmark is refused with those that there are", async () => {
    const { exitCode, stderr } = await drove("bench", "nothing", "--json");
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/^drove: There is no benchmark "nothing"; accepted is .*\.\n$/);
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

  test("A folder that holds no data is refused by name, with what it may hold", async () => {
    const { exitCode, stderr } = await drove("data", "import", "mine", folder);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(
      `drove: ${folder} holds neither IDX files nor CIFAR's nor a folder of pictures per class; `,
    );
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
