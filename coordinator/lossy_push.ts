/**
 * What has come of one replica's lossy push (SPEC T6): slices in any order, twice or never, from a channel that anybody's bytes may
 * come by. One exchange at a time, in one buffer. Reads no clock; whoever waits is told when all has come, or that the time is up.
 */

import { encodedBytes, type CodecName, type Fragment } from "../shared/wire/codec/codec.ts";
import { decodeSlice, sliceBytes, slicePlanOf, sliceRange, type SlicePlan } from "../shared/wire/slices.ts";

/** After the push's header and after each slice, for those that are on slower ways: a large push takes its time. */
const GRACE_MS = 150;
/** After the header, however many still come. */
const LONGEST_WAIT_MS = 3000;
/** Beyond the last settled exchange a replica numbers on by one, or by a few where some were dropped. */
const MOST_AHEAD = 1000;

/** What of a push may be applied. */
export interface Arrived {
  /** As long as the whole vector is; only in `ranges` it means anything. Valid until the next slice comes. */
  readonly payload: Uint8Array;
  readonly ranges: readonly Fragment[];
  /** Indices of slices. */
  readonly lost: readonly number[];
}

export class LossyPush {
  readonly plan: SlicePlan;
  readonly #bytes: Uint8Array;
  readonly #has: Uint8Array;
  #count = 0;
  #exchange = 0;
  /** No slice counts any more for this exchange, nor for earlier ones. */
  #taken = 0;
  #awaited: { untilMs: number; readonly giveUpMs: number; readonly done: () => void } | undefined;

  constructor(codec: CodecName, elements: number) {
    this.plan = slicePlanOf(codec, elements);
    this.#bytes = new Uint8Array(encodedBytes(codec, elements));
    this.#has = new Uint8Array(this.plan.slices);
  }

  /** One message of the channel; `lastExchange` is the replica's last settled one. Whatever it is, nothing bad comes of it. */
  receive(message: Uint8Array, lastExchange: number, nowMs: number): void {
    const slice = decodeSlice(this.plan, message);
    if (!slice || slice.exchange <= Math.max(lastExchange, this.#taken)) return;
    if (slice.exchange > lastExchange + MOST_AHEAD) return;
    if (slice.exchange !== this.#exchange) {
      if (this.#awaited) return;
      this.#begin(slice.exchange);
    }
    if (this.#has[slice.index] === 1) return;
    this.#has[slice.index] = 1;
    this.#count++;
    this.#bytes.set(slice.payload, sliceBytes(this.plan, slice.index).from);
    if (this.#awaited) this.#awaited.untilMs = nowMs + GRACE_MS;
    if (this.#count === this.plan.slices) this.#release();
  }

  /** The push's header is there: resolves with what came, when all has or nothing more comes for a while. */
  async arrival(exchange: number, nowMs: number): Promise<Arrived> {
    if (exchange !== this.#exchange) this.#begin(exchange);
    if (this.#count < this.plan.slices) {
      await new Promise<void>((done) => {
        this.#awaited = { untilMs: nowMs + GRACE_MS, giveUpMs: nowMs + LONGEST_WAIT_MS, done };
      });
    }
    this.#taken = Math.max(this.#taken, exchange);
    return this.#arrived();
  }

  /** Time went by. */
  tick(nowMs: number): void {
    if (this.#awaited && nowMs >= Math.min(this.#awaited.untilMs, this.#awaited.giveUpMs)) this.#release();
  }

  /** Nobody waits any longer: the run is over, or the replica gone. */
  end(): void {
    this.#release();
  }

  #begin(exchange: number): void {
    this.#exchange = exchange;
    this.#has.fill(0);
    this.#count = 0;
  }

  #release(): void {
    const awaited = this.#awaited;
    this.#awaited = undefined;
    awaited?.done();
  }

  #arrived(): Arrived {
    const ranges: Fragment[] = [];
    const lost: number[] = [];
    for (const [index, has] of this.#has.entries()) {
      if (has === 0) lost.push(index);
      else ranges.push(sliceRange(this.plan, index));
    }
    return { payload: this.#bytes, ranges, lost };
  }
}
