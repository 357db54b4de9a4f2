/**
 * The drove as a picture: the center walks in front, every connected replica follows as far behind as its pushes are
 * stale on average. One's own is filled with the accent colour.
 */

import type { ReplicaView } from "../../shared/run_view.ts";
import { counted, decimal } from "./format.ts";
import { make, setText } from "./dom.ts";

const MOST_DRAWN = 24;
const ROWS = 3;

export class DroveStrip {
  readonly #field = make("div", "drove-field");
  readonly #caption = make("p", "small");
  readonly #edge = make("p", "drove-edge small", "the center");
  readonly #boars = new Map<string, HTMLElement>();

  constructor(host: HTMLElement) {
    this.#field.setAttribute("aria-hidden", "true");
    host.append(this.#edge, this.#field, this.#caption);
  }

  show(replicas: readonly ReplicaView[], own: string | undefined): void {
    const here = replicas.filter((replica) => replica.connected);
    const drawn = here.slice(0, MOST_DRAWN);
    const mine = here.find((replica) => replica.id === own);
    if (mine !== undefined && !drawn.includes(mine)) drawn[drawn.length - 1] = mine;
    const stalest = Math.max(4, ...drawn.map((replica) => replica.staleness.mean));
    const ids = new Set(drawn.map((replica) => replica.id));
    for (const [id, boar] of this.#boars) {
      if (ids.has(id)) continue;
      boar.remove();
      this.#boars.delete(id);
    }
    drawn.forEach((replica, index) => {
      const boar = this.#boarOf(replica.id);
      boar.classList.toggle("own", replica.id === own);
      boar.style.left = `${(1 - replica.staleness.mean / stalest) * 82}%`;
      boar.style.top = `${6 + (index % ROWS) * 30}%`;
      boar.title = `${replica.id}: ${decimal(replica.staleness.mean, 1)} versions behind on average`;
    });
    setText(this.#caption, captionOf(here.length, mine, here.length - drawn.length));
    this.#edge.hidden = here.length === 0;
  }

  #boarOf(id: string): HTMLElement {
    const known = this.#boars.get(id);
    if (known !== undefined) return known;
    const boar = make("i", "boar");
    this.#boars.set(id, boar);
    this.#field.append(boar);
    return boar;
  }
}

function captionOf(here: number, mine: ReplicaView | undefined, notDrawn: number): string {
  if (here === 0) return "Nobody is training right now.";
  const others = here - (mine === undefined ? 0 : 1);
  const more = notDrawn > 0 ? ` (${notDrawn} not drawn)` : "";
  if (mine === undefined)
    return `${counted(here, "machine trains", "machines train")} now${more}. The nearer to the center, the fresher their pushes.`;
  const behind = `yours is ${decimal(mine.staleness.mean, 1)} versions behind on average`;
  return others === 0
    ? `Only your machine trains now${more}; ${behind}.`
    : `Your machine and ${counted(others, "other", "others")}${more}; ${behind}.`;
}
