/** Who offered a name, by the images that their replicas trained on. Names come from volunteers: they are text, never markup. */

import type { LeaderboardRow } from "../../shared/run_view.ts";
import { byId, make } from "./dom.ts";
import { percent, short } from "./format.ts";

export class Leaderboard {
  readonly #card = byId("leaders", HTMLElement);
  readonly #list = byId("leaderboard", HTMLOListElement);
  #drawn = "";

  show(rows: readonly LeaderboardRow[], ownName: string | null): void {
    this.#card.hidden = rows.length === 0;
    const drawn = JSON.stringify([rows, ownName]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.#list.replaceChildren(...rows.map((row) => entryOf(row, row.name === ownName)));
  }
}

function entryOf({ name, samples, share, connected }: LeaderboardRow, isOwn: boolean): HTMLElement {
  const entry = make("li", isOwn ? "own-row" : "");
  const who = make("span", "who", name);
  if (connected) who.append(make("span", "chip", isOwn ? "you, training" : "training"));
  entry.append(who, make("b", "", short(samples)), make("span", "small", percent(share)));
  return entry;
}
