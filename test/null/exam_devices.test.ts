/** Which device is admitted: client/participation/devices.ts and exam.ts, with real programs that may be broken. */

import { beforeAll, describe, expect, test } from "vitest";
import type { BackendChoice } from "../../client/messages.ts";
import { Devices } from "../../client/participation/devices.ts";
import { Exam } from "../../client/participation/exam.ts";
import { Examples } from "../../client/participation/examples.ts";
import type { Fetched } from "../../client/participation/surroundings.ts";
import { NODE_CLOCK } from "../../client/node/node_clock.ts";
import type { Device } from "../../client/replica/local_training.ts";
import type { Backend } from "../../shared/engine/backend.ts";
import { answerExam } from "../../shared/engine/exam/examine.ts";
import type { Plan } from "../../shared/engine/plan.ts";
import { flopsPerSample } from "../../shared/engine/work.ts";
import { planOf } from "../../shared/engine/run_plan.ts";
import { createWasmBackend } from "../../shared/engine/wasm/wasm_backend.ts";
import { MODELS } from "../../shared/model/catalogue.ts";
import { layoutOf } from "../../shared/model/layout.ts";
import { Random } from "../../shared/random.ts";
import type { RunSettings } from "../../shared/run_settings.ts";
import { broken, type Fault } from "../support/broken_program.ts";
import { mnistExamples } from "../support/mnist_examples.ts";
import { TINY_SETTINGS } from "../support/tiny_run.ts";
import { WASM_MODULES } from "../support/wasm_modules.ts";

const EXAMPLES = 64;
const SETTINGS: RunSettings = {
  ...TINY_SETTINGS,
  model: MODELS.mlp,
  layoutHash: layoutOf(MODELS.mlp).hash,
  data: {
    ...TINY_SETTINGS.data,
    normalisation: { mean: [0.13], deviation: [0.31] },
    shards: [{ url: "data/0.bin", examples: EXAMPLES }],
  },
  batch: 8,
  seed: 11,
  backend: "auto",
  exam: "api/exam/0123456789abcdef",
};
const PLAN = planOf(SETTINGS, EXAMPLES);
const ZEROS: Fault = { operation: "fc1 filter gradient", becomes: () => 0 };

interface Stage {
  readonly devices: Devices;
  readonly choices: readonly BackendChoice[];
  readonly asked: readonly string[];
  /** Plans that a backend was asked to find kernels for. */
  readonly tuned: readonly Plan[];
}

type BackendName = Backend["name"];
type Given = Partial<Fetched> & { readonly body?: Uint8Array<ArrayBuffer> };

/** For the batch at once, and in two parts. */
const WHOLE = `${SETTINGS.exam}/1`;
const HALVES = `${SETTINGS.exam}/2`;
let answers: Uint8Array<ArrayBuffer>;
let answersInHalves: Uint8Array<ArrayBuffer>;

beforeAll(async () => {
  const judge = await createWasmBackend(WASM_MODULES);
  answers = await answerExam(judge, PLAN, SETTINGS.seed);
  answersInHalves = await answerExam(judge, planOf(SETTINGS, EXAMPLES, 2), SETTINGS.seed);
});

function givenAt(path: string): Given {
  if (path === WHOLE) return { body: answers };
  return path === HALVES ? { body: answersInHalves } : { status: 404 };
}

/** Both backends are WASM under the skin; `faults` says what is wrong with which, `halving` for which a whole batch is too large. */
function stage(
  faults: Partial<Record<BackendName, Fault>>,
  respond: (asked: number, path: string) => Given = (_, path) => givenAt(path),
  halving: readonly BackendName[] = [],
): Stage {
  const choices: BackendChoice[] = [];
  const asked: string[] = [];
  const tuned: Plan[] = [];
  const fetch = async (path: string): Promise<Fetched> => {
    asked.push(path);
    if (path === "data/0.bin") return new Response(shard());
    const { body, status = 200, ok = status === 200 } = respond(asked.filter((one) => one === path).length, path);
    return { ok, status, arrayBuffer: async () => body!.slice().buffer };
  };
  const common = {
    settings: SETTINGS,
    fetch,
    clock: NODE_CLOCK,
    random: new Random(1),
    signal: new AbortController().signal,
  };
  const devices = new Devices({
    ...common,
    plan: PLAN,
    asked: "auto",
    examples: new Examples({ ...common, onProblem: () => {}, onLoaded: () => {} }),
    exam: new Exam(common),
    advice: { noBackend: "Try another machine.", noDevice: "Start again." },
    between: () => Promise.resolve(),
    onChoice: (choice) => choices.push(choice),
    openBackend: async (name): Promise<Backend> => {
      const backend = await createWasmBackend(WASM_MODULES);
      const fault = faults[name];
      return {
        ...backend,
        name,
        device: `the ${name} of a test`,
        // Both are the same processor, as they truly are here.
        isFallback: name === "webgpu",
        misfit: ({ microBatches }) =>
          halving.includes(name) && microBatches < 2 ? { reason: "It is too large.", isRefused: true } : undefined,
        tune: async (plan) => {
          tuned.push(plan);
          return { products: [], spentMs: 0, speedup: 1, isComplete: true };
        },
        compile: async (plan) => {
          const program = await backend.compile(plan);
          return fault ? broken(program, SETTINGS.seed, fault) : program;
        },
      };
    },
  });
  return { devices, choices, asked, tuned };
}

function shard(): Uint8Array<ArrayBuffer> {
  const { images, labels } = mnistExamples(EXAMPLES);
  return Uint8Array.from([...images, ...labels]);
}

/** Where the broken one is measured to be faster, it is examined first; either way it never trains. */
async function chosen({ devices }: Stage): Promise<Device> {
  const device = await devices.choose();
  expect(device.loaded).toEqual([{ first: 0, count: EXAMPLES }]);
  return device;
}

describe("Admission", () => {
  test("[E10] A device that passes trains, and the volunteer is told", async () => {
    const play = stage({});
    await chosen(play);
    expect(play.choices).toHaveLength(1);
    const [choice] = play.choices;
    expect(choice!.exam).toMatch(/^The exam is passed: \d+ operations and one whole gradient/);
    const { samplesPerSecond = 0 } = choice!.measured.find(({ backend }) => backend === choice!.backend)!;
    expect(choice!.gflops).toBeCloseTo((samplesPerSecond * flopsPerSample(PLAN)) / 1e9, 9);
    expect(play.asked.filter((path) => path.startsWith(SETTINGS.exam!))).toEqual([WHOLE]);
  });

  test("[E11] A device that does the batch in two parts is admitted with the answers for two", async () => {
    const play = stage({}, undefined, ["webgpu", "wasm"]);
    expect((await chosen(play)).program.plan.microBatches).toBe(2);
    expect(play.choices[0]!.exam).toMatch(/^The exam is passed:/);
    expect(play.asked.filter((path) => path.startsWith(SETTINGS.exam!))).toEqual([HALVES]);
  });

  test("Kernels are sought for the very plan that trains, in its parts", async () => {
    for (const halving of [[], ["webgpu", "wasm"]] as const) {
      const play = stage({}, undefined, halving);
      const { program } = await chosen(play);
      expect(play.tuned.at(-1)).toBe(program.plan);
    }
  });

  test("[E11] Each backend gets the answers for its own number of parts", async () => {
    const play = stage({ wasm: ZEROS }, undefined, ["webgpu"]);
    const device = await chosen(play);
    expect([device.backend, device.program.plan.microBatches]).toEqual(["webgpu", 2]);
    const replacement = await play.devices.replace("The GPU device was lost.");
    expect([replacement.backend, replacement.program.plan.microBatches]).toEqual(["webgpu", 2]);
    expect(play.asked.filter((path) => path === HALVES)).toHaveLength(1);
  });

  test.each(["webgpu", "wasm"] as const)("[E12] Where %s fails, the other backend trains", async (name) => {
    const other = name === "webgpu" ? "wasm" : "webgpu";
    const play = stage({ [name]: ZEROS });
    expect((await chosen(play)).backend).toBe(other);
    expect(play.choices.map(({ backend }) => backend)).toEqual([other]);
  });

  test("[E12] Where both fail, the refusal names the kernels", async () => {
    const { devices, choices } = stage({
      webgpu: ZEROS,
      wasm: { gradient: true, becomes: () => Number.NaN },
    });
    const refusal = devices.choose();
    await expect(refusal).rejects.toMatchObject({ kind: "exam-failed" });
    await expect(refusal).rejects.toThrow(
      /^Nothing here can train\. .*the wasm of a test: .* samples\/s\. It failed the exam at the whole gradient: .*WebGPU on the webgpu of a test: .* samples\/s\. It failed the exam at fc1 filter gradient: fc1\.weights is zero everywhere\. Try another machine\.$/,
    );
    expect(choices).toEqual([]);
  });

  test("[E12] A device in place of a lost one is examined too", async () => {
    const play = stage({ webgpu: ZEROS });
    await chosen(play);
    const device = await play.devices.replace("The GPU device was lost.");
    expect(device.backend).toBe("wasm");
    expect(play.choices.at(-1)).toMatchObject({ backend: "wasm", exam: expect.stringContaining("passed") });
  });

  test("A GPU is built anew three times within a minute, then WASM takes its place; where that cannot, the loss is final", async () => {
    const play = stage({});
    await chosen(play);
    const names: string[] = [];
    for (let loss = 0; loss < 4; loss++) names.push((await play.devices.replace("The GPU was lost.")).backend);
    expect(names).toEqual(["webgpu", "webgpu", "webgpu", "wasm"]);
    expect(play.devices.wordsOfReplacement).toBe(
      "The GPU was lost. Training goes on with the wasm of a test, from the last center.",
    );
    const alone = stage({ wasm: ZEROS });
    await chosen(alone);
    for (let loss = 0; loss < 3; loss++) await alone.devices.replace("The GPU was lost.");
    const last = alone.devices.replace("The GPU was lost.");
    await expect(last).rejects.toMatchObject({ kind: "device-lost" });
    await expect(last).rejects.toThrow(/^The GPU was lost\. No other device can train: .* Start again\.$/);
  });

  test("[E11] Answers that are still being computed are asked for again; others that do not come end in a sentence", async () => {
    const computing = stage({}, (asked) => (asked < 3 ? { status: 503 } : { body: answers }));
    await chosen(computing);
    expect(computing.asked.filter((path) => path === WHOLE)).toHaveLength(3);
    const missing = stage({}, () => ({ status: 404 }));
    const refusal = missing.devices.choose();
    await expect(refusal).rejects.toMatchObject({ kind: "out-of-reach" });
    await expect(refusal).rejects.toThrow(
      /^The answers to the entrance exam did not come \(HTTP 404\)\. Start again; .*restart the coordinator\.$/,
    );
  });

  test("[E11] Damaged answers are nobody's failure, and a sentence says so", async () => {
    const damaged = answers.slice();
    damaged[500]! ^= 1;
    const { devices, choices } = stage({}, () => ({ body: damaged }));
    await expect(devices.choose()).rejects.toThrow(
      /^The answers to the entrance exam came damaged: their checksum is wrong\. Start again; .*restart the coordinator\.$/,
    );
    expect(choices).toEqual([]);
  });
});
