/**
 * One after the other, in the order in which they joined: the push of replica i + 1 counts only after that of replica i (Original
 * EASGD, SC17 algorithm 1). Whoever leaves, or takes longer than expected, is passed over; its push counts when its turn
 * comes again (SPEC G6).
 */

import { centerMoveOf } from "../../shared/solver/center_rule.ts";
import type { Header } from "../../shared/wire/messages.ts";
import { placeOf, type Replica } from "../roster.ts";
import { deadlineMs, expectedMs } from "./deadline.ts";
import type { ExchangeOrder, OrderPort, OrderResult } from "./order.ts";

interface Held {
  readonly header: Header<"push">;
  readonly payload: Uint8Array;
  readonly settle: (result: OrderResult | Promise<OrderResult>) => void;
}

export class RoundRobin implements ExchangeOrder {
  readonly #port: OrderPort;
  readonly #ring: Replica[] = [];
  /** Index in the ring. */
  #turn = 0;
  readonly #held = new Map<Replica, Held>();
  /** They left while their push was held: it counts in its turn, and they leave the ring then. */
  readonly #leaving = new Set<Replica>();
  #isApplying = false;

  constructor(port: OrderPort) {
    this.#port = port;
  }

  join(replica: Replica): void {
    this.#leaving.delete(replica);
    if (!this.#ring.includes(replica)) this.#ring.push(replica);
  }

  leave(replica: Replica): void {
    if (this.#held.has(replica)) this.#leaving.add(replica);
    else this.#remove(replica);
    this.#advance();
  }

  push(replica: Replica, header: Header<"push">, payload: Uint8Array): Promise<OrderResult> {
    const { promise, resolve } = Promise.withResolvers<OrderResult>();
    // A push may come when its replica's connection is gone already.
    if (!this.#ring.includes(replica)) {
      this.#ring.push(replica);
      this.#leaving.add(replica);
    }
    this.#held.set(replica, { header, payload, settle: resolve });
    this.#advance();
    return promise;
  }

  tick(): void {
    this.#advance();
  }

  retuned(): void {}

  flush(): void {}

  abort(): void {
    const held = [...this.#held];
    this.#held.clear();
    for (const [replica, { settle }] of held) {
      settle({ verdict: "restarted" });
      if (this.#leaving.has(replica)) this.#remove(replica);
    }
  }

  groupOf(): null {
    return null;
  }

  sharersOf(replica: Replica): readonly Replica[] {
    return [replica];
  }

  /** Gives the turn to the next one whose push is there, or waits for the one whose turn it is. */
  #advance(): void {
    if (this.#isApplying || this.#held.size === 0) return;
    for (let passed = 0; passed < this.#ring.length; passed++) {
      const replica = this.#ring[this.#turn];
      if (!replica) throw new Error("invariant violation: a turn beyond the ring");
      const held = this.#held.get(replica);
      if (held) {
        void this.#apply(replica, held);
        return;
      }
      if (!this.#isOverdue(replica)) return;
      this.#turn = (this.#turn + 1) % this.#ring.length;
    }
  }

  #isOverdue(replica: Replica): boolean {
    return this.#port.nowMs() > deadlineMs(replica.freeSinceMs, expectedMs(replica));
  }

  async #apply(replica: Replica, { header, payload, settle }: Held): Promise<void> {
    const { center, settings, connected } = this.#port;
    this.#isApplying = true;
    this.#held.delete(replica);
    const { content, baseVersion } = header;
    const move = centerMoveOf(settings(), { version: center.version, replicas: connected().length }, false);
    const place = placeOf(replica);
    const job = { content, baseVersion, move, policy: settings().staleness, codec: place.codecs.up };
    const result = center.push(place.base(0), payload, job);
    settle(result);
    // Whoever pushed is told of a failure; the others go on.
    await result.catch(() => {});
    this.#isApplying = false;
    if (this.#ring[this.#turn] === replica) this.#turn = (this.#turn + 1) % this.#ring.length;
    if (this.#leaving.has(replica)) this.#remove(replica);
    this.#advance();
  }

  #remove(replica: Replica): void {
    this.#leaving.delete(replica);
    const at = this.#ring.indexOf(replica);
    if (at < 0) return;
    this.#ring.splice(at, 1);
    if (at < this.#turn) this.#turn--;
    if (this.#turn >= this.#ring.length) this.#turn = 0;
  }
}
