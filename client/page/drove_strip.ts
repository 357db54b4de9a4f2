/**
 * The drove as a picture: the center walks in front, and every machine that trains follows as far behind as pushes are stale.
 * Where the others stand is drawn from the run's histogram of staleness, since nobody is told of a single one; one's own stands
 * where it is, in the accent colour.
 */

import type { PublicView, StalenessView } from "../../shared/run_view.ts";
import { counted, decimal } from "./format.ts";
import { make, setText } from "./dom.ts";

const MOST_DRAWN = 24;
const ROWS = 3;
/** The drove's picture is never drawn finer than this. */
const FEWEST_VERSIONS = 4;

type Seen = Pick<PublicView, "connected" | "staleness" | "own">;

export class DroveStrip {
  readonly #field = make("div", "drove-field");
  readonly #caption = make("p", "small");
  readonly #edge = make("p", "drove-edge small", "the center");
  readonly #others: HTMLElement[] = [];
  readonly #mine = make("i", "boar own");

  constructor(host: HTMLElement) {
    this.#field.setAttribute("aria-hidden", "true");
    host.append(this.#edge, this.#field, this.#caption);
  }

  show({ connected, staleness, own }: Seen): void {
    const mine = own?.connected === true ? own.staleness.mean : undefined;
    const others = Math.max(0, connected - (mine === undefined ? 0 : 1));
    const drawn = Math.min(MOST_DRAWN, others);
    const places = Array.from({ length: drawn }, (_none, index) => quantile(staleness, (index + 0.5) / drawn));
    const stalest = Math.max(FEWEST_VERSIONS, mine ?? 0, ...places);
    while (this.#others.length > drawn) this.#others.pop()?.remove();
    places.forEach((behind, index) => place(this.#otherAt(index), behind / stalest, index + 1));
    if (mine === undefined) {
      this.#mine.remove();
    } else {
      if (!this.#mine.isConnected) this.#field.append(this.#mine);
      place(this.#mine, mine / stalest, 0);
    }
    setText(this.#caption, captionOf(connected, mine, others - drawn));
    this.#edge.hidden = connected === 0;
  }

  #otherAt(index: number): HTMLElement {
    const known = this.#others[index];
    if (known !== undefined) return known;
    const boar = make("i", "boar");
    this.#others.push(boar);
    this.#field.append(boar);
    return boar;
  }
}

function place(boar: HTMLElement, behind: number, row: number): void {
  boar.style.left = `${(1 - behind) * 82}%`;
  boar.style.top = `${6 + (row % ROWS) * 30}%`;
}

/** The staleness that this share of all pushes stays below. */
function quantile({ counts }: StalenessView, share: number): number {
  const wanted = counts.reduce((sum, count) => sum + count, 0) * share;
  let seen = 0;
  for (const [staleness, count] of counts.entries()) {
    seen += count;
    if (seen >= wanted) return staleness;
  }
  return 0;
}

function captionOf(here: number, mine: number | undefined, notDrawn: number): string {
  if (here === 0) return "Nobody is training right now.";
  const more = notDrawn > 0 ? ` (${notDrawn} not drawn)` : "";
  if (mine === undefined)
    return `${counted(here, "machine trains", "machines train")} now${more}. The nearer to the center, the fresher the pushes.`;
  const behind = `yours is ${decimal(mine, 1)} versions behind on average`;
  return here === 1
    ? `Only your machine trains now; ${behind}.`
    : `Your machine and ${counted(here - 1, "other", "others")}${more}; ${behind}.`;
}
