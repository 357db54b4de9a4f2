/** All replicas of the run: who is here first, by what they gave; those who left below. A large drove is shown on demand. */

import type { ReplicaView } from "../../shared/run_view.ts";
import { byId, setText } from "./dom.ts";
import { counted } from "./format.ts";
import { ReplicaRow } from "./replica_row.ts";
import { isPlain } from "./travel.ts";

const SHOWN_AT_FIRST = 50;
/** Of waiting, by one replica. */
const WORTH_TELLING_SECONDS = 1;

export class ReplicaTable {
  readonly #body = byId("rows", HTMLTableSectionElement);
  readonly #box = byId("table-box", HTMLElement);
  readonly #nobody = byId("no-replicas", HTMLElement);
  readonly #more = byId("more", HTMLButtonElement);
  readonly #rows = new Map<string, ReplicaRow>();
  #replicas: readonly ReplicaView[] = [];
  #all = false;

  constructor() {
    this.#more.addEventListener("click", () => {
      this.#all = true;
      this.show(this.#replicas);
    });
  }

  show(replicas: readonly ReplicaView[]): void {
    this.#replicas = replicas;
    this.#box.hidden = replicas.length === 0;
    this.#nobody.hidden = replicas.length > 0;
    this.#showColumns(replicas);
    const ordered = replicas.toSorted(byPresenceAndShare);
    const shown = this.#all ? ordered : ordered.slice(0, SHOWN_AT_FIRST);
    const hidden = ordered.length - shown.length;
    this.#more.hidden = hidden === 0;
    setText(this.#more, `Show ${counted(hidden, "more replica", "more replicas")}`);
    const ids = new Set(shown.map((replica) => replica.id));
    for (const [id, row] of this.#rows) {
      if (ids.has(id)) continue;
      row.element.remove();
      this.#rows.delete(id);
    }
    shown.forEach((replica, index) => {
      const row = this.#rowOf(replica.id);
      row.show(replica);
      const there = this.#body.children.item(index);
      if (there !== row.element) this.#body.insertBefore(row.element, there);
    });
  }

  /** Columns that would say the same of everybody stay away. */
  #showColumns(replicas: readonly ReplicaView[]): void {
    const here = replicas.filter(({ connected }) => connected);
    const works = new Set(here.map(({ communicationPeriod, batchShare }) => `${communicationPeriod} ${batchShare}`));
    const { classList } = this.#box;
    classList.toggle(
      "has-groups",
      here.some(({ group }) => group !== null),
    );
    classList.toggle("has-work", works.size > 1);
    classList.toggle(
      "has-travels",
      replicas.some((replica) => !isPlain(replica)),
    );
    classList.toggle(
      "has-waits",
      replicas.some(({ heldSeconds }) => heldSeconds >= WORTH_TELLING_SECONDS),
    );
  }

  #rowOf(id: string): ReplicaRow {
    const known = this.#rows.get(id);
    if (known !== undefined) return known;
    const row = new ReplicaRow();
    this.#rows.set(id, row);
    return row;
  }
}

function byPresenceAndShare(a: ReplicaView, b: ReplicaView): number {
  if (a.connected !== b.connected) return a.connected ? -1 : 1;
  // Coarse, so that rows of nearly equal share do not jump about.
  const byShare = Math.round(b.share * 20) - Math.round(a.share * 20);
  return byShare === 0 ? a.id.localeCompare(b.id, "en", { numeric: true }) : byShare;
}
