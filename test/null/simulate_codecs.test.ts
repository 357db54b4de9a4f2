/** Codecs, published versions and fragments in simulated runs: the same numbers as the engine's program and the center, and bytes that add up. */

import { describe, expect, test } from "vitest";
import { Center, type CenterSlot, type PublishedVersion, type PushResult } from "../../coordinator/center/center.ts";
import { loadMnist } from "../../coordinator/data/mnist.ts";
import { readWasmSources } from "../../coordinator/evaluation/wasm_sources.ts";
import { completeScenario, type Scenario } from "../../coordinator/simulate/scenario.ts";
import { Simulator } from "../../coordinator/simulate/simulator.ts";
import type { CenterNews, Program } from "../../shared/engine/backend.ts";
import { compilePlan } from "../../shared/engine/plan.ts";
import { createWasmBackend } from "../../shared/engine/wasm/wasm_backend.ts";
import { MODELS } from "../../shared/model/catalogue.ts";
import { initialParameters, layoutOf } from "../../shared/model/layout.ts";
import { randomFor, Sampler } from "../../shared/sampler.ts";
import { centerMoveOf, scheduledRate } from "../../shared/solver/center_rule.ts";
import { replicaRuleOf } from "../../shared/solver/replica_rule.ts";
import { stepsPerExchange } from "../../shared/solver/schedule.ts";
import { encodedBytes, fragmentOf, type CodecName, type Fragment } from "../../shared/wire/codec/codec.ts";

type Complete = ReturnType<typeof completeScenario>;

const EXAMPLES = 2000;
const EXCHANGES = 6;
const TAU = 4;
const ELEMENTS = layoutOf(MODELS.mlp).elements;

const CASES: Scenario[] = [
  { solver: "ea-wild", momentum: 0.9, codecUp: "int4", codecDown: "sign" },
  { solver: "ea-wild", codecUp: "top-k", codecDown: "f32" },
  { solver: "async-easgd", codecUp: "f32", codecDown: "int8" },
  { solver: "async-easgd", codecUp: "bf16", codecDown: "f16", fragments: 3 },
  { solver: "downpour", codecUp: "int8", codecDown: "int4" },
  { solver: "async-diloco", momentum: 0.9, nesterovDelay: 2, codecUp: "int4", codecDown: "int8" },
  { solver: "async-msgd", momentum: 0.8, codecUp: "int4", codecDown: "int8" },
  { solver: "async-sgd", codecUp: "sign", codecDown: "f32" },
];

describe("A simulated run of one replica", () => {
  const simulator = new Simulator();

  test.each(CASES)("[C3] [X17] [X18] of %j is that of a real program with a real center", async (given) => {
    const takesGradients = replicaRuleOf(given.solver ?? "ea-wild", "one-round-trip").takesGradients;
    const scenario = completeScenario({
      ...given,
      batch: 16,
      replicas: 1,
      trainExamples: EXAMPLES,
      stepSeconds: 1,
      applySeconds: 0,
      // An answer is there when the second step after a push is done.
      latencySeconds: 0.6,
      evaluateEverySamples: 1e9,
      communicationPeriod: takesGradients ? 1 : TAU,
    });
    const run = await simulator.open(scenario);
    const simulated: Float32Array[] = [];
    for (let version = 0; version < EXCHANGES; version++) {
      while (run.version <= version) run.advance(0.05);
      simulated.push(run.snapshot().parameters);
    }
    const real = await realCenters(scenario);
    const initial = initialParameters(layoutOf(MODELS.mlp), scenario.seed);
    for (let version = 0; version < EXCHANGES; version++) {
      const moved = distance(real[version], initial);
      expect(moved).toBeGreaterThan(0.003);
      expect(distance(real[version], simulated[version]) / moved).toBeLessThan(1e-4);
    }
  });
});

const PLAIN = {
  batch: 16,
  trainExamples: EXAMPLES,
  samples: 3000,
  testImages: 500,
  evaluateEverySamples: 3000,
  communicationPeriod: 5,
  stepSeconds: 0.05,
  latencySeconds: 0.01,
} as const satisfies Scenario;

describe("Codecs in a simulation", () => {
  const simulator = new Simulator();

  test("[C1] count the bytes of what they make, both ways", async () => {
    const plain = await simulator.simulate({ ...PLAIN, gradients: false });
    const coded = await simulator.simulate({ ...PLAIN, gradients: false, codecUp: "int4", codecDown: "sign" });
    expect(plain.bytesUp).toBe(4 * ELEMENTS * plain.vectorsUp);
    expect(plain.bytesDown).toBe(4 * ELEMENTS * plain.vectorsDown);
    expect(plain.stream).toBeNull();
    expect(coded.exchanges).toBe(plain.exchanges);
    expect(coded.bytesUp).toBe(encodedBytes("int4", ELEMENTS) * coded.vectorsUp);
    // Replicas of one speed are told of every version, one at a time.
    expect(coded.bytesDown).toBe(encodedBytes("sign", ELEMENTS) * coded.vectorsDown);
    expect(coded.stream).toMatchObject({ wholes: 0, answers: coded.vectorsDown, deltas: coded.vectorsDown });
  });

  test("[X18] a slow replica is told of several versions at once, and of values where these are fewer bytes", async () => {
    const scenario = { ...PLAIN, gradients: false, replicas: 2, samples: 20_000, codecDown: "int4" } as const;
    const slow = await simulator.simulate({ ...scenario, slowness: [1, 4] });
    const { stream, vectorsDown } = slow;
    expect(stream?.wholes).toBe(0);
    expect(stream?.deltas).toBeGreaterThan(1.5 * vectorsDown);
    expect(slow.bytesDown).toBe(encodedBytes("int4", ELEMENTS) * (stream?.deltas ?? 0));
    const slowest = await simulator.simulate({ ...scenario, slowness: [1, 40] });
    // Forty changes of int4 would be longer than f32.
    expect(slowest.stream?.wholes).toBeGreaterThan(0);
    const { answers, wholes, deltas } = slowest.stream ?? { answers: 0, wholes: 0, deltas: 0 };
    expect(answers + wholes).toBe(slowest.vectorsDown);
    expect(slowest.bytesDown).toBe(encodedBytes("int4", ELEMENTS) * deltas + 4 * ELEMENTS * wholes);
  });

  test("a narrow link carries them sooner", async () => {
    const narrow = { ...PLAIN, gradients: false, upBytesPerSecond: 1e6, downBytesPerSecond: 1e6 } as const;
    const plain = await simulator.simulate(narrow);
    const coded = await simulator.simulate({ ...narrow, codecUp: "int4", codecDown: "int4" });
    expect(coded.virtualSeconds).toBeLessThan(plain.virtualSeconds / 2);
    // A push and an answer of the whole vector, to which the replica's steps are nothing.
    const halved = await simulator.simulate({
      ...narrow,
      codecUp: "int4",
      codecDown: "int4",
      payloadBytes: 2 * ELEMENTS,
    });
    expect(halved.bytesUp / halved.vectorsUp).toBeCloseTo(coded.bytesUp / coded.vectorsUp / 2, 6);
  });

  test("[X17] each fragment travels in turn, and the center moves in it alone", async () => {
    const run = await simulator.open({ ...PLAIN, replicas: 1, fragments: 5, codecUp: "int8", communicationPeriod: 10 });
    let before = run.snapshot().parameters;
    for (let version = 1; version <= 10; version++) {
      while (run.version < version) run.advance(0.01);
      const now = run.snapshot().parameters;
      const { fromElement, toElement } = fragmentOf(ELEMENTS, 5, (version - 1) % 5);
      const moved = [...now.keys()].filter((index) => now[index] !== before[index]);
      expect(moved.length).toBeGreaterThan((toElement - fromElement) / 4);
      expect(moved.every((index) => index >= fromElement && index < toElement)).toBe(true);
      before = now;
    }
    // Two steps an exchange: each fragment once in ten steps.
    expect(run.report().localSteps).toBeLessThan(10 * 2 + 4);
  });

  test("the same seed gives the same run, with replicas that come and go", async () => {
    const scenario = {
      ...PLAIN,
      codecUp: "sign",
      codecDown: "int4",
      fragments: 2,
      churn: { kind: "rates", meanLifetimeSeconds: 2, meanAbsenceSeconds: 0.5 },
    } as const satisfies Scenario;
    const { wallSeconds: once, ...first } = await simulator.simulate(scenario);
    await simulator.simulate({ ...PLAIN, seed: 7 });
    const { wallSeconds: again, ...second } = await simulator.simulate(scenario);
    expect(once).toBeGreaterThan(0);
    expect(again).toBeGreaterThan(0);
    expect(second).toEqual(first);
    expect(first.stream?.wholes).toBeGreaterThanOrEqual(0);
    expect(first.accuracy).toBeGreaterThan(0.6);
  });

  test("a run that goes back to a snapshot begins its stream anew", async () => {
    const run = await simulator.open({ ...PLAIN, samples: 1e6, codecUp: "int4", codecDown: "int4" });
    run.advance(2);
    const snapshot = run.snapshot();
    run.advance(2);
    run.restart(snapshot);
    const version = run.version;
    run.advance(4);
    expect(run.version).toBeGreaterThan(version + 20);
    expect(run.report().refused).toEqual({ tooStale: 0, notFinite: 0, outOfBounds: 0 });
    expect(run.isOver).toBe(false);
  });

  test.each(["sync-easgd", "diloco", "sync-sgd"] as const)(
    "[X18] all members of a barrier of %s are told the same version, and nobody comes too late",
    async (solver) => {
      const period = solver === "sync-sgd" ? 1 : 5;
      const scenario = { ...PLAIN, solver, communicationPeriod: period, codecUp: "int8", codecDown: "int8" } as const;
      const report = await simulator.simulate(scenario);
      expect(report.refused.tooStale).toBe(0);
      expect(report.staleness.max).toBe(0);
      expect(report.stream?.deltas).toBe(report.vectorsDown);
      expect(report.accuracy).toBeGreaterThan(0.6);
    },
  );

  test.each([
    [{ codecUp: "int4", solver: "async-easgd", exchange: "two-round-trip" }, /codecUp.*one round trip/],
    [{ codecDown: "int4", solver: "async-easgd", groups: 2 }, /codecDown.*its own mean/],
    [{ fragments: 2, solver: "async-sgd" }, /fragments.*a part at a time/],
    [{ fragments: 2, solver: "sync-easgd" }, /fragments.*a part at a time/],
    [{ codecUp: "int3" }, /codecUp.*int4/],
  ])("%j is refused as in a run", (scenario, sentence) => {
    expect(() => completeScenario(scenario as Scenario)).toThrow(sentence);
  });
});

/** The center after each exchange, by the engine's program and the center's threads, without the simulator. */
async function realCenters(scenario: Complete): Promise<Float32Array[]> {
  const mnist = await loadMnist();
  const backend = await createWasmBackend(await readWasmSources());
  const rule = replicaRuleOf(scenario.solver, scenario.exchange);
  const { batch, optimizer, codecDown } = scenario;
  const options = { batch, datasetExamples: EXAMPLES, normalisation: mnist.normalisation };
  const program = await backend.compile(
    compilePlan(MODELS.mlp, { ...options, optimizer: { kind: rule.optimizer ?? optimizer } }),
  );
  const { layout } = program.plan;
  program.loadExamples(0, mnist.train.images.subarray(0, EXAMPLES * 784), mnist.train.labels.subarray(0, EXAMPLES));
  const initial = initialParameters(layout, scenario.seed);
  program.writeParameters(initial);
  const center = await Center.create({
    layout,
    initial,
    applier: "locked",
    threads: 1,
    maxMagnitude: 1e4,
    ...(codecDown === "f32" ? {} : { stream: { codec: codecDown, keep: 8 } }),
  });
  try {
    return await exchangeForReal(scenario, program, center);
  } finally {
    await center.close();
    program.close();
  }
}

async function exchangeForReal(scenario: Complete, program: Program, center: Center): Promise<Float32Array[]> {
  const rule = replicaRuleOf(scenario.solver, scenario.exchange);
  const { codecUp, codecDown, fragments, batch, weightDecay, momentum } = scenario;
  const sampler = new Sampler(randomFor(scenario.seed, "0.1"));
  sampler.add({ first: 0, count: EXAMPLES });
  const period = stepsPerExchange(scenario.communicationPeriod, fragments);
  let versionOfRate = 0;
  const step = (): void =>
    program.step(sampler.draw(batch), {
      learningRate: scheduledRate(scenario, versionOfRate),
      momentum: rule.hasMomentum ? momentum : 0,
      weightDecay,
    });
  const own = center.openSlot();
  await center.refresh(own);
  const first = codecDown === "f32" ? undefined : await center.versions.publish();
  const held = Array.from({ length: fragments }, () => ({
    version: 0,
    published: first,
  }));
  const centers: Float32Array[] = [];
  let done = 0;
  for (let exchange = 0; exchange < EXCHANGES; exchange++) {
    const base = held[exchange % fragments];
    if (!base) throw new Error("a fragment without a base");
    const fragment = fragmentOf(center.elements, fragments, exchange % fragments);
    if (rule.takesGradients) program.gradientStep(sampler.draw(batch));
    else for (; done < period; done++) step();
    const what = rule.takesGradients ? "gradient" : "difference";
    const { payload } = await program.takeEncoded({ what, codec: codecUp, fragment });
    const slot = base.published?.open() ?? own;
    const move = centerMoveOf(scenario, { version: center.version, replicas: 1 }, false);
    const job = { content: rule.content, baseVersion: base.version, move, policy: scenario.staleness };
    const result = await center.push(slot, payload.slice(), { ...job, codec: codecUp, fragment });
    if (result.verdict !== "applied") throw new Error(`a push ended ${result.verdict}`);
    centers.push(center.snapshot().parameters);
    for (done = 0; done < 2 && rule.trainsMeanwhile; done++) step();
    const { news, version } = await answered(center, base, { fragment, slot, result, codec: codecDown });
    if (rule.takesGradients) program.rebaseOnto(news, false);
    else program.settleOnto(news, result.pull);
    base.version = version;
    versionOfRate = version;
  }
  return centers;
}

interface Exchanged {
  readonly fragment: Fragment;
  readonly slot: CenterSlot;
  readonly codec: CodecName;
  readonly result: Extract<PushResult, { verdict: "applied" }>;
}

/** What the replica is told: of its own place the values, of a stream the changes. */
async function answered(
  center: Center,
  base: { published: PublishedVersion | undefined },
  { fragment, slot, codec, result }: Exchanged,
): Promise<{ news: CenterNews; version: number }> {
  const { published } = base;
  if (!published) {
    const values = valuesOf(slot.bytes()).slice(fragment.fromElement, fragment.toElement);
    return { news: { kind: "values", fragment, values }, version: result.centerVersion + 1 };
  }
  slot.close();
  const { newest } = center.versions;
  const next = newest && newest !== published ? newest : await center.versions.publish();
  const deltas = center.versions.deltas(published.version, next.version, fragment);
  if (!deltas) throw new Error("a version too old for its changes");
  base.published = next;
  return { news: { kind: "deltas", fragment, codec, deltas }, version: next.version };
}

function valuesOf(bytes: Uint8Array): Float32Array {
  return new Float32Array(new Uint8Array(bytes).buffer);
}

function distance(a: Float32Array | undefined, b: Float32Array | undefined): number {
  if (!a || !b) return Number.NaN;
  return Math.sqrt(a.reduce((sum, value, index) => sum + (value - (b[index] ?? Number.NaN)) ** 2, 0));
}
