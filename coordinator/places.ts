/**
 * The replicas' places at the center: filled, renewed and freed, one thing at a time. Whoever finds a replica `inFlight` waits
 * for it, or is out of turn.
 */

import type { Center } from "./center/center.ts";
import type { Replica, Settled } from "./roster.ts";

export class Places {
  readonly #center: Center;

  constructor(center: Center) {
    this.#center = center;
  }

  /** The current center becomes the replica's base, opening a place where it has none. */
  async refresh(replica: Replica): Promise<void> {
    replica.place ??= { slot: this.#center.openSlot(), baseVersion: this.#center.version };
    const { version } = await this.#center.refresh(replica.place.slot);
    replica.place.baseVersion = version;
  }

  /** A new base, outside any exchange: number 0, so that no push waits for its outcome. */
  async rebase(replica: Replica): Promise<void> {
    await this.occupy(replica, 0, async () => {
      await this.refresh(replica);
      return { kind: "refusal", code: "OUT_OF_TURN", exchange: 0 };
    });
  }

  /** One thing at a time happens to a replica's place; a second one sees `inFlight`. */
  async occupy(replica: Replica, exchange: number, work: () => Promise<Settled>): Promise<Settled> {
    const settled = work();
    replica.inFlight = { exchange, settled };
    try {
      return await settled;
    } finally {
      replica.inFlight = undefined;
      if (replica.isLeaving) this.free(replica);
    }
  }

  free(replica: Replica): void {
    replica.isLeaving = false;
    replica.place?.slot.close();
    replica.place = undefined;
    replica.settled = undefined;
  }

  /** Now, or once what is in flight is settled. */
  freeSoon(replica: Replica): void {
    if (replica.inFlight) replica.isLeaving = true;
    else this.free(replica);
  }
}
