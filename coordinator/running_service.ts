/**
 * A coordinator that runs: its clock, its judge and its end. `service.ts` puts it together; closing takes it apart in the
 * order in which nothing is lost: replicas, server, center, checkpoint, result, ledger.
 */

import { availableParallelism } from "node:os";
import { ViewLog } from "./operator/view_log.ts";
import type { RunTuner } from "./autotune/run_tuner.ts";
import type { Center } from "./center/center.ts";
import type { Checkpointing } from "./checkpointing.ts";
import type { Dataset } from "./data/dataset.ts";
import type { RunExam } from "./exam/run_exam.ts";
import type { Evaluator, EvaluationResult } from "./evaluation/evaluator.ts";
import { EvaluationSchedule } from "./evaluation/schedule.ts";
import { EvaluationLoop, type JudgedCenter } from "./evaluation_loop.ts";
import type { Run } from "./run.ts";
import type { RunConfig } from "./run_config.ts";
import { resultOf, type RunResult } from "./run_result.ts";
import type { RunningServer } from "./server/server.ts";
import type { Snapshot } from "./store/checkpoint.ts";
import type { CheckpointWriter } from "./store/checkpoint_writer.ts";
import type { EventLog } from "./store/event_log.ts";
import type { Ledger } from "./store/ledger.ts";
import type { RunFolder } from "./store/run_folder.ts";

/** Why a run ends by itself. */
export type OwnEnd = "target" | "time" | "operator";

/** Deadlines of groups are short where replicas are fast (SPEC G4). */
const TICK_MS = 50;

export interface ServiceParts {
  readonly config: RunConfig;
  /** Where the config asks for it. */
  readonly tuner: RunTuner | undefined;
  readonly folder: RunFolder;
  readonly dataset: Dataset;
  readonly center: Center;
  readonly ledger: Ledger;
  readonly run: Run;
  readonly writer: CheckpointWriter;
  readonly checkpointing: Checkpointing;
  readonly evaluator: Evaluator;
  readonly exam: RunExam;
  readonly server: RunningServer;
  readonly log: EventLog;
  /** In the operator's link. */
  readonly token: string;
  /** Resolved by whatever ends the run first. */
  readonly ended: PromiseWithResolvers<OwnEnd>;
  readonly nowMs: () => number;
  readonly onNote: (sentence: string) => void;
}

export class Service {
  readonly #parts: ServiceParts;
  readonly #acceptingSinceMs: number;
  /** Of the run's own clock, at the same moment. */
  readonly #acceptingSinceRunMs: number;
  readonly #viewLog: ViewLog;
  readonly #ticker: NodeJS.Timeout;
  readonly #evaluation: EvaluationLoop;
  #proven: JudgedCenter | undefined;
  #closing: Promise<RunResult> | undefined;

  constructor(parts: ServiceParts) {
    const { run, center, checkpointing, evaluator, config, dataset, nowMs, onNote } = parts;
    this.#parts = parts;
    this.#acceptingSinceMs = nowMs();
    this.#acceptingSinceRunMs = run.clock.runMs();
    this.#viewLog = new ViewLog({ view: () => run.view(), append: (event) => parts.log.append(event), nowMs });
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
        parts.ended.resolve("target");
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

  /** Of whoever may control the run: not for everybody's eyes. */
  get operatorLink(): string {
    return `${this.url}/operator#token=${this.#parts.token}`;
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

  /** Resolves when the target is reached, the time is over or the operator says so; whoever waits closes the service then. */
  get ended(): Promise<OwnEnd> {
    return this.#parts.ended.promise;
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
    const { run, config, ended } = this.#parts;
    run.tick();
    this.#viewLog.tick();
    // While everybody waits it does not run out.
    const seconds = (run.clock.runMs() - this.#acceptingSinceRunMs) / 1000;
    if (config.maxMinutes !== null && seconds >= 60 * config.maxMinutes) ended.resolve("time");
  }

  async #close(reason: string): Promise<RunResult> {
    const { run, tuner, folder, dataset, center, ledger, writer, checkpointing, evaluator, exam, server, log } =
      this.#parts;
    const seconds = this.#seconds;
    await tuner?.close();
    clearInterval(this.#ticker);
    checkpointing.stop();
    // A proof that comes from now on is too late.
    const judged = this.#evaluation.stop();
    // Nobody is connected any longer then.
    const asItWas = run.view();
    run.finish(this.#proven ? "reached" : "stopped", reason);
    // Pushes in flight still count. A turn later their lines are in the ledger's queue, and after those their counts in the
    // view: result and ledger tell the same.
    await run.settled();
    await center.close();
    await nextTurn();
    await ledger.close();
    await nextTurn();
    const view = run.view();
    await server.close();
    await judged;
    const { snapshot, evaluation } = await this.#finalCenter();
    const result = resultOf(view, {
      reason,
      asItWas,
      evaluation,
      version: snapshot.version,
      testImages: dataset.test.count,
      trainImages: dataset.train.count,
      seconds,
      checkpoint: folder.checkpointPath,
    });
    await evaluator.close();
    await exam.close();
    await folder.writeJson(folder.resultPath, result);
    this.#viewLog.end();
    log.append({ kind: "ended", state: result.state, reason });
    await log.close();
    await writer.close();
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

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
