/**
 * A whole coordinator in this process: data, center, ledger, checkpoints, evaluation, run and server, put together from a
 * config and taken apart again in order. `serve`, `train` and the tests start it; what is shown to people is theirs.
 */

import { rm } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { layoutOf, initialParameters, type ParameterLayout } from "../shared/model/layout.ts";
import { MODELS } from "../shared/model/catalogue.ts";
import { SOLVERS, type Solver } from "../shared/solver/catalogue.ts";
import { LIMITS } from "../shared/wire/codes.ts";
import { Center } from "./center/center.ts";
import { Checkpointing } from "./checkpointing.ts";
import type { Dataset } from "./data/dataset.ts";
import { loadDataset } from "./data/import.ts";
import { cutShards } from "./data/shards.ts";
import { EvaluationLoop, type JudgedCenter } from "./evaluation_loop.ts";
import { Evaluator, type EvaluationResult } from "./evaluation/evaluator.ts";
import { EvaluationSchedule } from "./evaluation/schedule.ts";
import { Run } from "./run.ts";
import { ConfigError, settingsFor, type RunConfig } from "./run_config.ts";
import { nextIdentity } from "./run_identity.ts";
import { readRunRecord, type RestoredRun } from "./run_record.ts";
import { resultOf, type RunResult } from "./run_result.ts";
import { start, type RunningServer } from "./server/server.ts";
import { readCheckpoint, type Checkpoint, type Snapshot } from "./store/checkpoint.ts";
import { CheckpointWriter } from "./store/checkpoint_writer.ts";
import { StoreError } from "./store/durable_file.ts";
import { Ledger, type LedgerEntry } from "./store/ledger.ts";
import { RunFolder } from "./store/run_folder.ts";

export interface ServiceOptions {
  /** Where `npm run build` put the pages. */
  readonly clientFolder: string;
  /** Where imported data sets lie. */
  readonly dataRoot: string;
  /** Go on with the run of the config's name. */
  readonly resume: boolean;
  /** Our own bugs and the environment's failures while the run goes on. */
  readonly onFailure: (error: unknown) => void;
  /** Warnings in words. */
  readonly onNote: (sentence: string) => void;
}

/** Why a run ends by itself. */
export type OwnEnd = "target" | "time";

const TICK_MS = 1000;

export async function startService(config: RunConfig, options: ServiceOptions): Promise<Service> {
  const layout = layoutOf(MODELS[config.model]);
  const dataset = await loadDataset(options.dataRoot, config.data);
  refuseMisfit(config, dataset);
  const folder = await RunFolder.open({
    root: config.runsFolder,
    ...(config.name === null ? {} : { name: config.name }),
    model: config.model,
    data: config.data,
    solver: config.solver,
    resume: options.resume,
  });
  const undo: (() => Promise<unknown>)[] = [() => folder.release()];
  try {
    return await assemble({ config, options, layout, dataset, folder, undo });
  } catch (error) {
    for (const step of undo.toReversed()) await step();
    // A run that never began leaves no folder behind.
    if (!folder.resumed) await rm(folder.path, { recursive: true, force: true });
    throw error;
  }
}

interface Assembly {
  readonly config: RunConfig;
  readonly options: ServiceOptions;
  readonly layout: ParameterLayout;
  readonly dataset: Dataset;
  readonly folder: RunFolder;
  /** What was opened, to be closed in reverse should the rest fail. */
  readonly undo: (() => Promise<unknown>)[];
}

async function assemble({ config, options, layout, dataset, folder, undo }: Assembly): Promise<Service> {
  const { onFailure, onNote } = options;
  const solver: Solver = SOLVERS[config.solver];
  const model = MODELS[config.model];
  const nowMs = (): number => performance.now();

  const checkpoint = folder.resumed ? await readCheckpoint(folder.path, layout) : undefined;
  const ledger = await Ledger.open(folder.ledgerPath);
  undo.push(() => ledger.close());
  const restored = await restoredRun(checkpoint, ledger, folder);
  const { incarnation, secret } = await nextIdentity(folder);
  await folder.writeJson(folder.settingsPath, { ...config, name: folder.name });

  const center = await Center.create({
    elements: layout.elements,
    initial: checkpoint?.parameters ?? initialParameters(layout, config.seed),
    ...(checkpoint ? { version: checkpoint.version } : {}),
    ...(checkpoint?.velocity ? { velocity: checkpoint.velocity } : {}),
    applier: solver.order === "lock-free" ? "lock-free" : "locked",
    threads: config.applierThreads,
    maxMagnitude: LIMITS.parameterMagnitude,
  });
  undo.push(() => center.close());

  const shards = cutShards(dataset);
  const data = {
    name: dataset.name,
    title: dataset.title,
    trainExamples: dataset.train.count,
    testExamples: dataset.test.count,
    normalisation: dataset.normalisation,
    shards: shards.map(({ path, examples }) => ({ url: path, examples })),
  };
  const run = new Run({
    settings: settingsFor(config, { run: folder.name, data, layout }),
    layout,
    rule: config,
    center,
    ledger,
    incarnation,
    secret,
    ...(restored ? { restored } : {}),
    nowMs,
    nowIso: () => new Date().toISOString(),
    onFailure,
  });

  const writer = new CheckpointWriter(folder.path, layout);
  undo.push(() => writer.close());
  const checkpointing = new Checkpointing({
    center,
    hasVelocity: solver.momentum === "center" || solver.momentum === "center-nesterov",
    record: () => run.record(),
    write: (snapshot) => writer.write(snapshot),
    intervalMs: config.checkpointIntervalMs,
    nowMs,
    onProblem: onNote,
  });
  undo.push(async () => checkpointing.stop());
  // The first one before anybody joins: from here on the run can be resumed.
  await checkpointing.write(checkpointing.snapshot());
  const evaluator = await Evaluator.create({ model, test: dataset.test, normalisation: dataset.normalisation });
  undo.push(() => evaluator.close());

  const { host, port, tls } = config;
  const checkpointAgeSeconds = (): number | null => checkpointing.ageSeconds();
  const { clientFolder } = options;
  const server = await start({ run, host, port, tls, clientFolder, shards, checkpointAgeSeconds, onFailure });
  return new Service({ config, folder, dataset, center, ledger, run, writer, checkpointing, evaluator, server, nowMs, onNote });
}

/** The model must take these images and give these classes. */
function refuseMisfit({ model: name, data }: RunConfig, { shape, classes }: Dataset): void {
  const model = MODELS[name];
  const { height, width, channels } = model.input;
  if (height === shape.height && width === shape.width && channels === shape.channels && classes <= model.classes) return;
  throw new ConfigError(
    `--data ${data} has images of ${shape.height}x${shape.width}x${shape.channels} in ${classes} classes, but --model ${name} ` +
      `takes ${height}x${width}x${channels} in up to ${model.classes}; choose a model and a data set that fit.`,
  );
}

async function restoredRun(
  checkpoint: Checkpoint | undefined,
  ledger: Ledger,
  folder: RunFolder,
): Promise<RestoredRun | undefined> {
  if (!checkpoint) return undefined;
  const record = readRunRecord(checkpoint.state);
  if ("problem" in record) throw new StoreError(`${folder.statePath}: ${record.problem}; restore it from a backup, or start a new run.`);
  const entries: LedgerEntry[] = [];
  for await (const entry of ledger.entries()) entries.push(entry);
  return { ...record, ledger: entries };
}

interface Parts {
  readonly config: RunConfig;
  readonly folder: RunFolder;
  readonly dataset: Dataset;
  readonly center: Center;
  readonly ledger: Ledger;
  readonly run: Run;
  readonly writer: CheckpointWriter;
  readonly checkpointing: Checkpointing;
  readonly evaluator: Evaluator;
  readonly server: RunningServer;
  readonly nowMs: () => number;
  readonly onNote: (sentence: string) => void;
}

export class Service {
  readonly #parts: Parts;
  readonly #ended = Promise.withResolvers<OwnEnd>();
  readonly #acceptingSinceMs: number;
  readonly #ticker: NodeJS.Timeout;
  readonly #evaluation: EvaluationLoop;
  #proven: JudgedCenter | undefined;
  #closing: Promise<RunResult> | undefined;

  constructor(parts: Parts) {
    const { run, center, checkpointing, evaluator, config, dataset, nowMs, onNote } = parts;
    this.#parts = parts;
    this.#acceptingSinceMs = nowMs();
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
    this.#evaluation = new EvaluationLoop({
      evaluator,
      schedule: new EvaluationSchedule({
        cores: availableParallelism(),
        testExamples: dataset.test.count,
        targetAccuracy: config.targetAccuracy,
        cpuMsPerImage: evaluator.cpuMsPerImage,
        startMs: nowMs(),
      }),
      version: () => center.version,
      snapshot: () => checkpointing.snapshot(),
      record: (result) => run.recordEvaluation(result),
      onTarget: (judged) => {
        this.#proven = judged;
        this.#ended.resolve("target");
      },
      onProblem: onNote,
      nowMs,
    });
  }

  get run(): Run {
    return this.#parts.run;
  }

  get folder(): RunFolder {
    return this.#parts.folder;
  }

  get url(): string {
    return this.#parts.server.url;
  }

  get links(): readonly string[] {
    return this.#parts.server.links;
  }

  get port(): number {
    return this.#parts.server.port;
  }

  /** Of https: the hash by which programs may trust a self-signed certificate. */
  get keyHash(): string | undefined {
    return this.#parts.server.keyHash;
  }

  /** Resolves when the target is reached or the time is over; whoever waits closes the service then. */
  get ended(): Promise<OwnEnd> {
    return this.#ended.promise;
  }

  /** Ends the run: replicas are told, the center and the result are on disk when this resolves. */
  close(reason: string): Promise<RunResult> {
    this.#closing ??= this.#close(reason);
    return this.#closing;
  }

  get #seconds(): number {
    return (this.#parts.nowMs() - this.#acceptingSinceMs) / 1000;
  }

  #tick(): void {
    const { run, config } = this.#parts;
    run.tick();
    if (config.maxMinutes !== null && this.#seconds >= 60 * config.maxMinutes) this.#ended.resolve("time");
  }

  async #close(reason: string): Promise<RunResult> {
    const { run, folder, dataset, center, ledger, writer, checkpointing, evaluator, server } = this.#parts;
    const seconds = this.#seconds;
    clearInterval(this.#ticker);
    checkpointing.stop();
    // A proof that comes from now on is too late.
    const judged = this.#evaluation.stop();
    run.finish(this.#proven ? "reached" : "stopped", reason);
    const view = run.view();
    await server.close();
    // Finishes the pushes in flight; their lines are in the ledger's queue one turn later.
    await center.close();
    await new Promise((resolve) => setImmediate(resolve));
    await judged;
    const { snapshot, evaluation } = await this.#finalCenter();
    const result = resultOf(view, {
      reason,
      evaluation,
      version: snapshot.version,
      testImages: dataset.test.count,
      trainImages: dataset.train.count,
      seconds,
      checkpoint: folder.checkpointPath,
    });
    await evaluator.close();
    await folder.writeJson(folder.resultPath, result);
    await writer.close();
    await ledger.close();
    await folder.release();
    return result;
  }

  /** The center that the run leaves, judged on all test images and on disk: the proven one, or else the last one. */
  async #finalCenter(): Promise<{ snapshot: Snapshot; evaluation: EvaluationResult | undefined }> {
    const { checkpointing, run } = this.#parts;
    if (this.#proven) {
      const { snapshot, result } = this.#proven;
      // Written twice: the reader takes the newer of the two kept checkpoints, and the one from before may be newer.
      await checkpointing.write(structuredClone(snapshot));
      await checkpointing.write(snapshot);
      return { snapshot, evaluation: result };
    }
    const snapshot = checkpointing.snapshot();
    const evaluation = snapshot.version === 0 ? undefined : await this.#evaluation.judge(snapshot);
    if (evaluation) run.recordEvaluation(evaluation);
    await checkpointing.write(checkpointing.snapshot());
    return { snapshot, evaluation };
  }
}
