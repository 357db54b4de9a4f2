/** What the autotuner chose and why, newest first; older choices are shown on demand. Only there in a run that it tunes. */

import type { AutotuneDecision } from "../../shared/run_view.ts";
import { byId, make, setText } from "./dom.ts";
import { clock, counted, figure } from "./format.ts";

const SHOWN_AT_FIRST = 6;

export class AutotuneCard {
  readonly #card = byId("autotune", HTMLElement);
  readonly #list = byId("decisions", HTMLOListElement);
  readonly #more = byId("more-decisions", HTMLButtonElement);
  #decisions: readonly AutotuneDecision[] = [];
  #all = false;

  constructor() {
    this.#more.addEventListener("click", () => {
      this.#all = true;
      this.#draw();
    });
  }

  show(decisions: readonly AutotuneDecision[]): void {
    this.#card.hidden = decisions.length === 0;
    // Decisions are only ever added, unless it is another run's coordinator.
    const isNew = decisions.length !== this.#decisions.length || decisions[0]?.seconds !== this.#decisions[0]?.seconds;
    this.#decisions = decisions;
    if (isNew) this.#draw();
  }

  #draw(): void {
    const newestFirst = this.#decisions.toReversed();
    const shown = this.#all ? newestFirst : newestFirst.slice(0, SHOWN_AT_FIRST);
    this.#list.replaceChildren(...shown.map(entryOf));
    const hidden = this.#decisions.length - shown.length;
    this.#more.hidden = hidden === 0;
    setText(this.#more, `Show ${counted(hidden, "earlier choice", "earlier choices")}`);
  }
}

function entryOf({ seconds, phase, groups, momentum, learningRate, reason }: AutotuneDecision): HTMLElement {
  const entry = make("li");
  const head = make("p", "decision");
  const values = `${counted(groups, "group", "groups")} · learning rate ${figure(learningRate)} · momentum ${figure(momentum)}`;
  head.append(make("span", "when", clock(seconds)), make("span", "chip", phase), make("b", "", values));
  entry.append(head, make("p", "small", reason));
  return entry;
}
