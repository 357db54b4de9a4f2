/**
 * Start, Pause or Resume, Finish, and Stop, with what is going on in words: what can be pressed follows from the phase, and
 * what it is called from who paused.
 */

import { byId, setText } from "./dom.ts";
import { reasonsInWords } from "./power/words.ts";
import type { PauseReason } from "./power/rules.ts";
import { isAtRest, type PagePhase } from "./volunteering.ts";

const WORDS: Record<PagePhase, string> = {
  idle: "Nothing runs before you press Start.",
  queued: "Another tab of this run trains; this one waits its turn",
  "loading-data": "Fetching training images",
  measuring: "Measuring what this machine can do",
  connecting: "Joining the run",
  training: "Training",
  paused: "Paused: nothing is computed",
  held: "The operator has the run wait: nothing is computed",
  finishing: "Completing the last exchange, then it stops",
  reconnecting: "The coordinator is out of reach; trying again",
  stopped: "Stopped: nothing is computed any more",
  finished: "The run is over. Thank you!",
  failed: "Training broke off",
};

const QUEUED_DETAIL =
  "It starts by itself when the other tab ends. One tab at a time, so that nothing is counted twice.";

export type Wish = "start" | "pause" | "resume" | "finish" | "stop" | "take-over";

/** What the volunteer and the rules of power hold up. */
export interface Holding {
  readonly isPausedByHand: boolean;
  readonly pauses: readonly PauseReason[];
  /** When it goes on. */
  readonly detail: string;
}

const NOT_HELD: Holding = { isPausedByHand: false, pauses: [], detail: "" };

export class Controls {
  readonly #start = byId("start", HTMLButtonElement);
  readonly #pause = byId("pause", HTMLButtonElement);
  readonly #finish = byId("finish", HTMLButtonElement);
  readonly #stop = byId("stop", HTMLButtonElement);
  readonly #takeOver = byId("take-over", HTMLButtonElement);
  readonly #words = byId("phase", HTMLElement);
  readonly #detail = byId("phase-detail", HTMLElement);
  readonly #wish: (wish: Wish) => void;
  #phase: PagePhase = "idle";
  #phaseDetail: string | undefined;
  #holding = NOT_HELD;
  #startable = false;
  #stopping = false;

  constructor(wish: (wish: Wish) => void) {
    this.#wish = wish;
    this.#start.addEventListener("click", () => wish("start"));
    this.#takeOver.addEventListener("click", () => wish("take-over"));
    this.#pause.addEventListener("click", () => this.#ask(this.#holding.isPausedByHand ? "resume" : "pause"));
    this.#finish.addEventListener("click", () => this.#ask("finish"));
    this.#stop.addEventListener("click", () => this.#ask("stop"));
  }

  get phase(): PagePhase {
    return this.#phase;
  }

  /** Whether there is anything to start: the run is known, and not over. */
  allowStart(startable: boolean): void {
    this.#startable = startable;
    this.#start.disabled = !startable;
  }

  show(phase: PagePhase, detail: string | undefined): void {
    this.#phase = phase;
    this.#phaseDetail = detail;
    document.body.dataset["phase"] = phase;
    if (isAtRest(phase)) {
      this.#stopping = false;
      this.#holding = NOT_HELD;
    }
    this.#draw();
  }

  /** Who holds it up; shown while it is paused. */
  held(holding: Holding): void {
    this.#holding = holding;
    this.#draw();
  }

  detail(text: string): void {
    this.#phaseDetail = text;
    this.#draw();
  }

  #ask(wish: Wish): void {
    if (this.#stopping) return;
    if (wish === "stop") {
      this.#stopping = true;
      this.#draw();
    }
    this.#wish(wish);
  }

  #draw(): void {
    const focused = document.activeElement;
    const phase = this.#phase;
    const { isPausedByHand, pauses } = this.#holding;
    const isHeldUp = phase === "paused" && pauses.length > 0;
    const words = isHeldUp ? `Paused, ${reasonsInWords(pauses)}` : WORDS[phase];
    setText(this.#words, this.#stopping ? "Stopping" : words);
    setText(this.#detail, this.#detailOf(isHeldUp));
    const atRest = isAtRest(phase);
    const isQueued = phase === "queued";
    const isFinishing = phase === "finishing";
    this.#start.hidden = !atRest || phase === "finished";
    this.#start.disabled = !this.#startable;
    setText(this.#start, phase === "idle" ? "Start" : "Start again");
    this.#takeOver.hidden = !isQueued;
    this.#pause.hidden = atRest || isQueued || isFinishing;
    this.#finish.hidden = this.#pause.hidden;
    this.#stop.hidden = atRest;
    setText(this.#pause, isPausedByHand ? "Resume" : "Pause");
    setText(this.#stop, isQueued ? "Do not wait" : "Stop");
    // Not `disabled`: that would take the focus away from whoever just pressed Stop by keyboard.
    for (const button of [this.#pause, this.#finish, this.#stop]) {
      button.setAttribute("aria-disabled", String(this.#stopping));
    }
    // Whoever works with the keyboard stays with the controls.
    if (!(focused instanceof HTMLButtonElement && focused.hidden)) return;
    [this.#start, this.#takeOver, this.#pause, this.#stop].find((button) => !button.hidden)?.focus();
  }

  #detailOf(isHeldUp: boolean): string {
    if (isHeldUp) return this.#holding.detail;
    if (this.#phase === "queued") return QUEUED_DETAIL;
    return this.#phaseDetail ?? "";
  }
}
