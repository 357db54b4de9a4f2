/** That a simulated run is a real one: one definition of every solver, and the same numbers step by step. */

import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { Center } from "../../coordinator/center/center.ts";
import { loadMnist } from "../../coordinator/data/mnist.ts";
import { readWasmSources } from "../../coordinator/evaluation/wasm_sources.ts";
import { completeScenario, type Scenario } from "../../coordinator/simulate/scenario.ts";
import { Simulator } from "../../coordinator/simulate/simulator.ts";
import type { Program } from "../../shared/engine/backend.ts";
import { compilePlan } from "../../shared/engine/plan.ts";
import { createWasmBackend } from "../../shared/engine/wasm/wasm_backend.ts";
import { MODELS } from "../../shared/model/catalogue.ts";
import { initialParameters } from "../../shared/model/layout.ts";
import { randomFor, Sampler } from "../../shared/sampler.ts";
import { centerMoveOf, scheduledRate } from "../../shared/solver/center_rule.ts";
import { replicaRuleOf } from "../../shared/solver/replica_rule.ts";

const ROOT = new URL("../../", import.meta.url);

/** Every module that a TypeScript file of `folder` imports a value from, as a path from the root. */
function importsOf(folder: string): Set<string> {
  const found = new Set<string>();
  for (const name of readdirSync(new URL(folder, ROOT)).filter((file) => file.endsWith(".ts"))) {
    const file = new URL(`${folder}${name}`, ROOT);
    for (const [, path] of readFileSync(file, "utf8").matchAll(/^import (?!type)[^;]*? from "(\.[^"]+)";/gms)) {
      if (path !== undefined) found.add(fileURLToPath(new URL(path, file)).slice(fileURLToPath(ROOT).length));
    }
  }
  return found;
}

describe("Replicas, coordinator and simulator", () => {
  const RULES = ["shared/solver/replica_rule.ts", "shared/solver/center_rule.ts"] as const;

  test("have one definition of every solver", () => {
    expect([...importsOf("client/replica/")]).toContain(RULES[0]);
    expect([...importsOf("coordinator/")]).toContain(RULES[0]);
    expect([...importsOf("coordinator/order/")]).toContain(RULES[1]);
    expect([...importsOf("coordinator/center/")]).toContain(RULES[1]);
    expect([...importsOf("coordinator/simulate/")]).toEqual(expect.arrayContaining([...RULES]));
    // And nobody has the equations of its own: the table is for names and orders.
    const simulate = [...importsOf("coordinator/simulate/")];
    expect(simulate).toContain("coordinator/center/applier.ts");
    expect(simulate).toContain("shared/sampler.ts");
  });
});

const CASES: Scenario[] = [
  { solver: "ea-wild", momentum: 0.9 },
  { solver: "async-easgd", exchange: "two-round-trip", movingRate: 0.3 },
  { solver: "eamsgd", momentum: 0.9 },
  { solver: "downpour" },
  { solver: "async-diloco", momentum: 0.9, nesterovDelay: 2 },
  { solver: "async-sgd" },
  { solver: "async-msgd", momentum: 0.8, weightDecay: 0.001 },
  { solver: "sync-easgd" },
  { solver: "ea-wild", optimizer: "adamw", momentum: 0.9, learningRate: 0.001 },
  { solver: "async-measgd", optimizer: "lars", learningRate: 1, momentum: 0.5 },
  { solver: "async-easgd", schedule: { kind: "inv", gamma: 0.05, power: 0.75 }, warmUp: 9 },
];
const EXCHANGES = 5;
const TAU = 3;

describe("A simulated run of one replica", () => {
  const simulator = new Simulator();

  test.each(CASES)("of %j moves the center as a real replica with a real center does", async (given) => {
    const scenario = completeScenario({
      ...given,
      batch: 16,
      replicas: 1,
      trainExamples: 2000,
      stepSeconds: 1,
      applySeconds: 0,
      // An answer is there when the second step after a push is done.
      latencySeconds: 0.6,
      evaluateEverySamples: 1e9,
      communicationPeriod: given.solver?.endsWith("-sgd") || given.solver === "async-msgd" ? 1 : TAU,
    });
    const run = await simulator.open(scenario);
    const simulated: Float32Array[] = [];
    for (let version = 0; version < EXCHANGES; version++) {
      // The parameters of every version, as soon as it is there.
      while (run.version <= version) run.advance(0.05);
      simulated.push(run.snapshot().parameters);
    }
    const real = await realCenters(scenario);
    const initial = initialParameters(compilePlan(MODELS.mlp, PLAN_OPTIONS(scenario)).layout, scenario.seed);
    for (let version = 0; version < EXCHANGES; version++) {
      const moved = distance(real[version], initial);
      expect(moved).toBeGreaterThan(0.01);
      expect(distance(real[version], simulated[version]) / moved).toBeLessThan(1e-4);
    }
  });
});

type Complete = ReturnType<typeof completeScenario>;

function PLAN_OPTIONS({ batch, solver, exchange, optimizer }: Complete) {
  const kind = replicaRuleOf(solver, exchange).optimizer ?? optimizer;
  return { batch, datasetExamples: 2000, normalisation: { mean: [0.5], deviation: [0.5] }, optimizer: { kind } };
}

/** The center after each exchange, by the engine's program, the center's threads and the rules, without the simulator. */
async function realCenters(scenario: Complete): Promise<Float32Array[]> {
  const mnist = await loadMnist();
  const backend = await createWasmBackend(await readWasmSources());
  const options = { ...PLAN_OPTIONS(scenario), normalisation: mnist.normalisation };
  const program = await backend.compile(compilePlan(MODELS.mlp, options));
  const { layout } = program.plan;
  program.loadExamples(0, mnist.train.images.subarray(0, 2000 * 784), mnist.train.labels.subarray(0, 2000));
  const initial = initialParameters(layout, scenario.seed);
  program.writeParameters(initial);
  const center = await Center.create({ layout, initial, applier: "locked", threads: 1, maxMagnitude: 1e4 });
  const sampler = new Sampler(randomFor(scenario.seed, "0.1"));
  sampler.add({ first: 0, count: 2000 });
  const centers: Float32Array[] = [];
  try {
    await exchangeForReal(scenario, program, center, sampler, (parameters) => centers.push(parameters));
  } finally {
    await center.close();
  }
  return centers;
}

async function exchangeForReal(
  scenario: Complete,
  program: Program,
  center: Center,
  sampler: Sampler,
  onCenter: (parameters: Float32Array) => void,
): Promise<void> {
  const rule = replicaRuleOf(scenario.solver, scenario.exchange);
  const slot = center.openSlot();
  const isWhole = rule.isAwaited;
  let baseVersion = 0;
  let versionOfRate = 0;
  const step = (): void =>
    program.step(sampler.draw(scenario.batch), {
      learningRate: scheduledRate(scenario, versionOfRate),
      momentum: rule.hasMomentum ? scenario.momentum : 0,
      weightDecay: scenario.weightDecay,
    });
  const meanwhile = rule.trainsMeanwhile ? 2 : 0;
  let done = 0;
  for (let exchange = 0; exchange < EXCHANGES; exchange++) {
    for (; done < scenario.communicationPeriod && !rule.takesGradients; done++) step();
    let pulled: Float32Array | undefined;
    if (rule.isTwoRoundTrip) {
      await center.refresh(slot);
      pulled = vectorOf(slot.bytes());
      // The pull takes 1.2 s: two steps, of which the difference knows.
      for (let more = 0; more < meanwhile; more++) step();
      program.rebase(pulled, true);
      baseVersion = center.version;
    }
    if (rule.takesGradients) program.gradientStep(sampler.draw(scenario.batch));
    const { values } = rule.takesGradients ? await program.takeGradient() : await program.takeDifference();
    const { movingRate } = scenario;
    const pushed = pulled ? values.map((value) => (movingRate ?? 0) * value) : values.slice();
    const move = centerMoveOf(scenario, { version: center.version, replicas: 1 }, false);
    const job = { content: rule.content, baseVersion, move, policy: scenario.staleness };
    let result;
    if (isWhole) {
      const sum = center.openSum();
      const whole = centerMoveOf(scenario, { version: center.version, replicas: 1 }, true);
      await center.contribute(sum, slot, bytesOf(pushed), { content: rule.content, weight: 1 });
      result = await center.applySum(sum, [slot], { ...job, move: whole, weight: 1, count: 1 });
      sum.close();
    } else {
      result = await center.push(slot, bytesOf(pushed), job);
    }
    if (result.verdict !== "applied") throw new Error(`a push ended ${result.verdict}`);
    onCenter(center.snapshot().parameters);
    baseVersion = result.centerVersion + 1;
    for (let more = 0; more < meanwhile; more++) step();
    done = meanwhile;
    if (rule.takesGradients) program.rebase(vectorOf(slot.bytes()), false);
    else if (pulled) program.settle(pulled, movingRate ?? 0);
    else program.settle(vectorOf(slot.bytes()), result.pull);
    versionOfRate = baseVersion;
  }
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

function vectorOf(bytes: Uint8Array): Float32Array {
  return new Float32Array(new Uint8Array(bytes).buffer);
}

function distance(a: Float32Array | undefined, b: Float32Array | undefined): number {
  if (!a || !b) return NaN;
  return Math.sqrt(a.reduce((sum, value, index) => sum + (value - (b[index] ?? NaN)) ** 2, 0));
}
