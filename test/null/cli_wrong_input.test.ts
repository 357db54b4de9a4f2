/** The manners of the command line: every command explains itself, and wrong input is answered in one sentence that helps. */

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { inProcess } from "../support/command_line.ts";

const COMMANDS = [
  "new",
  "train",
  "serve",
  "join",
  "status",
  "runs",
  "doctor",
  "bench",
  "data",
  "data get",
  "data import",
  "data list",
  "data show",
  "data verify",
  "model",
  "eval",
  "export",
  "replay",
  "simulate",
  "autotune",
  "reproduce",
];
/** That print nothing but what another program says. */
const WITHOUT_JSON = new Set(["bench", "data"]);

/** Holds `torn.json`, `list.json`, `wrong.json` and an empty folder `empty`. */
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "drove-wrong-"));
  await mkdir(join(folder, "empty"));
  await writeFile(join(folder, "torn.json"), '{"batch": ');
  await writeFile(join(folder, "list.json"), "[]");
  await writeFile(join(folder, "wrong.json"), '{"batch": 0, "runsFolder": 7}');
  await writeFile(join(folder, "misspelt.json"), '{"learningrate": 0.1}');
  await writeFile(join(folder, "port0.json"), '{"port": 0}');
  const layers = [{ kind: "convolution", name: "c", kernel: 3, channels: 4 }];
  await writeFile(
    join(folder, "model.json"),
    JSON.stringify({ name: "m", input: { height: 8, width: 8, channels: 1 }, classes: 2, layers }),
  );
});
afterAll(() => rm(folder, { recursive: true }));

test.for(COMMANDS)("drove %s explains itself with an example and the exit codes", async (command) => {
  const { exitCode, stdout, stderr } = await inProcess(...command.split(" "), "--help");
  expect([exitCode, stderr]).toEqual([0, ""]);
  expect(stdout).toContain(`Usage: drove ${command}`);
  expect(stdout).toContain(`Example:\n  drove ${command}`);
  expect(stdout).toContain(
    "Exit codes: 0 done (target reached, if there was one) · 1 failed or target not reached · 2 wrong",
  );
  expect(stdout).toContain("130 interrupted before it was done");
  if (!WITHOUT_JSON.has(command)) expect(stdout).toContain("--json");
});

test("Without a command it shows its help, which names every command, and ends with 2", async () => {
  const { exitCode, stdout, stderr } = await inProcess();
  expect([exitCode, stdout]).toEqual([2, ""]);
  for (const command of COMMANDS.filter((name) => !name.includes(" "))) expect(stderr).toContain(`\n  ${command} `);
});

/** `@` in an argument is the folder. The sentence is all of it where it is a text. */
const WRONG: readonly (readonly [line: string, sentence: string | RegExp, exitCode?: number])[] = [
  // Words that nobody knows.
  ["trian", "Unknown command 'trian'; did you mean train? See `drove --help`."],
  ["data improt a b", "Unknown command 'improt'; did you mean import? See `drove data --help`."],
  ["train --foo", "Unknown option '--foo'; see `drove train --help`."],
  ["train --bacth 3", "Unknown option '--bacth'; did you mean --batch? See `drove train --help`."],
  ["train --seed", "Option '--seed <N>' argument missing; see `drove train --help`."],
  ["train extra", "Too many arguments for 'train'. Expected 0 arguments but got 1; see `drove train --help`."],
  ["data get", "Missing required argument 'NAME'; see `drove data get --help`."],
  ["data show", "Missing required argument 'NAME'; see `drove data show --help`."],
  ["data import pets", "Missing required argument 'FOLDER'; see `drove data import --help`."],
  // Values out of what is accepted, by flag.
  ["serve --batch x", '--batch is "x"; accepted is a whole number from 1 to 4096, such as 64.'],
  ["serve --port 99999", "--port is 99999; accepted is a whole number from 0 (any free one) to 65535."],
  ["serve --model lennet", /^--model is "lennet"; accepted is one of logistic, .* Did you mean "lenet"\?$/],
  ["serve --solver ea_wild2", /^--solver is "ea_wild2"; accepted is one of sync-sgd, .* Did you mean "ea-wild"\?$/],
  ["serve --data ../etc", /^--data is "\.\.\/etc"; accepted is "mnist", "fashion-mnist", "cifar10" or the name/],
  ["serve --staleness scale:x", /^--staleness is .* \(at "halfRateStaleness"\); accepted is "none", "scale:S0"/],
  ["serve --tls-cert a.pem", "--tls-cert needs its private key; add --tls-key FILE."],
  ["serve --tls-key a.pem", "--tls-key needs its certificate; add --tls-cert FILE."],
  ["serve --resume", "--resume goes on with a run of yours; say which with --name."],
  ["train --target-accuracy 98", /^--target-accuracy is 98; accepted is a share above 0 and up to 1, such as 0\.98/],
  [
    "train --solver async-sgd --momentum 0.9",
    "--momentum is 0.9, but the solver async-sgd has no momentum; leave it out, or use async-msgd.",
  ],
  ["train --lossy", "--lossy is true, but a WebSocket loses nothing; add --transport webrtc, or leave it out."],
  // Run files.
  ["serve --config none.json", /^The run file none\.json cannot be read \(ENOENT\); pass the path of a JSON file with/],
  ["serve --config @/torn.json", /^The run file .*torn\.json is not JSON \(.*\); correct it there\.$/],
  ["serve --config @/list.json", /list\.json holds \[\]; accepted is a JSON object such as \{"model": "lenet"\}\.$/],
  [
    "serve --config @/wrong.json",
    /wrong\.json: "batch" is 0; accepted is a whole number from 1 to 4096, such as 64\.$/,
  ],
  [
    "serve --config @/misspelt.json",
    /has the field "learningrate", which no run has; .* Did you mean "learningRate"\?$/,
  ],
  ["runs --config @/wrong.json", /wrong\.json: "runsFolder" is 7; accepted is the path of a folder\.$/],
  ["status --config @/port0.json", /port0\.json: "port" is 0, which is another one in every run; pass the link/],
  ["doctor --config @/torn.json", /torn\.json is not JSON/],
  ["data list --config @/torn.json", /torn\.json is not JSON/],
  ["doctor --port x", /^--port is "x"; accepted is a whole number from 0/],
  // Models.
  ["train --model ./none.json", /^The model file \.\/none\.json cannot be read \(ENOENT\); looked for /],
  [
    "train --model ./model.txt",
    /is neither a JSON file nor a module; give the file the ending \.json, \.ts, \.js or \.mjs\.$/,
  ],
  [
    "model @/model.json",
    /layer 1 \("c"\), field "kind" is "convolution", .* Did you mean "conv2d"\? The layer gets 8x8x1\.$/,
  ],
  ["model resnett-20", /^--model is "resnett-20"; accepted is one of .* Did you mean "resnet-20"\?$/],
  // Links and volunteers.
  ["status", /^No link is given, and there is no drove\.run\.json here that would say one; pass a link such as /],
  ["status ftp://x", '"ftp://x" is no link of a run; accepted is one such as http://127.0.0.1:8080.'],
  ["join localhost:1 --volunteers 0", '--volunteers is "0"; accepted is a whole number from 1 to 64.'],
  ["join localhost:1 --threads many", /^--threads is "many"; accepted is a whole number from 1 to /],
  ["join localhost:1 --duty-cycle 10", /^--duty-cycle is "10"; accepted is a share of the time above 0 and up to 1/],
  ["join localhost:1 --backend cuda", '--backend is "cuda"; accepted is "auto", "webgpu", "wasm" or "hybrid".'],
  ["join 127.0.0.1:1", /^No coordinator answers at http:\/\/127\.0\.0\.1:1\/ \(ECONNREFUSED\); check the link/, 1],
  // Data.
  ["data get mnst", 'NAME is "mnst"; accepted is one of mnist, fashion-mnist, cifar10. Did you mean "mnist"?'],
  [
    "data show minst --runs-folder @",
    /^There is no data set named "minst"; known here: mnist, fashion-mnist, cifar10\./,
    1,
  ],
  ["data import Pets @/empty", /^"Pets" cannot name a data set in .*; use lower-case letters, digits/, 1],
  ["data import mnist @/empty", 'There is already a data set named "mnist"; choose another name.', 1],
  ["data import pets @/none", /none is not a folder that can be read; name one with the four IDX files, with /, 1],
  ["data import pets @/empty", /empty holds neither IDX files nor CIFAR's nor a folder of pictures per class; lay/, 1],
  [
    "data import pets @/empty --size 0",
    /^--size is "0"; accepted is a number of pixels from 1 to 1024, such as 32, or/,
  ],
  ["data import pets @/empty --size 32x", /^--size is "32x"; accepted is/],
  ["data import pets @/empty --fit crop", '--fit is "crop"; accepted is one of cover, contain, fill.'],
  ["data import pets @/empty --channels 2", '--channels is "2"; accepted is one of 1, 3.'],
  ["data import pets @/empty --test-share 20", /^--test-share is "20"; accepted is a share above 0 and below 1/],
  ["data import pets @/empty --max-bad some", /^--max-bad is "some"; accepted is a whole number from 0 to /],
  ["data import pets @/empty --seed -1", /^--seed is "-1"; accepted is a whole number from 0 to 4294967295\.$/],
  ["data import pets @/empty --background url(x)", /^--background is "url\(x\)"; accepted is a colour's name/],
  // New files.
  ["new run.yaml", 'The file is "run.yaml"; accepted is the path of a JSON file, such as drove.run.json.'],
  ["new @/torn.json", /torn\.json is there already; name another file than torn\.json, or add --force/],
  [
    "new @/n.json --template clasroom",
    /^--template is "clasroom"; accepted is one of plain, .* Did you mean "classroom"\?$/,
  ],
  ["new @/n.json --template own-model --data cifar", /^There is no data set named "cifar"; known here: /, 1],
  ["new @/n.json --batch 0", "--batch is 0; accepted is a whole number from 1 to 4096, such as 64."],
  // Runs that ended.
  [
    "eval nothing --runs-folder @",
    /^There are no runs in .* yet; begin one with `drove train`, or say with --runs-folder/,
  ],
  ["export nothing --runs-folder @", /^There are no runs in .* yet; begin one with `drove train`/],
  ["export nothing --format pickle", /^--format is "pickle"; accepted is one of safetensors, onnx, /],
  ["replay nothing --runs-folder @", /^There are no runs in .*; begin one with `drove train`/],
  // Studies.
  ["simulate --replicas 0", /^--replicas is 0; accepted is a whole number from 1 to 100000\.$/],
  ["simulate --step-times often", /^--step-times is .*often.*; accepted is "fixed", "exponential", /],
  ["autotune --batch 0", /^--batch is 0; accepted is/],
  ["reproduce nothing", /^The paper is "nothing"; accepted is hpcasia20, .* or caffe-con-troll\.$/],
  ["bench nothing", /^There is no benchmark "nothing"; accepted is .* or .*\.$/],
];

test.for(WRONG)("drove %s is answered in one sentence", async ([line, sentence, expected = 2]) => {
  const args = line.split(" ").map((argument) => argument.replace("@", folder));
  const { exitCode, stdout, stderr } = await inProcess(...args);
  expect([exitCode, stdout]).toEqual([expected, ""]);
  // One line that ends as sentences do.
  expect(stderr).toMatch(/^drove: [^\n]+[.?]\n$/);
  const said = stderr.slice("drove: ".length, -1);
  if (typeof sentence === "string") expect(said).toBe(sentence);
  else expect(said).toMatch(sentence);
});

test("With --json such a sentence is one object on the last line of stdout too, with the exit code", async () => {
  const { stdout } = await inProcess("data", "get", "mnst", "--json");
  expect(JSON.parse(stdout)).toEqual({
    error: 'NAME is "mnst"; accepted is one of mnist, fashion-mnist, cifar10. Did you mean "mnist"?',
    exitCode: 2,
  });
});
