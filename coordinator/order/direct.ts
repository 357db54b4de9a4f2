/** First come, first served: every push moves the center by itself. Whether two may do so at once is the applier's (center/). */

import { centerMoveOf } from "../../shared/solver/center_rule.ts";
import type { Fragment } from "../../shared/wire/codec/codec.ts";
import type { Header } from "../../shared/wire/messages.ts";
import type { PushResult } from "../center/center.ts";
import { placeOf, type Replica } from "../roster.ts";
import type { ExchangeOrder, OrderPort } from "./order.ts";

export class Direct implements ExchangeOrder {
  readonly #port: OrderPort;

  constructor(port: OrderPort) {
    this.#port = port;
  }

  push(
    replica: Replica,
    { content, baseVersion, fragment = 0 }: Header<"push">,
    payload: Uint8Array,
    ranges?: readonly Fragment[],
  ): Promise<PushResult> {
    const { center, settings, connected } = this.#port;
    const circumstances = { version: center.version, replicas: connected().length };
    const move = centerMoveOf(settings(), circumstances, false);
    const policy = settings().staleness;
    const place = placeOf(replica);
    return center.push(place.base(fragment), payload, {
      content,
      baseVersion,
      move,
      policy,
      codec: place.codecs.up,
      fragment: place.range(fragment),
      ...(ranges ? { ranges } : {}),
    });
  }

  join(): void {}
  leave(): void {}
  tick(): void {}
  retuned(): void {}
  flush(): void {}
  /** Nothing is held: what was pushed is on its way into the center. */
  abort(): void {}

  groupOf(): null {
    return null;
  }

  sharersOf(replica: Replica): readonly Replica[] {
    return [replica];
  }
}
