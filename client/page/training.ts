/**
 * One stretch of training from Start to its end: owns the Web Worker, which exists only meanwhile. Stop is kept even
 * where the worker does not answer: it is terminated.
 */

import type {
  BackendChoice,
  FailureKind,
  FromWorker,
  Phase,
  ReplicaIdentity,
  ReplicaProgress,
  ToWorker,
  Tuning,
} from "../messages.ts";
import type { BackendWish } from "../../shared/backends.ts";
import type { RunSettings } from "../../shared/run_settings.ts";
import { pagePeers } from "./page_peers.ts";
import { addressOf, socketAddress } from "./addresses.ts";

export interface VolunteerWish {
  readonly backend: BackendWish;
  /** Of WASM; undefined leaves it to the client. */
  readonly threads: number | undefined;
  /** The share of the time in which it computes; undefined: all of it. */
  readonly dutyCycle: number | undefined;
  /** Connections to other volunteers, which show them this computer's address. */
  readonly allowsPeers: boolean;
  /** For the leaderboard and the model card; undefined: none. */
  readonly name: string | undefined;
  /** From an earlier visit. */
  readonly identity: ReplicaIdentity | undefined;
}

/** The volunteer sees an end within 250 ms; the rest of that is for the browser to draw it. */
const STOP_DEADLINE_MS = 200;

export interface TrainingListener {
  phase(phase: Phase, detail: string | undefined): void;
  loading(loadedExamples: number, examples: number): void;
  backend(choice: BackendChoice): void;
  tuning(tuning: Tuning): void;
  progress(progress: ReplicaProgress): void;
  identity(identity: ReplicaIdentity): void;
  /** A sentence with the fix; the phase `failed` follows. */
  failed(failure: FailureKind, sentence: string): void;
}

export class Training {
  readonly #listener: TrainingListener;
  readonly #peers = pagePeers((report, transfer) =>
    this.#worker?.postMessage({ kind: "peer", report } satisfies ToWorker, transfer),
  );
  #worker: Worker | undefined;
  #hasSpoken = false;
  #deadline = 0;

  constructor(settings: RunSettings, wish: VolunteerWish, listener: TrainingListener) {
    this.#listener = listener;
    const worker = new Worker(new URL("../worker/worker.ts", import.meta.url), { type: "module", name: "drove" });
    this.#worker = worker;
    worker.addEventListener("message", (event: MessageEvent<FromWorker>) => this.#take(event.data));
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      const cause = event.message === "" || event.message === undefined ? "" : ` (${event.message})`;
      // Its file is gone where the coordinator was renewed since this page was loaded.
      this.#fail(
        this.#hasSpoken || cause !== "" ? "other" : "old-client",
        `The part of this page that computes broke off${cause}. Reload the page to get the current client, and start again.`,
      );
    });
    worker.addEventListener("messageerror", () => {
      this.#fail(
        "other",
        "The part of this page that computes sent something unreadable. Reload the page and start again.",
      );
    });
    this.#send({ kind: "start", settings, socketUrl: socketAddress(), dataUrl: addressOf(""), ...wish });
  }

  pause(): void {
    this.#send({ kind: "pause" });
  }

  resume(): void {
    this.#send({ kind: "resume" });
  }

  /** Completes the exchange that is begun, and ends. */
  finish(): void {
    this.#send({ kind: "finish" });
  }

  /** The share of the time in which it computes, above 0 and up to 1. */
  power(dutyCycle: number): void {
    this.#send({ kind: "power", dutyCycle });
  }

  visibility(isHidden: boolean): void {
    this.#send({ kind: "visibility", isHidden });
  }

  name(name: string | undefined): void {
    this.#send({ kind: "name", name });
  }

  /** Lets the worker say goodbye to the coordinator, for as long as the deadline. */
  stop(): void {
    this.#send({ kind: "stop" });
    this.#endBy("stopped", undefined);
  }

  #send(message: ToWorker): void {
    this.#worker?.postMessage(message);
  }

  #take(message: FromWorker): void {
    if (this.#worker === undefined) return;
    this.#hasSpoken = true;
    switch (message.kind) {
      case "phase":
        this.#takePhase(message.phase, message.detail);
        return;
      case "loading":
        this.#listener.loading(message.loadedExamples, message.examples);
        return;
      case "backend":
        this.#listener.backend(message.choice);
        return;
      case "tuning":
        this.#listener.tuning(message.tuning);
        return;
      case "progress":
        this.#listener.progress(message.progress);
        return;
      case "identity":
        this.#listener.identity(message.identity);
        return;
      case "peer":
        this.#peers.take(message.request);
        return;
      case "failed":
        this.#fail(message.failure, message.sentence);
        return;
      default:
        message satisfies never;
    }
  }

  #takePhase(phase: Phase, detail: string | undefined): void {
    if (phase === "stopped" && this.#deadline !== 0) {
      // As was asked for.
      this.#end(phase, detail);
    } else if (phase === "stopped" || phase === "finished" || phase === "failed") {
      // The last numbers, or the sentence, may still be on their way.
      this.#endBy(phase, detail);
    } else if (this.#deadline === 0) {
      // After Stop nothing but the end is news.
      this.#listener.phase(phase, detail);
    }
  }

  #fail(failure: FailureKind, sentence: string): void {
    if (this.#worker === undefined) return;
    this.#listener.failed(failure, sentence);
    this.#end("failed", undefined);
  }

  #endBy(phase: Phase, detail: string | undefined): void {
    if (this.#worker === undefined || this.#deadline !== 0) return;
    this.#deadline = window.setTimeout(() => this.#end(phase, detail), STOP_DEADLINE_MS);
  }

  #end(phase: Phase, detail: string | undefined): void {
    clearTimeout(this.#deadline);
    this.#worker?.terminate();
    this.#peers.close();
    this.#worker = undefined;
    this.#listener.phase(phase, detail);
  }
}
