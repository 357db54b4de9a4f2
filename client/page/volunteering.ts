/**
 * From Start to the end, as the volunteer means it: waits for the tab's turn, keeps to the volunteer's own pause and to the rules
 * of power together, and lets `Training` run only in between. While anything holds it up before the first step, no worker exists.
 */

import type { Phase } from "../messages.ts";
import type { Decision } from "./power/rules.ts";
import type { Training } from "./training.ts";
import { Turn } from "./turn.ts";

/** What the page can show: of the worker, and before there is one. */
export type PagePhase = Phase | "queued";

export function isAtRest(phase: PagePhase): boolean {
  return phase === "idle" || phase === "stopped" || phase === "finished" || phase === "failed";
}

export interface VolunteeringOptions {
  readonly run: string;
  /** Headless volunteers take no turns: whoever started them knows how many. */
  readonly takesTurns: boolean;
  /** Of the rules and the machine, as they are. */
  readonly decision: Decision;
  /** Makes the worker; its phases come back by `phase`. */
  readonly launch: (dutyCycle: number) => Training;
  readonly show: (phase: PagePhase, detail: string | undefined) => void;
}

type Stage =
  /** Another tab of this run trains. */
  | { readonly kind: "queued" }
  /** It would begin, were there not a pause. */
  | { readonly kind: "held" }
  | { readonly kind: "running"; readonly training: Training }
  | { readonly kind: "ended" };

const CAP_REACHED = "The data cap of the day is reached: raise it to go on.";
const TAKEN = "Another tab of this run trains now.";

export class Volunteering {
  readonly #options: VolunteeringOptions;
  readonly #turn: Turn;
  #stage: Stage = { kind: "queued" };
  #decision: Decision;
  #isPausedByHand = false;
  #isPaused = false;
  #dutyCycle: number;
  /** Once it is to finish: why, as a sentence, where it was not the volunteer's wish. */
  #finishing: { readonly why: string | undefined } | undefined;

  constructor(options: VolunteeringOptions) {
    this.#options = options;
    this.#decision = options.decision;
    this.#dutyCycle = options.decision.dutyCycle;
    this.#turn = new Turn(options.run, {
      waits: () => options.show("queued", undefined),
      begins: () => {
        this.#stage = { kind: "held" };
        this.#settle();
      },
      isTaken: () => this.#end("stopped", TAKEN),
    });
  }

  get isPausedByHand(): boolean {
    return this.#isPausedByHand;
  }

  get training(): Training | undefined {
    return this.#stage.kind === "running" ? this.#stage.training : undefined;
  }

  start(): void {
    if (this.#options.takesTurns) return this.#turn.take();
    this.#stage = { kind: "held" };
    this.#settle();
  }

  /** Ends the other tab's turn and begins. */
  takeOver(): void {
    if (this.#stage.kind === "queued") this.#turn.takeOver();
  }

  pause(): void {
    this.#isPausedByHand = true;
    this.#settle();
  }

  resume(): void {
    this.#isPausedByHand = false;
    this.#settle();
  }

  decide(decision: Decision): void {
    this.#decision = decision;
    this.#settle();
  }

  finish(): void {
    this.#finish(undefined);
  }

  stop(): void {
    if (this.#stage.kind === "running") this.#stage.training.stop();
    else if (this.#stage.kind !== "ended") this.#end("stopped", undefined);
  }

  /** What the worker says. */
  phase(phase: Phase, detail: string | undefined): void {
    if (isAtRest(phase)) this.#end(phase, this.#finishing?.why ?? detail);
    else this.#options.show(phase, detail);
  }

  #finish(why: string | undefined): void {
    if (this.#stage.kind !== "running") return this.stop();
    if (this.#finishing !== undefined) return;
    this.#finishing = { why };
    this.#stage.training.finish();
    this.#options.show("finishing", undefined);
  }

  #settle(): void {
    const stage = this.#stage;
    if (stage.kind === "ended" || stage.kind === "queued") return;
    if (this.#decision.isCapReached) {
      if (stage.kind === "running") this.#finish(CAP_REACHED);
      else this.#end("stopped", CAP_REACHED);
      return;
    }
    const isPaused = this.#isPausedByHand || this.#decision.pauses.length > 0;
    if (stage.kind === "held") {
      if (isPaused) this.#options.show("paused", undefined);
      else this.#launch();
      return;
    }
    this.#steer(stage.training, isPaused);
  }

  #launch(): void {
    this.#dutyCycle = this.#decision.dutyCycle;
    this.#stage = { kind: "running", training: this.#options.launch(this.#dutyCycle) };
  }

  #steer(training: Training, isPaused: boolean): void {
    if (this.#dutyCycle !== this.#decision.dutyCycle) {
      this.#dutyCycle = this.#decision.dutyCycle;
      training.power(this.#dutyCycle);
    }
    if (this.#finishing !== undefined || this.#isPaused === isPaused) return;
    this.#isPaused = isPaused;
    if (isPaused) training.pause();
    else training.resume();
  }

  #end(phase: PagePhase, detail: string | undefined): void {
    if (this.#stage.kind === "ended") return;
    const training = this.training;
    this.#stage = { kind: "ended" };
    this.#turn.end();
    // Where it did not end by itself: another tab has its turn.
    training?.stop();
    this.#options.show(phase, detail);
  }
}
