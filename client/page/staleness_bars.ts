/** A staleness histogram as bars: how many pushes had staleness 0, 1, 2 …; one SVG path, because a table shows hundreds. */

import type { StalenessView } from "../../shared/run_view.ts";
import { decimal, whole } from "./format.ts";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 24;
const STEP = 5;
const FEWEST_BARS = 8;

export class StalenessBars {
  readonly element = document.createElementNS(SVG, "svg");
  readonly #path = document.createElementNS(SVG, "path");
  #drawn = "";

  constructor() {
    this.element.setAttribute("class", "bars");
    this.element.setAttribute("role", "img");
    this.element.setAttribute("preserveAspectRatio", "none");
    this.element.append(this.#path);
  }

  /** The staleness that the bar furthest to the right stands for. */
  static lastBarOf({ counts }: StalenessView): number {
    return Math.max(
      FEWEST_BARS - 1,
      counts.findLastIndex((count) => count > 0),
    );
  }

  show(staleness: StalenessView): void {
    const { counts } = staleness;
    const bars = StalenessBars.lastBarOf(staleness) + 1;
    const most = Math.max(1, ...counts);
    let outline = "";
    for (let index = 0; index < bars; index++) {
      const count = counts[index] ?? 0;
      // One push among thousands is still to be seen.
      const height = count === 0 ? 0.75 : Math.max(1.5, (count / most) * HEIGHT);
      outline += `M${index * STEP} ${HEIGHT}v-${height.toFixed(1)}h${STEP - 1}V${HEIGHT}z`;
    }
    if (outline === this.#drawn) return;
    this.#drawn = outline;
    this.element.setAttribute("viewBox", `0 0 ${bars * STEP - 1} ${HEIGHT}`);
    this.#path.setAttribute("d", outline);
    this.element.setAttribute(
      "aria-label",
      `Staleness of ${whole(counts.reduce((sum, count) => sum + count, 0))} pushes: median ${decimal(staleness.p50, 0)}, highest ${decimal(staleness.max, 0)}`,
    );
  }
}
