/**
 * All replicas of the run in an order that the operator chooses, a page at a time, with drain and kick for each. The order holds still while
 * somebody points at the table or has the focus in it: nobody shall kick the one that has just jumped there.
 */

import type { OperatorAnswer, OperatorRequest } from "../../shared/operator.ts";
import type { ReplicaView } from "../../shared/run_view.ts";
import { confirmed } from "./confirm.ts";
import { byId, make, setText } from "./dom.ts";
import { counted, whole } from "./format.ts";
import { COLUMNS, sorted, type ColumnName, type SortOrder } from "./replica_columns.ts";
import { ReplicaRow, type ReplicaOrder } from "./replica_row.ts";
import { say } from "./said_answer.ts";

const ROWS_PER_PAGE = 25;
const RESORT_MS = 3000;
/** Of waiting, by one replica. */
const WORTH_TELLING_SECONDS = 1;

export class ReplicaTable {
  readonly #head = byId("replica-head", HTMLTableRowElement);
  readonly #body = byId("rows", HTMLTableSectionElement);
  readonly #box = byId("table-box", HTMLElement);
  readonly #nobody = byId("no-replicas", HTMLElement);
  readonly #count = byId("replica-count", HTMLElement);
  readonly #answer = byId("replica-answer", HTMLElement);
  readonly #sort = byId("sort", HTMLSelectElement);
  readonly #direction = byId("sort-direction", HTMLButtonElement);
  readonly #pager = byId("pager", HTMLElement);
  readonly #send: (request: OperatorRequest) => Promise<OperatorAnswer>;
  readonly #rows = new Map<string, ReplicaRow>();
  readonly #free: ReplicaRow[] = [];
  #replicas: readonly ReplicaView[] = [];
  #order: SortOrder = { column: "speed", isReversed: false };
  /** Ids as they were last sorted. */
  #ranks: ReadonlyMap<string, number> = new Map();
  #sortedMs = Number.NEGATIVE_INFINITY;
  #page = 0;
  #isControlled = true;

  constructor(send: (request: OperatorRequest) => Promise<OperatorAnswer>) {
    this.#send = send;
    this.#makeHead();
    this.#sort.addEventListener("change", () => {
      const chosen = COLUMNS.find(({ name }) => name === this.#sort.value);
      if (chosen !== undefined) this.#sortBy(chosen.name);
    });
    this.#direction.addEventListener("click", () => this.#sortBy(this.#order.column));
    byId("page-before", HTMLButtonElement).addEventListener("click", () => this.#turn(-1));
    byId("page-after", HTMLButtonElement).addEventListener("click", () => this.#turn(1));
    this.#showOrder();
  }

  /** False in a replay: there is nobody to kick. */
  control(isControlled: boolean): void {
    this.#isControlled = isControlled;
    this.#draw();
  }

  show(replicas: readonly ReplicaView[]): void {
    this.#replicas = replicas;
    this.#draw();
  }

  #draw(): void {
    const replicas = this.#replicas;
    const here = replicas.filter(({ connected }) => connected).length;
    this.#box.hidden = replicas.length === 0;
    this.#nobody.hidden = replicas.length > 0;
    setText(
      this.#count,
      replicas.length === 0 ? "" : `${whole(here)} connected, ${whole(replicas.length - here)} left`,
    );
    this.#showColumns(replicas);
    const ordered = this.#ordered(replicas);
    const pages = Math.max(1, Math.ceil(ordered.length / ROWS_PER_PAGE));
    this.#page = Math.min(this.#page, pages - 1);
    this.#showPager(pages, ordered.length);
    this.#place(ordered.slice(this.#page * ROWS_PER_PAGE, (this.#page + 1) * ROWS_PER_PAGE));
  }

  #ordered(replicas: readonly ReplicaView[]): ReplicaView[] {
    const nowMs = performance.now();
    const isDue = nowMs - this.#sortedMs > RESORT_MS && !this.#isTouched;
    if (isDue || this.#ranks.size === 0) {
      this.#sortedMs = nowMs;
      const ordered = sorted(replicas, this.#order);
      this.#ranks = new Map(ordered.map(({ id }, rank) => [id, rank]));
      return ordered;
    }
    const last = this.#ranks.size;
    return replicas.toSorted((a, b) => (this.#ranks.get(a.id) ?? last) - (this.#ranks.get(b.id) ?? last));
  }

  get #isTouched(): boolean {
    return this.#body.matches(":hover") || this.#body.contains(document.activeElement);
  }

  #place(shown: readonly ReplicaView[]): void {
    const ids = new Set(shown.map(({ id }) => id));
    for (const [id, row] of this.#rows) {
      if (ids.has(id)) continue;
      row.element.remove();
      this.#rows.delete(id);
      this.#free.push(row);
    }
    shown.forEach((replica, index) => {
      const row = this.#rowOf(replica.id);
      row.show(replica, this.#isControlled);
      const there = this.#body.children.item(index);
      if (there !== row.element) this.#body.insertBefore(row.element, there);
    });
  }

  #rowOf(id: string): ReplicaRow {
    const known = this.#rows.get(id);
    if (known !== undefined) return known;
    const row = this.#free.pop() ?? new ReplicaRow((kind, replica) => void this.#ask(kind, replica));
    this.#rows.set(id, row);
    return row;
  }

  async #ask(kind: ReplicaOrder, replica: string): Promise<void> {
    if (kind === "kick") {
      const { name } = this.#replicas.find(({ id }) => id === replica) ?? { name: null };
      const isSure = await confirmed({
        title: `Kick ${replica}?`,
        text: `${name === null ? replica : `${replica} (${name})`} is disconnected at once and refused from then on. What it gave so far stays in the center; its unused examples go to others.`,
        yes: "Kick",
      });
      if (!isSure) return;
    }
    say(this.#answer, await this.#send({ kind, replica }));
  }

  /** Columns that would say the same of everybody stay away. */
  #showColumns(replicas: readonly ReplicaView[]): void {
    const { classList } = this.#box;
    classList.toggle(
      "has-groups",
      replicas.some(({ connected, group }) => connected && group !== null),
    );
    classList.toggle(
      "has-waits",
      replicas.some(({ heldSeconds }) => heldSeconds >= WORTH_TELLING_SECONDS),
    );
  }

  #makeHead(): void {
    for (const { name, title, hint, isNumber, shownIf } of COLUMNS) {
      const cell = make("th", [isNumber ? "number" : "", shownIf ?? ""].join(" ").trim());
      cell.scope = "col";
      cell.dataset["column"] = name;
      const button = make("button", "sorter", title);
      button.type = "button";
      if (hint !== undefined) button.title = hint;
      button.addEventListener("click", () => this.#sortBy(name));
      cell.append(button);
      this.#head.append(cell);
      const option = make("option", "", title);
      option.value = name;
      this.#sort.append(option);
    }
    const orders = make("th");
    orders.scope = "col";
    orders.textContent = "Orders";
    this.#head.append(orders);
  }

  /** The same column again: the other way round. */
  #sortBy(column: ColumnName): void {
    const isReversed = column === this.#order.column && !this.#order.isReversed;
    this.#order = { column, isReversed };
    this.#ranks = new Map();
    this.#page = 0;
    this.#showOrder();
    this.#draw();
  }

  #showOrder(): void {
    const { column, isReversed } = this.#order;
    const isText = COLUMNS.find(({ name }) => name === column)?.isNumber !== true;
    const isAscending = isText !== isReversed;
    this.#sort.value = column;
    const words = isText ? ["A to Z", "Z to A"] : ["Least first", "Greatest first"];
    setText(this.#direction, words[isAscending ? 0 : 1] ?? "");
    for (const cell of this.#head.querySelectorAll<HTMLElement>("[data-column]")) {
      if (cell.dataset["column"] === column) cell.setAttribute("aria-sort", isAscending ? "ascending" : "descending");
      else cell.removeAttribute("aria-sort");
    }
  }

  #turn(by: number): void {
    this.#page = Math.max(0, this.#page + by);
    this.#draw();
  }

  #showPager(pages: number, total: number): void {
    this.#pager.hidden = pages === 1;
    setText(
      byId("page-of", HTMLElement),
      `Page ${whole(this.#page + 1)} of ${whole(pages)} (${counted(total, "replica", "replicas")})`,
    );
    byId("page-before", HTMLButtonElement).disabled = this.#page === 0;
    byId("page-after", HTMLButtonElement).disabled = this.#page === pages - 1;
  }
}
