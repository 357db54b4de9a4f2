/**
 * From Start to its end, in a Web Worker or in Node: loads the first shard, measures the backends, and lets a replica train.
 * Every ending is told in words, and everything that was opened is closed again.
 */

import type { BackendWish } from "../../shared/backends.ts";
import { planOf } from "../../shared/engine/run_plan.ts";
import type { RunSettings } from "../../shared/run_settings.ts";
import { LIMITS } from "../../shared/wire/codes.ts";
import type { FirstStep, FromWorker, Phase, ReplicaIdentity } from "../messages.ts";
import type { Device } from "../replica/local_training.ts";
import { Replica, sentenceOf, type Ending } from "../replica/replica.ts";
import { Devices } from "./devices.ts";
import { Exam } from "./exam.ts";
import { Examples, examplesOf } from "./examples.ts";
import { as, failureOf } from "./failure.ts";
import { fetchCenter } from "./fetched_center.ts";
import { Gate } from "./gate.ts";
import type { Fetch, Surroundings } from "./surroundings.ts";

/** Less is as good as nothing, and a rest of minutes. */
const LEAST_DUTY_CYCLE = 0.01;

export interface ParticipationOptions {
  readonly settings: RunSettings;
  /** What the volunteer asks for; with `auto` the run's own wish decides. */
  readonly backend: BackendWish;
  /** The share of the time in which its replica computes; all of it where left out. */
  readonly dutyCycle?: number | undefined;
  /** That the volunteer offers for the leaderboard and the model card. */
  readonly name?: string | undefined;
  /** From an earlier visit: its replica goes on as that one. */
  readonly identity?: ReplicaIdentity | undefined;
  /** The volunteer allows connections to other volunteers. */
  readonly allowsPeers?: boolean | undefined;
  readonly surroundings: Surroundings;
  readonly tell: (message: FromWorker) => void;
}

export class Participation {
  readonly #options: ParticipationOptions;
  readonly #surroundings: Surroundings;
  readonly #ended = Promise.withResolvers<Ending>();
  #replica: Replica | undefined;
  #devices: Devices | undefined;
  /** Of what happens before the replica exists. */
  #preparing: Phase = "loading-data";
  /** Of everything but the training itself, which sees to it by itself. */
  readonly #gate = new Gate();
  readonly #beganMs: number;
  #measuringMs = 0;
  #firstStep: FirstStep | undefined;
  #bytesFetched = 0;
  #dutyCycle: number;
  #isHidden = false;
  #name: string | undefined;

  constructor(options: ParticipationOptions) {
    this.#options = options;
    this.#surroundings = options.surroundings;
    this.#beganMs = options.surroundings.clock.nowMs();
    this.#dutyCycle = options.dutyCycle ?? 1;
    this.#name = offered(options.name);
  }

  /** Never rejects. */
  async run(): Promise<void> {
    void this.#takePart().then(this.#ended.resolve, (error: unknown) =>
      this.#ended.resolve({ kind: "failed", failure: failureOf(error), sentence: sentenceOf(error) }),
    );
    const ending = await this.#ended.promise;
    this.#surroundings.abort.abort();
    this.#replica?.stop();
    this.#devices?.close();
    this.#options.tell(wordsOf(ending));
  }

  pause(): void {
    if (this.#replica) return this.#replica.pause();
    this.#gate.close();
    this.#tell({ kind: "phase", phase: "paused" });
  }

  resume(): void {
    if (this.#replica) return this.#replica.resume();
    if (this.#gate.isOpen) return;
    this.#gate.open();
    this.#tell({ kind: "phase", phase: this.#preparing });
  }

  /** Completes the exchange that is begun, and ends. */
  finish(): void {
    if (this.#replica) this.#replica.finish();
    else this.#ended.resolve({ kind: "stopped", sentence: "Training had not begun." });
  }

  stop(): void {
    if (this.#replica) this.#replica.stop();
    else this.#ended.resolve({ kind: "stopped" });
  }

  /** The share of the time in which it computes, above 0 and up to 1; others count as the nearest of these. */
  setDutyCycle(share: number): void {
    this.#dutyCycle = Number.isFinite(share) ? Math.min(1, Math.max(LEAST_DUTY_CYCLE, share)) : 1;
    this.#replica?.setDutyCycle(this.#dutyCycle);
  }

  setHidden(isHidden: boolean): void {
    this.#isHidden = isHidden;
    this.#replica?.setHidden(isHidden);
  }

  setName(name: string | undefined): void {
    this.#name = offered(name);
    this.#replica?.setName(this.#name);
  }

  /** Something broke where nobody was waiting for it. */
  fail(sentence: string): void {
    this.#ended.resolve({ kind: "failed", failure: "other", sentence });
  }

  async #takePart(): Promise<Ending> {
    const { settings, backend } = this.#options;
    const { clock, random, connect, openPeer, abort, warn } = this.#surroundings;
    const fetch = this.#fetch;
    this.#prepare("loading-data");
    const plan = planOf(settings, examplesOf(settings));
    const examples = new Examples({
      settings,
      clock,
      random,
      fetch,
      signal: abort.signal,
      onProblem: warn,
      onLoaded: (loadedExamples, all) => this.#tell({ kind: "loading", loadedExamples, examples: all }),
    });
    const exam = new Exam({ settings, fetch, clock, random, signal: abort.signal });
    // Nearly every device does the batch at once.
    exam.prefetch(plan);
    const { count } = await examples.first().catch(as("out-of-reach"));
    this.#tell({ kind: "loading", loadedExamples: count, examples: examplesOf(settings) });
    this.#prepare("measuring");
    const { openBackend, advice, winners } = this.#surroundings;
    this.#devices = new Devices({
      settings,
      plan,
      examples,
      clock,
      openBackend,
      advice,
      exam,
      asked: backend === "auto" ? settings.backend : backend,
      between: () => this.#between(),
      dutyCycle: () => this.#dutyCycle,
      onChoice: (choice) => this.#tell({ kind: "backend", choice }),
      onTuning: (tuning) => this.#tell({ kind: "tuning", tuning }),
      warn,
      ...(winners ? { winners } : {}),
    });
    const devices = this.#devices;
    const device = await devices.choose();
    await this.#between();
    this.#measuringMs = devices.measuringMs;
    // Where the center comes down as changes, the coordinator keeps the versions that files are of.
    const { elements } = device.program.plan.layout;
    const held =
      settings.codecDown === "f32" ? undefined : await fetchCenter({ ...this.#surroundings, fetch }, elements);
    await this.#between();
    this.#replica = new Replica({
      settings,
      device,
      clock,
      random,
      connect,
      ...(openPeer ? { openPeer } : {}),
      ...(held ? { held } : {}),
      allowsPeers: this.#options.allowsPeers === true,
      dutyCycle: this.#dutyCycle,
      isHidden: this.#isHidden,
      name: this.#name,
      identity: this.#options.identity,
      onIdentity: (identity) => this.#tell({ kind: "identity", identity }),
      replaceDevice: (whatHappened) => this.#replaceDevice(devices, whatHappened),
      wordsOfReplacement: () => devices.wordsOfReplacement,
      elsewhere: () => ({ bytesFetched: this.#bytesFetched, firstStep: this.#firstStep }),
      onFirstStep: () => this.#stepped(),
      onPhase: (phase, detail) => this.#takePhase(phase, detail),
      onProgress: (progress) => this.#tell({ kind: "progress", progress }),
    });
    return this.#replica.run();
  }

  readonly #fetch: Fetch = (path) =>
    this.#surroundings.fetch(path, (bytes) => {
      this.#bytesFetched += bytes;
    });

  #takePhase(phase: Phase, detail: string | undefined): void {
    if (phase === "paused" || phase === "held" || phase === "finishing") this.#gate.close();
    else this.#gate.open();
    this.#tell({ kind: "phase", phase, ...(detail === undefined ? {} : { detail }) });
  }

  #stepped(): void {
    const afterMs = this.#surroundings.clock.nowMs() - this.#beganMs;
    this.#firstStep = { afterMs, measuringMs: this.#measuringMs };
  }

  #replaceDevice(devices: Devices, whatHappened: string): Promise<Device> {
    const sentence = /[.!?]$/.test(whatHappened) ? whatHappened : `${whatHappened}.`;
    this.#tell({ kind: "phase", phase: "measuring", detail: `${sentence} Another device is being prepared.` });
    return devices.replace(sentence);
  }

  #prepare(phase: Phase): void {
    this.#preparing = phase;
    if (this.#gate.isOpen) this.#tell({ kind: "phase", phase });
  }

  /** Between two pieces of work besides training: messages get in, a pause is kept, and a stop ends it. */
  async #between(): Promise<void> {
    const { clock, abort } = this.#surroundings;
    await clock.breathe();
    abort.signal.throwIfAborted();
    await this.#gate.passed();
    abort.signal.throwIfAborted();
  }

  /** Unless it comes after the end. */
  #tell(message: FromWorker): void {
    if (!this.#surroundings.abort.signal.aborted) this.#options.tell(message);
  }
}

/** As it is shown to others; nothing of it where nothing is left. */
function offered(name: string | undefined): string | undefined {
  const characters = Array.from(new Intl.Segmenter().segment((name ?? "").trim()), ({ segment }) => segment);
  while (characters.join("").length > LIMITS.nameCharacters) characters.pop();
  return characters.join("").trim() || undefined;
}

function wordsOf(ending: Ending): FromWorker {
  switch (ending.kind) {
    case "stopped":
      return { kind: "phase", phase: "stopped", ...(ending.sentence === undefined ? {} : { detail: ending.sentence }) };
    case "finished":
      return { kind: "phase", phase: "finished", detail: ending.reason };
    case "failed":
      return { kind: "failed", failure: ending.failure, sentence: ending.sentence };
    default:
      return ending satisfies never;
  }
}
