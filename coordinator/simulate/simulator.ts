/**
 * Simulates scenarios one after the other, and keeps what they share between them: data sets, and programs compiled for a model,
 * a batch and an optimizer. One for each thread; scenarios and reports are plain JSON.
 */

import { compilePlan, type PlanOptions } from "../../shared/engine/plan.ts";
import { newReplicaState, type VirtualProgram } from "../../shared/engine/wasm/replica_states.ts";
import { compileVirtual, type WasmSources } from "../../shared/engine/wasm/wasm_backend.ts";
import { initialParameters, layoutOf } from "../../shared/model/layout.ts";
import type { ModelDescription } from "../../shared/model/model.ts";
import { batchPartsOf } from "../../shared/solver/groups.ts";
import { replicaRuleOf } from "../../shared/solver/replica_rule.ts";
import { solverOf } from "../../shared/solver/catalogue.ts";
import { LIMITS } from "../../shared/wire/codes.ts";
import { ApplierCore, type Applier } from "../center/applier.ts";
import { CenterMemory } from "../center/center_memory.ts";
import { Control } from "../center/control.ts";
import { compileKernels, instantiateKernels } from "../center/kernels.ts";
import { loadDataset } from "../data/library.ts";
import type { Dataset, Examples } from "../data/dataset.ts";
import { readWasmSources } from "../evaluation/wasm_sources.ts";
import { modelOf } from "../run_config.ts";
import { CountingArithmetic, type Arithmetic } from "./arithmetic.ts";
import { Judge, JUDGED_TOGETHER } from "./judge.ts";
import type { SimulationReport } from "./report.ts";
import { completeScenario, type CompleteScenario, type Scenario } from "./scenario.ts";
import { SimulatedRun } from "./simulated_run.ts";
import { VectorArithmetic } from "./vector_arithmetic.ts";

export interface SimulatorOptions {
  /** Where imported data sets lie. */
  readonly dataRoot?: string;
}

export interface SimulateOptions {
  /** Called about ten times a second of wall time; the event loop runs between. */
  readonly onProgress?: (run: SimulatedRun) => void;
}

/** Compiled programs that are kept: each holds its data set, 47 MB of MNIST. */
const PROGRAMS_KEPT = 3;
const TURN_MS = 100;

export class Simulator {
  readonly #dataRoot: string;
  readonly #datasets = new Map<string, Promise<Dataset>>();
  /** The one that was used last comes last. */
  readonly #programs = new Map<string, Promise<VirtualProgram>>();
  #sources: Promise<WasmSources> | undefined;
  #centerModule: ReturnType<typeof compileKernels> | undefined;

  constructor({ dataRoot = "runs/.data" }: SimulatorOptions = {}) {
    this.#dataRoot = dataRoot;
  }

  /** Runs the scenario to its end. Throws a `ConfigError` where there is none such. */
  async simulate(scenario: Scenario, { onProgress }: SimulateOptions = {}): Promise<SimulationReport> {
    const run = await this.open(scenario);
    const begunMs = performance.now();
    while (!run.isOver) {
      const turnEndMs = performance.now() + TURN_MS;
      let asked = 0;
      // The clock is looked at once in a while: without gradients an event is done in a microsecond.
      run.advanceUntil(() => (++asked & 63) === 0 && performance.now() > turnEndMs);
      onProgress?.(run);
      await new Promise((resolve) => setImmediate(resolve));
    }
    return run.report((performance.now() - begunMs) / 1000);
  }

  /**
   * A run at time 0. One after the other: runs of one simulator share its programs. `willRegroup`: it may get compute groups by
   * `retune`, so that its batches have to be done in parts from the start.
   */
  async open(scenario: Scenario, { willRegroup = false } = {}): Promise<SimulatedRun> {
    const complete = completeScenario(scenario);
    const { elements } = layoutOf(modelOf(complete));
    const batchParts = batchPartsOf(complete, willRegroup || complete.groups !== null);
    return new SimulatedRun(complete, await this.#arithmeticFor(complete, batchParts), elements, batchParts);
  }

  async #arithmeticFor(scenario: CompleteScenario, batchParts: number): Promise<Arithmetic> {
    if (!scenario.gradients) return new CountingArithmetic();
    const model = modelOf(scenario);
    const program = await this.#trainer(scenario, model, batchParts);
    const test = await this.#tester(scenario, model);
    const { layout } = program.plan;
    const initial = initialParameters(layout, scenario.seed);
    // Whoever used the program before has left no trace then.
    program.loadReplica(newReplicaState(program.plan, initial));
    this.#centerModule ??= compileKernels();
    const memory = new CenterMemory(layout);
    const kernels = instantiateKernels(await this.#centerModule, memory.memory);
    memory.values(memory.layout.center).set(initial);
    const control = new Control(memory.memory.buffer);
    const maxMagnitude = LIMITS.parameterMagnitude;
    const settings = { layout: memory.layout, applier: applierOf(scenario), maxMagnitude, index: 0, threads: 1 };
    return new VectorArithmetic({
      memory,
      kernels,
      control,
      core: new ApplierCore(kernels, control, settings),
      program,
      judge: new Judge(test, scenario.testImages),
      rule: replicaRuleOf(scenario.solver, scenario.exchange),
      seed: scenario.seed,
      weightDecay: scenario.weightDecay,
      maxMagnitude,
      replicas: scenario.replicas,
      codecs: { up: scenario.codecUp, down: scenario.codecDown },
      fragments: scenario.fragments,
    });
  }

  async #trainer(scenario: CompleteScenario, model: ModelDescription, microBatches: number): Promise<VirtualProgram> {
    const { solver, exchange, batch, optimizer, trainExamples, seed } = scenario;
    const { train, normalisation } = await this.#dataset(scenario.data);
    const rule = replicaRuleOf(solver, exchange);
    return this.#program(scenario.data, "train", model, train, {
      batch,
      microBatches,
      datasetExamples: Math.min(trainExamples ?? train.count, train.count),
      normalisation,
      // A gradient solver's step is the center's.
      optimizer: { kind: rule.takesGradients ? "momentum" : (rule.optimizer ?? optimizer) },
      seed: model.layers.some(({ kind }) => kind === "dropout") ? seed : 0,
    });
  }

  async #tester(scenario: CompleteScenario, model: ModelDescription): Promise<VirtualProgram> {
    const { test, normalisation } = await this.#dataset(scenario.data);
    const batch = Math.min(JUDGED_TOGETHER, test.count);
    return this.#program(scenario.data, "test", model, test, { batch, datasetExamples: test.count, normalisation });
  }

  #program(
    data: string,
    part: "train" | "test",
    model: ModelDescription,
    examples: Examples,
    options: PlanOptions,
  ): Promise<VirtualProgram> {
    const key = JSON.stringify([data, part, model, options]);
    const known = this.#programs.get(key);
    this.#programs.delete(key);
    const program = known ?? this.#compile(model, examples, options);
    this.#programs.set(key, program);
    for (const oldest of [...this.#programs.keys()].slice(0, -2 * PROGRAMS_KEPT)) this.#programs.delete(oldest);
    return program;
  }

  async #compile(model: ModelDescription, examples: Examples, options: PlanOptions): Promise<VirtualProgram> {
    this.#sources ??= readWasmSources();
    const program = await compileVirtual(await this.#sources, compilePlan(model, options));
    const { datasetExamples } = options;
    const imageBytes = examples.images.length / examples.count;
    program.loadExamples(
      0,
      examples.images.subarray(0, datasetExamples * imageBytes),
      examples.labels.subarray(0, datasetExamples),
    );
    return program;
  }

  #dataset(name: string): Promise<Dataset> {
    const known = this.#datasets.get(name);
    if (known) return known;
    const loading = loadDataset(this.#dataRoot, name);
    this.#datasets.set(name, loading);
    return loading;
  }
}

function applierOf({ applier, solver }: CompleteScenario): Applier {
  if (applier !== "auto") return applier;
  return solverOf(solver).order === "lock-free" ? "lock-free" : "locked";
}
