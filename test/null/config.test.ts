import { expect, test } from "vitest";
import {
  ConfigError,
  readConfig,
  settingsFor,
  solverSettingsOf,
  type ConfigSources,
} from "../../coordinator/run_config.ts";
import { FIELDS } from "../../coordinator/run_fields.ts";
import { MODELS } from "../../shared/model/catalogue.ts";
import { layoutOf } from "../../shared/model/layout.ts";
import { readRunSettings } from "../../shared/run_settings.ts";
import { SOLVER_NAMES } from "../../shared/solver/catalogue.ts";

type Flags = NonNullable<ConfigSources["flags"]>;

const inFile = (value: unknown, flags: Flags = {}): ConfigSources => ({
  file: { path: "drove.run.json", value },
  flags,
});

const DATA = {
  name: "mnist",
  title: "Digits.",
  trainExamples: 10,
  testExamples: 1,
  normalisation: { mean: [0.1], deviation: [0.3] },
  shards: [{ url: "data/mnist/0.bin", examples: 10 }],
};

function sentenceOf(sources: ConfigSources): string {
  try {
    readConfig(sources);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error("the config was accepted");
}

test("Without a word the config is EA-wild on MNIST with LeNet, on this machine only", () => {
  expect(readConfig()).toEqual({
    name: null,
    model: "lenet",
    data: "mnist",
    solver: "ea-wild",
    exchange: "one-round-trip",
    batch: 64,
    communicationPeriod: 10,
    learningRate: FIELDS.learningRate.initial,
    momentum: 0.9,
    weightDecay: 0,
    optimizer: "momentum",
    clipNorm: null,
    schedule: { kind: "constant" },
    warmUp: 50,
    augmentation: { cropPadding: 0, flip: false },
    elasticRate: 0.9,
    movingRate: null,
    staleness: { kind: "none" },
    delayCompensation: 0,
    outerLearningRate: 0.7,
    outerMomentum: 0.9,
    nesterovDelay: null,
    groups: null,
    shares: "speed",
    periods: "equal",
    scaledFrom: null,
    applier: "auto",
    autotune: false,
    codecUp: "int4",
    codecDown: "int4",
    fragments: 1,
    transport: "websocket",
    lossy: false,
    iceServers: [],
    peers: false,
    backend: "auto",
    seed: 1,
    targetAccuracy: null,
    maxMinutes: null,
    volunteers: 0,
    applierThreads: 2,
    host: "127.0.0.1",
    port: 8080,
    tls: null,
    checkpointIntervalMs: 1000,
    runsFolder: "runs",
  });
});

test.each([
  [{ solver: "ea-wild" }, "int4", "int4"],
  [{ solver: "sync-easgd" }, "int4", "int4"],
  [{ solver: "async-easgd", groups: 2 }, "int4", "f32"],
  [{ solver: "sync-easgd", groups: 1 }, "int4", "int4"],
  [{ solver: "ea-wild", exchange: "two-round-trip" }, "f32", "f32"],
  [{ solver: "async-msgd" }, "int8", "f32"],
  [{ solver: "downpour" }, "int8", "f32"],
  [{ solver: "diloco" }, "int4", "int4"],
  [{ solver: "async-diloco" }, "int8", "f32"],
  [{ codecDown: "sign" }, "int4", "sign"],
] as const)("Codecs that nobody names suit the solver: %j has %s up and %s down", (flags, up, down) => {
  expect(readConfig({ flags })).toMatchObject({ codecUp: up, codecDown: down });
});

test("A flag wins over the run file, the run file over the command's default, that over the field's", () => {
  const config = readConfig({
    ...inFile({ batch: 32, seed: 5 }, { batch: "16" }),
    defaults: { seed: 7, volunteers: 2 },
  });
  expect(config).toMatchObject({ batch: 16, seed: 5, volunteers: 2, communicationPeriod: 10 });
});

test("A flag that was not given leaves the run file's value", () => {
  expect(readConfig(inFile({ batch: 32 }, { batch: undefined })).batch).toBe(32);
});

test("Staleness policies are read from words and from objects", () => {
  expect(readConfig({ flags: { staleness: "none" } }).staleness).toEqual({ kind: "none" });
  expect(readConfig({ flags: { staleness: "scale:4" } }).staleness).toEqual({ kind: "scale", halfRateStaleness: 4 });
  expect(readConfig({ flags: { staleness: "bound:8" } }).staleness).toEqual({ kind: "bound", limit: 8 });
  expect(readConfig(inFile({ staleness: { kind: "bound", limit: 8 } })).staleness).toEqual({ kind: "bound", limit: 8 });
});

test("Schedules and augmentation are read from words and from objects, and volunteers are told", () => {
  const config = readConfig({
    flags: {
      schedule: "cosine:2000:0.1",
      warmUp: "50",
      augmentation: "crop4,flip",
      optimizer: "adamw",
      clipNorm: "1.5",
    },
  });
  expect(config.schedule).toEqual({ kind: "cosine", steps: 2000, floor: 0.1 });
  expect(config.augmentation).toEqual({ cropPadding: 4, flip: true });
  expect(readConfig({ flags: { schedule: "cosine:9" } }).schedule).toEqual({ kind: "cosine", steps: 9, floor: 0 });
  expect(readConfig({ flags: { schedule: "step:10:0.5" } }).schedule).toEqual({ kind: "step", every: 10, factor: 0.5 });
  expect(readConfig(inFile({ schedule: { kind: "inv", gamma: 1e-4, power: 0.75 } })).schedule.kind).toBe("inv");
  expect(readConfig({ flags: { augmentation: "flip" } }).augmentation).toEqual({ cropPadding: 0, flip: true });
  const told = settingsFor(config, { run: "r", data: DATA, layout: layoutOf(MODELS.lenet) });
  expect(told).toMatchObject({
    optimizer: { kind: "adamw", clipNorm: 1.5 },
    augmentation: config.augmentation,
  });
  expect(config.warmUp).toBe(50);
  expect(readRunSettings(told)).toEqual(told);
});

test.for<[Flags, RegExp]>([
  [{ batch: "many" }, /^--batch is "many"; accepted is a whole number from 1 to 4096, such as 64\.$/],
  [{ batch: "6.5" }, /^--batch is 6\.5; accepted is a whole/],
  [{ batch: "" }, /^--batch is ""; accepted/],
  [{ learningRate: "-1" }, /^--learning-rate is -1; accepted is a number above 0/],
  [{ learningRate: "Infinity" }, /^--learning-rate is Infinity; accepted/],
  [{ momentum: "1" }, /^--momentum is 1; accepted is a number from -0\.999/],
  [{ targetAccuracy: "98" }, /^--target-accuracy is 98; accepted is a share above 0 and up to 1, such as 0\.98/],
  [
    { model: "resnet" },
    /^--model is "resnet"; accepted is one of logistic, mlp, lenet, cifar-quick, resnet-20, caffenet, densenet-40-12, resnet-50, or the path of a model file such as \.\/my_model\.json\. Did you mean "resnet-20"\?$/,
  ],
  [{ data: "../etc" }, /^--data is "\.\.\/etc"; accepted is "mnist", "fashion-mnist", "cifar10" or/],
  [{ name: ".hidden" }, /^--name is "\.hidden"; accepted is 1 to 64/],
  [{ solver: "adam" }, /^--solver is "adam"; accepted is one of sync-sgd, /],
  [{ staleness: "scale" }, /^--staleness is "scale"; accepted is "none", "scale:S0"/],
  [{ staleness: "bound:-1" }, /^--staleness is \{"kind":"bound","limit":-1\} \(at "limit"\); accepted/],
  [{ staleness: "scale:0" }, /^--staleness .* \(at "halfRateStaleness"\); accepted/],
  [{ backend: "cuda" }, /^--backend is "cuda"; accepted is "auto", "webgpu", "wasm" or "hybrid"\.$/],
  [
    { optimizer: "adam" },
    /^--optimizer is "adam"; accepted is "momentum" .*"nesterov", "lars" or "adamw"\. Did you mean "adamw"\?$/,
  ],
  [{ clipNorm: "0" }, /^--clip-norm is 0; accepted is a number above 0/],
  [{ schedule: "cosine" }, /^--schedule is "cosine"; accepted is "constant", "step:EVERY:FACTOR"/],
  [{ schedule: "step:0:0.1" }, /^--schedule is .* \(at "every"\); accepted/],
  [{ schedule: "inv:fast:1" }, /^--schedule is .*"fast".* \(at "gamma"\); accepted/],
  [{ warmUp: "-5" }, /^--warm-up is -5; accepted is a whole number of steps/],
  [{ augmentation: "crop4,mirror" }, /^--augmentation is "crop4,mirror"; accepted is "none", "crop4"/],
  [{ augmentation: "crop65" }, /^--augmentation is .* \(at "cropPadding"\); accepted/],
  [{ optimizer: "nesterov", momentum: "0" }, /^--optimizer is "nesterov", but the momentum is 0; set --momentum/],
  [{ optimizer: "adamw", momentum: "-0.5" }, /^--momentum is -0\.5, but adamw takes the mean/],
  [
    { optimizer: "adamw", solver: "sync-sgd" },
    /^--optimizer is "adamw", but with the solver sync-sgd the center takes/,
  ],
  [{ clipNorm: "1", solver: "sync-sgd" }, /^--clip-norm is 1, but with the solver sync-sgd/],
  [{ solver: "eamsgd", optimizer: "lars" }, /^--optimizer is "lars", but the solver eamsgd is defined with Nesterov's/],
  [{ solver: "eamsgd", momentum: "0" }, /^--optimizer is "nesterov", but the momentum is 0/],
  [{ solver: "original-easgd", groups: "2" }, /^--groups is 2, but the solver original-easgd takes one replica after/],
  [{ groups: "2", exchange: "two-round-trip" }, /^--groups is 2, but in a two-round-trip exchange every replica/],
  [{ solver: "diloco", groups: "2" }, /^--groups is 2, but the solver diloco waits for everybody, which is 1 group/],
  [{ delayCompensation: "0.1" }, /^--delay-compensation is 0\.1, but the solver ea-wild pushes no gradients/],
  [{ outerMomentum: "0.5" }, /^--outer-momentum is 0\.5, but with the solver ea-wild the center has no optimizer/],
  [{ outerLearningRate: "1", solver: "async-sgd" }, /^--outer-learning-rate is 1, but with the solver async-sgd/],
  [{ nesterovDelay: "4", solver: "diloco" }, /^--nesterov-delay is 4, but only async-diloco delays/],
  [
    { autotune: true, solver: "async-sgd" },
    /^--autotune is true, but Omnivore's optimizer .* use --solver async-msgd\.$/,
  ],
  [{ periods: "speed", solver: "hogwild-sgd" }, /^--periods is "speed", but the solver hogwild-sgd pushes every/],
  [{ shares: "equal" }, /^--shares is "equal", but only compute groups share their work; add --groups/],
  [{ exchange: "two-round-trip", solver: "sync-easgd" }, /^--exchange is "two-round-trip", but the solver sync-easgd/],
  [{ scaledFrom: "64", solver: "sync-sgd" }, /^--scaled-from is 64, but the step of sync-sgd has a batch of every/],
  [{ momentum: "0.9", solver: "hogwild-sgd" }, /^--momentum is 0\.9, but the solver hogwild-sgd .* use async-msgd\.$/],
  [{ port: "99999" }, /^--port is 99999; accepted is a whole number from 0/],
  [{ maxMinutes: "0" }, /^--max-minutes is 0; accepted/],
])("Wrong flag %j is named with what is accepted", ([flags, sentence]) => {
  expect(sentenceOf({ flags })).toMatch(sentence);
});

test.for<[unknown, RegExp]>([
  [
    { lerningRate: 0.1 },
    /^drove\.run\.json has the field "lerningRate", which no run has; accepted are name, model, .*\. Did you mean "learningRate"\?$/,
  ],
  [{ batch: "64" }, /^drove\.run\.json: "batch" is "64"; accepted is a whole number/],
  [
    { tls: { certificate: "a.pem" } },
    /^drove\.run\.json: "tls" is \{"certificate":"a\.pem"\}.*; accepted is "self-signed"/,
  ],
  [[], /^drove\.run\.json holds \[\]; accepted is a JSON object/],
  [null, /^drove\.run\.json holds null; accepted is a JSON object/],
  [{ solver: null }, /^drove\.run\.json: "solver" is null; accepted is one of/],
  [JSON.parse('{"__proto__": 1}'), /^drove\.run\.json has the field "__proto__", which no run has/],
  [{ constructor: 1 }, /^drove\.run\.json has the field "constructor", which no run has/],
])("Wrong run file %j is named with its field and what is accepted", ([value, sentence]) => {
  expect(sentenceOf(inFile(value))).toMatch(sentence);
});

test("Every solver of the catalogue is accepted with its own defaults, also when a run goes on with the config it wrote", () => {
  for (const solver of SOLVER_NAMES) {
    const config = readConfig({ flags: { solver } });
    expect(config.solver).toBe(solver);
    expect(readConfig(inFile(JSON.parse(JSON.stringify(config))))).toEqual(config);
  }
});

test("What a gradient solver's center can do is accepted: lars, weight decay, delay compensation, groups, autotune", () => {
  const flags = { solver: "async-msgd", optimizer: "lars", weightDecay: "0.001", delayCompensation: "0.04" };
  expect(readConfig({ flags: { ...flags, groups: "4", autotune: true } })).toMatchObject({ groups: 4, autotune: true });
});

function rateOf(flags: Flags): number {
  return solverSettingsOf(readConfig({ flags: { learningRate: "0.01", batch: "256", ...flags } })).learningRate;
}

test("A learning rate that was found for another batch is scaled in proportion to the samples of one step", () => {
  expect(rateOf({})).toBe(0.01);
  expect(rateOf({ scaledFrom: "64" })).toBeCloseTo(0.04, 12);
  expect(rateOf({ scaledFrom: "64", solver: "async-sgd", groups: "2" })).toBeCloseTo(0.04, 12);
  // A step of sync-sgd has a batch of every replica, or one batch that all share.
  expect(rateOf({ scaledFrom: "64", solver: "sync-sgd", volunteers: "4" })).toBeCloseTo(0.16, 12);
  expect(rateOf({ scaledFrom: "64", solver: "sync-sgd", volunteers: "4", groups: "1" })).toBeCloseTo(0.04, 12);
});

function partsOf(flags: Flags): number {
  return settingsFor(readConfig({ flags }), { run: "a", data: DATA, layout: layoutOf(MODELS.lenet) }).batchParts;
}

test("A batch is done in parts only where shares of it are given", () => {
  expect(partsOf({ solver: "async-sgd" })).toBe(1);
  expect(partsOf({ groups: "2" })).toBe(1);
  expect(partsOf({ solver: "async-sgd", groups: "2" })).toBe(8);
  expect(partsOf({ solver: "async-sgd", groups: "2", batch: "50" })).toBe(5);
  expect(partsOf({ solver: "async-sgd", groups: "2", batch: "3" })).toBe(3);
  expect(partsOf({ solver: "async-msgd", autotune: true })).toBe(8);
});

test("What a solver fixes is its default, and a contradiction is refused", () => {
  expect(readConfig({ flags: { solver: "sync-sgd" } })).toMatchObject({ communicationPeriod: 1, momentum: 0.9 });
  expect(readConfig({ flags: { solver: "async-easgd" } })).toMatchObject({ communicationPeriod: 10, momentum: 0 });
  expect(readConfig({ flags: { solver: "eamsgd" } })).toMatchObject({ optimizer: "nesterov", momentum: 0.9 });
  // Asynchrony and an outer optimizer bring momentum of their own.
  expect(readConfig({ flags: { solver: "async-msgd" } })).toMatchObject({ momentum: 0.4, learningRate: 0.01 });
  expect(readConfig({ flags: { solver: "diloco" } }).momentum).toBe(0);
  expect(sentenceOf({ flags: { solver: "sync-sgd", communicationPeriod: "10" } })).toMatch(
    /^--communication-period is 10, but the solver sync-sgd pushes every gradient; accepted is 1\.$/,
  );
  expect(sentenceOf(inFile({ solver: "async-easgd", momentum: 0.9 }))).toMatch(
    /"momentum" is 0\.9, but the solver async-easgd has no momentum/,
  );
  expect(sentenceOf({ flags: { solver: "sync-sgd", exchange: "two-round-trip" } })).toMatch(
    /^--exchange is "two-round-trip", but only elastic solvers have that, and sync-sgd is none/,
  );
});

test("[H2] Volunteers get settings that pass their own check, with momentum only where the replica has it", () => {
  const layout = layoutOf(MODELS.lenet);
  const data = DATA;
  const momentumOf = (solver: string): number =>
    settingsFor(readConfig({ flags: { solver } }), { run: "a", data, layout }).momentum;
  expect([
    momentumOf("ea-wild"),
    momentumOf("async-measgd"),
    momentumOf("async-easgd"),
    momentumOf("sync-sgd"),
    momentumOf("eamsgd"),
    momentumOf("diloco"),
  ]).toEqual([0.9, 0.9, 0, 0, 0.9, 0]);
  const settings = settingsFor(readConfig({ flags: { volunteers: "2", exchange: "two-round-trip" } }), {
    run: "a",
    data,
    layout,
  });
  expect(readRunSettings(JSON.parse(JSON.stringify(settings)))).toEqual(settings);
  expect(settings).toMatchObject({ batchParts: 1, exchange: "two-round-trip", layoutHash: layout.hash });
});
