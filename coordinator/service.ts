/**
 * A whole coordinator in this process: data, center, ledger, checkpoints, evaluation, run and server, put together from a
 * config. `serve`, `train` and the tests start it; what is shown to people is theirs. What it does once it runs, and how it
 * ends, is in `running_service.ts`.
 */

import { rm } from "node:fs/promises";
import { layoutOf, initialParameters, type ParameterLayout } from "../shared/model/layout.ts";
import { ModelError } from "../shared/model/model.ts";
import { solverOf } from "../shared/solver/catalogue.ts";
import { BLOCK_ELEMENTS } from "../shared/wire/codec/codec.ts";
import { LIMITS } from "../shared/wire/codes.ts";
import { RunTuner } from "./autotune/run_tuner.ts";
import { Center, type Applier } from "./center/center.ts";
import { Checkpointing } from "./checkpointing.ts";
import type { Dataset } from "./data/dataset.ts";
import { loadDataset } from "./data/library.ts";
import { mix } from "./data/mixing.ts";
import { cutSamples } from "./data/samples.ts";
import { cutShards } from "./data/shards.ts";
import { RunExam } from "./exam/run_exam.ts";
import { Evaluator } from "./evaluation/evaluator.ts";
import { Control } from "./operator/control.ts";
import { operatorDesk } from "./operator/desk.ts";
import { standingChanges } from "./operator/standing_changes.ts";
import { operatorTokenOf } from "./operator/token.ts";
import { restoredLeases } from "./leases/lease_journal.ts";
import { Run } from "./run.ts";
import { ConfigError, modelOf, settingsFor, solverSettingsOf, type RunConfig } from "./run_config.ts";
import { nextIdentity } from "./run_identity.ts";
import { readRunRecord, type RestoredRun } from "./run_record.ts";
import { Service, type OwnEnd } from "./running_service.ts";
import type { ChannelFaults } from "./server/peers.ts";
import { start } from "./server/server.ts";
import { streamOptionsFor } from "./stream.ts";
import { refuseUnstable, stabilityWarnings } from "./stability/stability_check.ts";
import { readCheckpoint, type Checkpoint } from "./store/checkpoint.ts";
import { CheckpointWriter } from "./store/checkpoint_writer.ts";
import { StoreError } from "./store/durable_file.ts";
import { EventLog } from "./store/event_log.ts";
import { Ledger, type LedgerEntry } from "./store/ledger.ts";
import { RunFolder } from "./store/run_folder.ts";

export interface ServiceOptions {
  /** Where `npm run build` put the pages. */
  readonly clientFolder: string;
  /** Where imported data sets lie. */
  readonly dataRoot: string;
  /** Go on with the run of the config's name. */
  readonly resume: boolean;
  /** Measure how curved the loss is before the run, and warn of what is unstable there. What no loss makes stable is refused anyway. */
  readonly measuresCurvature: boolean;
  /** Our own bugs and the environment's failures while the run goes on. */
  readonly onFailure: (error: unknown) => void;
  /** Warnings in words. */
  readonly onNote: (sentence: string) => void;
  /** Of data channels, for tests. */
  readonly channelFaults?: ChannelFaults;
}

/** How many a run without volunteers of its own is expected to have. */
const FEWEST_REPLICAS = 2;

/** Never goes back, unlike the time of day. */
const nowMs = (): number => performance.now();
const nowIso = (): string => new Date().toISOString();

export async function startService(config: RunConfig, options: ServiceOptions): Promise<Service> {
  const layout = checkedLayout(config);
  refuseEmptyFragments(config, layout);
  const dataset = await loadDataset(options.dataRoot, config.data);
  refuseMisfit(config, dataset);
  const replicas = Math.max(FEWEST_REPLICAS, config.volunteers);
  refuseUnstable(config, replicas);
  if (options.measuresCurvature && !options.resume) {
    const warnings = await stabilityWarnings({ config, layout, dataset, replicas, nowMs });
    for (const sentence of warnings) options.onNote(sentence);
  }
  const folder = await RunFolder.open({
    root: config.runsFolder,
    ...(config.name === null ? {} : { name: config.name }),
    model: folderWord(modelOf(config).name),
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
  const solver = solverOf(config.solver);
  const model = modelOf(config);

  const checkpoint = folder.resumed ? await readCheckpoint(folder.path, layout) : undefined;
  const ledger = await Ledger.open(folder.ledgerPath);
  undo.push(() => ledger.close());
  const restored = await restoredRun({ checkpoint, ledger, folder, config });
  let seconds = (): number => restored?.seconds ?? 0;
  const log = await EventLog.open(folder.eventsPath, { nowIso, seconds: () => seconds(), onProblem: onNote });
  undo.push(() => log.close());
  const { incarnation, secret } = await nextIdentity(folder);
  const token = await operatorTokenOf(folder.path);
  await folder.writeJson(folder.settingsPath, { ...config, name: folder.name });

  const center = await Center.create({
    layout,
    initial: checkpoint?.parameters ?? initialParameters(layout, config.seed),
    ...(checkpoint ? { version: checkpoint.version } : {}),
    ...(checkpoint?.velocity ? { velocity: checkpoint.velocity } : {}),
    applier: applierOf(config),
    threads: config.applierThreads,
    maxMagnitude: LIMITS.parameterMagnitude,
    stream: streamOptionsFor(config.codecDown, layout.elements),
  });
  undo.push(() => center.close());

  mix(dataset.train);
  const shards = cutShards(dataset);
  const samples = cutSamples(dataset);
  const data = {
    name: dataset.name,
    title: dataset.title,
    trainExamples: dataset.train.count,
    testExamples: dataset.test.count,
    normalisation: dataset.normalisation,
    shards: shards.map(({ path, examples }) => ({ url: path, examples })),
    samples: { url: samples.path, examples: samples.examples },
    ...(dataset.classNames ? { classNames: dataset.classNames } : {}),
  };
  const settings = settingsFor(config, { run: folder.name, data, layout });
  // Computed while the rest starts.
  const exam = new RunExam({ settings, folder: folder.path, onFailure });
  undo.push(() => exam.close());
  const examplesOfShards = shards.map(({ examples }) => examples);
  const leases = await restoredLeases(
    { shards: examplesOfShards, seed: config.seed },
    log.events(),
    restored?.ledger ?? [],
  );
  const run = new Run({
    settings: { ...settings, exam: exam.path },
    layout,
    solver: { ...solverSettingsOf(config), ...restored?.retuned },
    center,
    ledger,
    incarnation,
    secret,
    ...(restored ? { restored } : {}),
    leases,
    nowMs,
    nowIso,
    onFailure,
    log: (event) => log.append(event),
  });
  seconds = () => run.seconds;
  log.append({ kind: "began", incarnation, settings: run.settings });

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
  const ended = Promise.withResolvers<OwnEnd>();
  const keep = (): Promise<void> =>
    checkpointing.write(checkpointing.snapshot()).catch((error: unknown) => onNote((error as Error).message));
  const operator = operatorDesk({
    token,
    run,
    runsFolder: config.runsFolder,
    control: new Control({ run, config, keep, finish: () => ended.resolve("operator") }),
    toExport: () => ({ folder: folder.path, dataRoot: options.dataRoot, center: checkpointing.snapshot() }),
  });
  const server = await start({
    run,
    host,
    port,
    tls,
    clientFolder,
    shards: [...shards, samples],
    exam: exam.answers,
    checkpointAgeSeconds,
    operator,
    onFailure,
    ...(options.channelFaults ? { channelFaults: options.channelFaults } : {}),
  });
  // The tuner ends with the service; after this nothing fails that it would outlive.
  const tuner = config.autotune
    ? new RunTuner({
        run,
        model,
        train: dataset.train,
        normalisation: dataset.normalisation,
        learningRate: config.learningRate,
        volunteers: config.volunteers,
        folder: folder.path,
        // A trial lasts as long as it trains.
        nowMs: run.clock.runMs,
        onFailure,
      })
    : undefined;
  return new Service({
    config,
    tuner,
    folder,
    dataset,
    center,
    ledger,
    run,
    writer,
    checkpointing,
    evaluator,
    exam,
    server,
    log,
    token,
    ended,
    nowMs,
    onNote,
  });
}

function checkedLayout(config: RunConfig): ParameterLayout {
  try {
    return layoutOf(modelOf(config));
  } catch (error) {
    if (error instanceof ModelError) throw new ConfigError(error.message);
    throw error;
  }
}

/** A fragment is at least a block of the codecs. */
function refuseEmptyFragments({ fragments }: RunConfig, { elements }: ParameterLayout): void {
  const most = Math.ceil(elements / BLOCK_ELEMENTS);
  if (fragments <= most) return;
  throw new ConfigError(
    `--fragments is ${fragments}, but this model's ${elements} parameters make ${most}, of ${BLOCK_ELEMENTS} each; accepted is up to ${most}.`,
  );
}

function applierOf({ applier, solver }: RunConfig): Applier {
  if (applier !== "auto") return applier;
  return solverOf(solver).order === "lock-free" ? "lock-free" : "locked";
}

/** A user's model may have any name; a folder may not. */
function folderWord(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9._-]+/g, "-").replace(/^[^A-Za-z0-9]+/, "") || "model";
}

/** The model must take these images and give these classes. */
function refuseMisfit(config: RunConfig, { shape, classes }: Dataset): void {
  const model = modelOf(config);
  const { height, width, channels } = model.input;
  const isFit = height === shape.height && width === shape.width && channels === shape.channels;
  if (!isFit || classes > model.classes) {
    throw new ConfigError(
      `--data ${config.data} has images of ${shape.height}x${shape.width}x${shape.channels} in ${classes} classes, but --model ${model.name} ` +
        `takes ${height}x${width}x${channels} in up to ${model.classes}; choose a model and a data set that fit.`,
    );
  }
  const { cropPadding, flip } = config.augmentation;
  if ((cropPadding > 0 || flip) && model.layers.some(({ kind }) => kind === "embedding")) {
    throw new ConfigError(`--augmentation changes images, but --model ${model.name} reads tokens; leave it out.`);
  }
}

interface ToRestore {
  readonly checkpoint: Checkpoint | undefined;
  readonly ledger: Ledger;
  readonly folder: RunFolder;
  /** As it is now. */
  readonly config: RunConfig;
}

async function restoredRun({ checkpoint, ledger, folder, config }: ToRestore): Promise<RestoredRun | undefined> {
  if (!checkpoint) return undefined;
  const record = readRunRecord(checkpoint.state);
  if ("problem" in record)
    throw new StoreError(`${folder.statePath}: ${record.problem}; restore it from a backup, or start a new run.`);
  const entries: LedgerEntry[] = [];
  for await (const entry of ledger.entries()) entries.push(entry);
  const earlier = await folder.readJson(folder.settingsPath);
  const retuned = standingChanges({ retuned: record.retuned ?? {}, config, earlier });
  return { ...record, retuned, ledger: entries };
}
