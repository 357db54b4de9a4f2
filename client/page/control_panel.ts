/** Orders to everybody: pause, resume, drain, finish. What the coordinator answers is said beside the buttons. */

import type { OperatorAnswer, OperatorRequest } from "../../shared/operator.ts";
import type { RunView } from "../../shared/run_view.ts";
import { confirmed } from "./confirm.ts";
import { byId } from "./dom.ts";
import { counted } from "./format.ts";
import { say } from "./said_answer.ts";

export class ControlPanel {
  readonly #pause = byId("pause", HTMLButtonElement);
  readonly #resume = byId("resume", HTMLButtonElement);
  readonly #drain = byId("drain", HTMLButtonElement);
  readonly #finish = byId("finish", HTMLButtonElement);
  readonly #answer = byId("order-answer", HTMLElement);
  readonly #send: (request: OperatorRequest) => Promise<OperatorAnswer>;
  #connected = 0;

  constructor(send: (request: OperatorRequest) => Promise<OperatorAnswer>) {
    this.#send = send;
    this.#pause.addEventListener("click", () => void this.#order({ kind: "pause" }));
    this.#resume.addEventListener("click", () => void this.#order({ kind: "resume" }));
    this.#drain.addEventListener("click", () => void this.#drainAll());
    this.#finish.addEventListener("click", () => void this.#finishRun());
  }

  /** `isClosed`: in a replay, and when the run is over. */
  show(view: RunView, isClosed: boolean): void {
    this.#connected = view.replicas.filter(({ connected }) => connected).length;
    this.#resume.classList.toggle("primary", view.isPaused);
    this.#pause.disabled = isClosed || view.isPaused;
    // A run that drains is resumed too, and then takes replicas again.
    for (const button of [this.#resume, this.#drain, this.#finish]) button.disabled = isClosed;
  }

  async #drainAll(): Promise<void> {
    const isSure = await confirmed({
      title: "Drain the run?",
      text: `${counted(this.#connected, "replica", "replicas")} complete their exchange and leave, and nobody joins until you press Resume. Nothing is lost.`,
      yes: "Drain all",
    });
    if (isSure) await this.#order({ kind: "drain", replica: null });
  }

  async #finishRun(): Promise<void> {
    const isSure = await confirmed({
      title: "Finish the run?",
      text: "The coordinator tells every replica that the run is over, judges the center, writes model and result, and ends. The run can go on later with --resume.",
      yes: "Finish the run",
    });
    if (isSure) await this.#order({ kind: "finish" });
  }

  async #order(request: OperatorRequest): Promise<void> {
    say(this.#answer, await this.#send(request));
  }
}
