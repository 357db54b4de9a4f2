/** One row of the operator's table of replicas. Shows whichever replica it is given, and writes only what changed, so that rows are reused. */

import type { ReplicaView } from "../../shared/run_view.ts";
import { make, setText } from "./dom.ts";
import { decimal, duration, percent, short, whole } from "./format.ts";
import { COLUMNS, type ColumnName } from "./replica_columns.ts";
import { StalenessBars } from "./staleness_bars.ts";
import { codecsOf, lossOf, wayOf } from "./travel.ts";

const BACKENDS: Record<ReplicaView["backend"], string> = {
  webgpu: "WebGPU",
  wasm: "WASM",
  hybrid: "WebGPU and WASM",
  none: "no backend",
};

export type ReplicaOrder = "drain" | "kick";

/** Cells that take a whole line on a phone. */
const WIDE: ReadonlySet<ColumnName> = new Set(["device", "travels", "staleness"]);

export class ReplicaRow {
  readonly element = make("tr");
  readonly #id = make("span");
  readonly #name = make("span", "name");
  readonly #presence = make("i", "presence");
  readonly #badges = make("span", "badges");
  readonly #bars = new StalenessBars();
  readonly #drain = make("button", "quiet", "Drain");
  readonly #kick = make("button", "quiet danger", "Kick");
  /** Of every other column: what is said, and less important, what goes with it. */
  readonly #texts = new Map<ColumnName, { readonly main: HTMLElement; readonly sub: HTMLElement }>();
  readonly #refused: HTMLElement;
  #shown = "";

  constructor(order: (kind: ReplicaOrder, replica: string) => void) {
    const head = make("th");
    head.scope = "row";
    const words = make("span", "words");
    words.append(this.#id, this.#name, this.#badges);
    head.append(this.#presence, words);
    this.element.append(head);
    for (const { name, title, isNumber, shownIf } of COLUMNS.slice(1)) {
      const cell = make("td", [isNumber ? "number" : "", WIDE.has(name) ? "full" : "", shownIf ?? ""].join(" ").trim());
      cell.dataset["label"] = title;
      const texts = { main: make("span", "main"), sub: make("span", "small") };
      cell.append(texts.main, texts.sub);
      if (name === "staleness") cell.append(this.#bars.element);
      this.#texts.set(name, texts);
      this.element.append(cell);
    }
    this.#refused = this.#texts.get("refused")?.main ?? this.#id;
    const orders = make("td", "orders-cell full");
    for (const [button, kind] of [
      [this.#drain, "drain"],
      [this.#kick, "kick"],
    ] as const) {
      button.type = "button";
      button.addEventListener("click", () => order(kind, this.#shown));
      orders.append(button);
    }
    this.element.append(orders);
  }

  show(replica: ReplicaView, isControlled: boolean): void {
    const { id, staleness, connected, isDraining } = replica;
    this.#shown = id;
    this.element.className = connected ? "" : "left";
    this.element.dataset["replica"] = id;
    this.#presence.title = connected ? "connected" : "left";
    setText(this.#id, id);
    // A volunteer's own words: text, never markup.
    setText(this.#name, replica.name ?? "");
    setText(this.#badges, badgesOf(replica).join(" · "));
    this.#write("device", replica.device === "" ? "–" : replica.device, BACKENDS[replica.backend]);
    const duty = connected && replica.dutyCycle < 1 ? `at ${percent(replica.dutyCycle, 0)} power` : "";
    this.#write("speed", connected ? whole(replica.samplesPerSecond) : "–", duty);
    this.#write("samples", short(replica.samples), percent(replica.share));
    const work = `${whole(replica.communicationPeriod)} × ${whole(replica.batchShare)}`;
    this.#write("work", connected ? work : "–");
    this.#write("group", groupWords(replica), replica.averagesDirectly ? "direct" : "");
    this.#write("applied", whole(replica.applied));
    this.#write("refused", whole(replica.refused));
    this.#refused.classList.toggle("some-refused", replica.refused > 0);
    this.#write("waited", duration(replica.heldSeconds));
    this.#write(
      "travels",
      wayOf(replica),
      [codecsOf(replica), lossOf(replica)].filter((words) => words !== "").join(" · "),
    );
    this.#write(
      "staleness",
      `${decimal(staleness.mean, 1)} · ${decimal(staleness.p50, 0)} · ${decimal(staleness.p99, 0)} · ${decimal(staleness.max, 0)}`,
    );
    this.#bars.show(staleness);
    this.#kick.disabled = !connected || !isControlled;
    this.#drain.disabled = !connected || !isControlled || isDraining;
    this.#kick.setAttribute("aria-label", `Kick ${id}`);
    this.#drain.setAttribute("aria-label", `Drain ${id}`);
  }

  #write(column: ColumnName, main: string, sub = ""): void {
    const texts = this.#texts.get(column);
    if (texts === undefined) return;
    setText(texts.main, main);
    setText(texts.sub, sub);
  }
}

function badgesOf({ connected, isDraining, isHidden }: ReplicaView): string[] {
  if (!connected) return ["left"];
  return [...(isDraining ? ["draining"] : []), ...(isHidden ? ["in the background"] : [])];
}

/** Counted from 1 for people. */
function groupWords({ group }: ReplicaView): string {
  return group === null ? "–" : whole(group + 1);
}
