/**
 * From Start to its end, in a Web Worker or in Node: loads the first shard, measures the backends, and lets a replica train.
 * Every ending is told in words, and everything that was opened is closed again.
 */

import type { BackendWish } from "../../shared/backends.ts";
import { planOf } from "../../shared/engine/run_plan.ts";
import type { RunSettings } from "../../shared/run_settings.ts";
import type { FromWorker, Phase } from "../messages.ts";
import type { Device } from "../replica/local_training.ts";
import { Replica, sentenceOf, type Ending } from "../replica/replica.ts";
import { Devices } from "./devices.ts";
import { Exam } from "./exam.ts";
import { Examples, examplesOf } from "./examples.ts";
import { fetchCenter } from "./fetched_center.ts";
import type { Surroundings } from "./surroundings.ts";

export interface ParticipationOptions {
  readonly settings: RunSettings;
  /** What the volunteer asks for; with `auto` the run's own wish decides. */
  readonly backend: BackendWish;
  /** The share of the time in which its replica computes; all of it where left out. */
  readonly dutyCycle?: number | undefined;
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
  #pause: PromiseWithResolvers<void> | undefined;

  constructor(options: ParticipationOptions) {
    this.#options = options;
    this.#surroundings = options.surroundings;
  }

  /** Never rejects. */
  async run(): Promise<void> {
    void this.#takePart().then(this.#ended.resolve, (error: unknown) =>
      this.#ended.resolve({ kind: "failed", sentence: sentenceOf(error) }),
    );
    const ending = await this.#ended.promise;
    this.#surroundings.abort.abort();
    this.#replica?.stop();
    this.#devices?.close();
    this.#options.tell(wordsOf(ending));
  }

  pause(): void {
    this.#pause ??= Promise.withResolvers();
    if (this.#replica) this.#replica.pause();
    else this.#tell({ kind: "phase", phase: "paused" });
  }

  resume(): void {
    if (!this.#pause) return;
    this.#pause.resolve();
    this.#pause = undefined;
    if (this.#replica) this.#replica.resume();
    else this.#tell({ kind: "phase", phase: this.#preparing });
  }

  stop(): void {
    if (this.#replica) this.#replica.stop();
    else this.#ended.resolve({ kind: "stopped" });
  }

  /** Something broke where nobody was waiting for it. */
  fail(sentence: string): void {
    this.#ended.resolve({ kind: "failed", sentence });
  }

  async #takePart(): Promise<Ending> {
    const { settings, backend, dutyCycle } = this.#options;
    const { clock, random, fetch, connect, openPeer, abort, warn } = this.#surroundings;
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
    const { count } = await examples.first();
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
      exam: new Exam({ settings, fetch, clock, random, signal: abort.signal }),
      asked: backend === "auto" ? settings.backend : backend,
      between: () => this.#between(),
      onChoice: (choice) => this.#tell({ kind: "backend", choice }),
      onTuning: (tuning) => this.#tell({ kind: "tuning", tuning }),
      warn,
      ...(winners ? { winners } : {}),
    });
    const devices = this.#devices;
    const device = await devices.choose();
    await this.#between();
    // Where the center comes down as changes, the coordinator keeps the versions that files are of.
    const { elements } = device.program.plan.layout;
    const held = settings.codecDown === "f32" ? undefined : await fetchCenter(this.#surroundings, elements);
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
      dutyCycle: dutyCycle ?? 1,
      replaceDevice: (whatHappened) => this.#replaceDevice(devices, whatHappened),
      onPhase: (phase, detail) => this.#tell({ kind: "phase", phase, ...(detail === undefined ? {} : { detail }) }),
      onProgress: (progress) => this.#tell({ kind: "progress", progress }),
    });
    return this.#replica.run();
  }

  #replaceDevice(devices: Devices, whatHappened: string): Promise<Device> {
    const sentence = /[.!?]$/.test(whatHappened) ? whatHappened : `${whatHappened}.`;
    this.#tell({ kind: "phase", phase: "measuring", detail: `${sentence} Another device is being prepared.` });
    return devices.replace(sentence);
  }

  #prepare(phase: Phase): void {
    this.#preparing = phase;
    if (!this.#pause) this.#tell({ kind: "phase", phase });
  }

  /** Between two pieces of work besides training: messages get in, a pause is kept, and a stop ends it. */
  async #between(): Promise<void> {
    const { clock, abort } = this.#surroundings;
    await clock.breathe();
    abort.signal.throwIfAborted();
    while (this.#pause) {
      await this.#pause.promise;
      abort.signal.throwIfAborted();
    }
  }

  /** Unless it comes after the end. */
  #tell(message: FromWorker): void {
    if (!this.#surroundings.abort.signal.aborted) this.#options.tell(message);
  }
}

function wordsOf(ending: Ending): FromWorker {
  switch (ending.kind) {
    case "stopped":
      return { kind: "phase", phase: "stopped" };
    case "finished":
      return { kind: "phase", phase: "finished", detail: ending.reason };
    case "failed":
      return { kind: "failed", failure: "other", sentence: ending.sentence };
    default:
      return ending satisfies never;
  }
}
