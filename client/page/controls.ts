/** Start, Pause or Resume, and Stop, with what is going on in words: what can be pressed follows from the phase alone. */

import type { Phase } from "../messages.ts";
import { byId, setText } from "./dom.ts";

const WORDS: Record<Phase, string> = {
  idle: "Nothing runs before you press Start.",
  "loading-data": "Fetching training images",
  measuring: "Measuring what this machine can do",
  connecting: "Joining the run",
  training: "Training",
  paused: "Paused: nothing is computed",
  held: "The operator has the run wait: nothing is computed",
  finishing: "Completing the last exchange",
  reconnecting: "The coordinator is out of reach; trying again",
  stopped: "Stopped: nothing is computed any more",
  finished: "The run is over. Thank you!",
  failed: "Training broke off",
};

const STOPPING = "Stopping";

export type Wish = "start" | "pause" | "resume" | "stop";

export function isAtRest(phase: Phase): boolean {
  return phase === "idle" || phase === "stopped" || phase === "finished" || phase === "failed";
}

export class Controls {
  readonly #start = byId("start", HTMLButtonElement);
  readonly #pause = byId("pause", HTMLButtonElement);
  readonly #stop = byId("stop", HTMLButtonElement);
  readonly #words = byId("phase", HTMLElement);
  readonly #detail = byId("phase-detail", HTMLElement);
  #phase: Phase = "idle";
  #startable = false;
  #stopping = false;

  constructor(wish: (wish: Wish) => void) {
    this.#start.addEventListener("click", () => wish("start"));
    this.#pause.addEventListener("click", () => {
      if (this.#stopping) return;
      const resume = this.#phase === "paused";
      setText(this.#words, resume ? "Resuming" : "Pausing");
      wish(resume ? "resume" : "pause");
    });
    this.#stop.addEventListener("click", () => {
      if (this.#stopping) return;
      setText(this.#words, STOPPING);
      this.#setStopping(true);
      wish("stop");
    });
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** Whether there is anything to start: the run is known, and not over. */
  allowStart(startable: boolean): void {
    this.#startable = startable;
    this.#start.disabled = !startable;
  }

  show(phase: Phase, detail: string | undefined): void {
    const focused = document.activeElement;
    this.#phase = phase;
    document.body.dataset["phase"] = phase;
    setText(this.#words, WORDS[phase]);
    this.detail(detail ?? "");
    const atRest = isAtRest(phase);
    this.#start.hidden = !atRest || phase === "finished";
    this.#start.disabled = !this.#startable;
    setText(this.#start, phase === "idle" ? "Start" : "Start again");
    for (const button of [this.#pause, this.#stop]) {
      button.hidden = atRest;
    }
    if (atRest) this.#setStopping(false);
    setText(this.#pause, phase === "paused" ? "Resume" : "Pause");
    // Whoever works with the keyboard stays with the controls.
    if (focused instanceof HTMLButtonElement && focused.hidden) (atRest ? this.#start : this.#pause).focus();
  }

  detail(text: string): void {
    setText(this.#detail, text);
  }

  /** Not `disabled`: that would take the focus away from whoever just pressed Stop by keyboard. */
  #setStopping(stopping: boolean): void {
    this.#stopping = stopping;
    for (const button of [this.#pause, this.#stop]) button.setAttribute("aria-disabled", String(stopping));
  }
}
