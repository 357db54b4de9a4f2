/** Tells of a replica's phases, each once; a phase with words to it every time. */

import type { Phase } from "../messages.ts";

export class PhaseTeller {
  readonly #onPhase: (phase: Phase, detail?: string) => void;
  #phase: Phase = "idle";
  /** For the next phase in which it trains. */
  #news: string | undefined;

  constructor(onPhase: (phase: Phase, detail?: string) => void) {
    this.#onPhase = onPhase;
  }

  say(phase: Phase, detail?: string): void {
    if (phase === this.#phase && detail === undefined) return;
    this.#phase = phase;
    this.#onPhase(phase, detail);
  }

  /** To be told as soon as it trains. */
  sayOnceTraining(news: string): void {
    this.#news = news;
  }

  training(): void {
    const news = this.#news;
    this.#news = undefined;
    this.say("training", news);
  }

  /** Somebody else told the volunteer of other phases meanwhile. */
  forget(): void {
    this.#phase = "idle";
  }

  /** `hasJoined`: it was connected before. `trains`: it goes on meanwhile. */
  disconnected(retryInMs: number | undefined, { hasJoined, trains }: { hasJoined: boolean; trains: boolean }): void {
    if (retryInMs === undefined) return this.say("connecting");
    const retry = `the next try is in ${(retryInMs / 1000).toFixed(1)} s`;
    // The page and its data came by HTTP: a proxy that is set up halfway is likelier than no coordinator.
    if (!hasJoined) {
      return this.say(
        "connecting",
        `The coordinator does not answer by WebSocket; ${retry}. Where this does not end, a proxy on the way does not pass on WebSockets, or not the Host header.`,
      );
    }
    const meanwhile = trains ? " Training goes on here meanwhile." : "";
    this.say("reconnecting", `The coordinator is out of reach; ${retry}.${meanwhile}`);
  }
}
