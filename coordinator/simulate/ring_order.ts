/**
 * One after the other, in the order in which they joined, as coordinator/order/round_robin.ts has it: who is gone, or takes
 * longer than expected, is passed over.
 */

import { deadlineMs } from "../order/deadline.ts";
import type { CenterSide, SimulatedOrder } from "./center_side.ts";
import type { Push } from "./messages.ts";
import type { VirtualReplica } from "./virtual_replica.ts";
import type { World } from "./world.ts";

export class RingOrder implements SimulatedOrder {
  readonly #world: World;
  readonly #center: CenterSide;
  readonly #ring: VirtualReplica[] = [];
  /** Index in the ring. */
  #turn = 0;
  readonly #held = new Map<VirtualReplica, Push>();
  #checkSeconds = -1;

  constructor(world: World, center: CenterSide) {
    this.#world = world;
    this.#center = center;
  }

  joined(replica: VirtualReplica): void {
    if (!this.#ring.includes(replica)) this.#ring.push(replica);
  }

  left(replica: VirtualReplica): void {
    // What it has pushed counts in its turn.
    if (!this.#held.has(replica)) this.#remove(replica);
    this.#advance();
  }

  arrived(push: Push): void {
    if (!this.#ring.includes(push.replica)) this.#ring.push(push.replica);
    this.#held.set(push.replica, push);
    this.#advance();
  }

  retuned(): void {}

  flush(): void {
    for (const push of this.#held.values()) this.#center.serve(push);
    this.#held.clear();
  }

  abort(): void {
    this.#held.clear();
    for (const replica of this.#ring.filter(({ isMember }) => !isMember)) this.#remove(replica);
  }

  groupOf(replica: VirtualReplica): readonly VirtualReplica[] {
    return [replica];
  }

  /** Serves those whose turn it is, and waits for the first who is not there and not overdue. */
  #advance(): void {
    for (let passed = 0; passed < this.#ring.length && this.#held.size > 0;) {
      const replica = this.#ring[this.#turn];
      if (!replica) throw new Error("invariant violation: a turn beyond the ring");
      const push = this.#held.get(replica);
      if (!push && !this.#isOverdue(replica)) return;
      this.#turn = (this.#turn + 1) % this.#ring.length;
      passed = push ? 0 : passed + 1;
      if (!push) continue;
      this.#held.delete(replica);
      if (!replica.isMember) this.#remove(replica);
      // The lock's queue keeps the order.
      this.#center.serve(push);
    }
  }

  #isOverdue({ answeredSeconds, expectedSeconds }: VirtualReplica): boolean {
    const deadlineSeconds = deadlineMs(1000 * answeredSeconds, 1000 * expectedSeconds) / 1000;
    const { nowSeconds } = this.#world;
    if (nowSeconds >= deadlineSeconds) return true;
    if (this.#checkSeconds !== deadlineSeconds) {
      this.#checkSeconds = deadlineSeconds;
      this.#world.at(deadlineSeconds, () => this.#advance());
    }
    return false;
  }

  #remove(replica: VirtualReplica): void {
    const at = this.#ring.indexOf(replica);
    if (at < 0) return;
    this.#ring.splice(at, 1);
    if (at < this.#turn) this.#turn--;
    if (this.#turn >= this.#ring.length) this.#turn = 0;
  }
}
