/**
 * The order in which a run's pushes count, whichever its settings ask for now: another one takes over where they ask for another
 * kind, and none of the pushes is lost that the former one still holds (SPEC G7).
 */

import type { SolverSettings } from "../../shared/solver/settings.ts";
import type { Replica } from "../roster.ts";
import { orderKindOf, orderOf, type ExchangeOrder, type OrderPort } from "./order.ts";

export class RunOrder {
  readonly #port: OrderPort;
  #kind: ReturnType<typeof orderKindOf>;
  #present: ExchangeOrder;
  /** Others took their place; what was pushed to them may not have been applied yet. */
  readonly #former: ExchangeOrder[] = [];

  constructor(port: OrderPort) {
    this.#port = port;
    this.#kind = orderKindOf(port.settings());
    this.#present = orderOf(this.#kind, port);
  }

  get present(): ExchangeOrder {
    return this.#present;
  }

  /** The settings are others now; `members` are connected and have a place at the center. */
  retuned(settings: SolverSettings, members: () => readonly Replica[]): void {
    const kind = orderKindOf(settings);
    if (kind === this.#kind) return this.#present.retuned();
    this.#present.flush();
    this.#former.push(this.#present);
    this.#kind = kind;
    this.#present = orderOf(kind, this.#port);
    for (const replica of members()) this.#present.join(replica);
  }

  /** Drops what is held and not yet on its way into the center. */
  abort(): void {
    for (const order of [this.#present, ...this.#former]) order.abort();
  }
}
