/** What was changed while the run went on: when, from what, to what, by whom. Newest first. */

import { SETTING_WORDS } from "../../shared/run_event_words.ts";
import type { RunChange } from "../../shared/run_view.ts";
import { byId, make } from "./dom.ts";
import { clock } from "./format.ts";

export class ChangeLog {
  readonly #nothing = byId("no-changes", HTMLElement);
  readonly #box = byId("changes-box", HTMLElement);
  readonly #rows = byId("changes", HTMLTableSectionElement);
  #shown = "";

  show(changes: readonly RunChange[]): void {
    const last = changes.at(-1);
    const key = JSON.stringify([changes.length, changes[0], last]);
    if (key === this.#shown) return;
    this.#shown = key;
    this.#nothing.hidden = changes.length > 0;
    this.#box.hidden = changes.length === 0;
    this.#rows.replaceChildren(...changes.toReversed().map(rowOf));
  }
}

function rowOf({ seconds, setting, from, to, by }: RunChange): HTMLElement {
  const row = make("tr");
  const words = SETTING_WORDS[setting];
  const head = make("th", "", words.charAt(0).toUpperCase() + words.slice(1));
  head.scope = "row";
  row.append(
    make("td", "when", clock(seconds)),
    head,
    make("td", "", from),
    make("td", "to", to),
    make("td", "", by === "autotune" ? "autotune" : "operator"),
  );
  return row;
}
