/**
 * The replicas' places at the center: opened, renewed and freed, one thing at a time. Whoever finds a replica `inFlight` waits
 * for it, or is out of turn.
 */

import type { Codecs } from "../shared/wire/vectors.ts";
import type { PublishedVersion } from "./center/center.ts";
import { OwnPlace, StreamPlace, type Place, type PlaceOptions, type VectorPieces } from "./place.ts";
import type { Replica, Settled } from "./roster.ts";

export interface PlacesOptions extends Omit<PlaceOptions, "codecs"> {
  /** The replica has no place any longer. */
  readonly freed: (replica: Replica) => void;
}

export class Places {
  readonly #options: PlacesOptions;

  constructor(options: PlacesOptions) {
    this.#options = options;
  }

  /** A place for a replica that has none, or another one where it was told other codecs; filled with what it has fetched, or anew. */
  async open(replica: Replica, codecs: Codecs, fetched: PublishedVersion | undefined): Promise<void> {
    await this.#outsideExchanges(replica, async () => {
      replica.place?.close();
      replica.settled = undefined;
      replica.slices = undefined;
      const options = { ...this.#options, codecs };
      const place: Place = codecs.down === "f32" ? new OwnPlace(options) : new StreamPlace(options);
      replica.place = place;
      if (fetched?.isKept) place.take(fetched);
      else await place.refresh(true);
    });
  }

  /** The replica asks for the center. */
  async pull(replica: Replica): Promise<VectorPieces> {
    const pulled: VectorPieces[] = [];
    await this.#outsideExchanges(replica, async () => {
      // A retry of the exchange before would get an answer that leads to another base.
      if (replica.settled?.kind === "answer" && replica.settled.vector) replica.settled = undefined;
      if (replica.place) pulled.push(await replica.place.pull());
    });
    return pulled[0] ?? { payload: [] };
  }

  /** The center as it is becomes the replica's base. */
  async refresh(replica: Replica): Promise<void> {
    await this.#outsideExchanges(replica, async () => replica.place?.refresh(false));
  }

  /** Number 0, so that no push waits for its outcome. */
  async #outsideExchanges(replica: Replica, work: () => Promise<void>): Promise<void> {
    await this.occupy(replica, 0, async () => {
      await work();
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
    replica.place?.close();
    replica.place = undefined;
    replica.slices = undefined;
    replica.settled = undefined;
    this.#options.freed(replica);
  }

  /** Now, or once what is in flight is settled. */
  freeSoon(replica: Replica): void {
    if (replica.inFlight) replica.isLeaving = true;
    else this.free(replica);
  }
}
