/**
 * Asks the trial's Web Worker what the newest center says to an image. The worker exists from the first image on; of images that
 * come while it computes, only the newest is asked about.
 */

import type { RunSettings } from "../../../shared/run_settings.ts";
import type { FromTrialWorker, ToTrialWorker, TrialAnswer } from "../../trial/messages.ts";
import { addressOf } from "../addresses.ts";

export interface AskerListener {
  answer(answer: TrialAnswer): void;
  fetched(bytes: number): void;
  /** A sentence with the fix. */
  trouble(sentence: string): void;
}

export class Asker {
  readonly #settings: RunSettings;
  readonly #listener: AskerListener;
  #worker: Worker | undefined;
  #looks = 0;
  #isAsking = false;
  #waiting: Uint8Array<ArrayBuffer> | undefined;
  newestVersion: number | undefined;

  constructor(settings: RunSettings, listener: AskerListener) {
    this.#settings = settings;
    this.#listener = listener;
  }

  /** `pixels`: as the model reads them. */
  ask(pixels: Uint8Array<ArrayBuffer>): void {
    if (this.#isAsking) {
      this.#waiting = pixels;
      return;
    }
    this.#isAsking = true;
    this.#looks += 1;
    const { newestVersion } = this;
    this.#send({ kind: "look", look: this.#looks, pixels, newestVersion });
  }

  /** Nobody wants the last answer any more. */
  forget(): void {
    this.#waiting = undefined;
    this.#looks += 1;
    this.#isAsking = false;
  }

  #send(message: ToTrialWorker): void {
    this.#worker ??= this.#open();
    this.#worker.postMessage(message);
  }

  #open(): Worker {
    // Vite finds a worker by this very form.
    const worker = new Worker(new URL("../../trial/worker/trial_worker.ts", import.meta.url), { type: "module" });
    worker.addEventListener("message", ({ data }: MessageEvent<FromTrialWorker>) => this.#take(data));
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      worker.terminate();
      this.#worker = undefined;
      this.forget();
      this.#listener.trouble(
        "The part of this page that asks the model did not come, or broke off. Check that the coordinator is in reach, reload the page and try again.",
      );
    });
    const { model, data } = this.#settings;
    const { normalisation } = data;
    worker.postMessage({ kind: "open", model, normalisation, baseUrl: addressOf("") } satisfies ToTrialWorker);
    return worker;
  }

  #take(message: FromTrialWorker): void {
    switch (message.kind) {
      case "fetched":
        this.#listener.fetched(message.bytes);
        return;
      case "answer":
        if (message.look !== this.#looks) return;
        this.#listener.answer(message);
        this.#next();
        return;
      case "trouble":
        if (message.look !== this.#looks) return;
        this.#listener.trouble(message.sentence);
        this.#next();
        return;
      default:
        message satisfies never;
    }
  }

  #next(): void {
    this.#isAsking = false;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting) this.ask(waiting);
  }
}
