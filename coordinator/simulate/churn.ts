/** Who comes and goes in a simulated run: at times that the scenario names, or at random. */

import { Random } from "../../shared/random.ts";
import type { ReplicaSide } from "./replica_side.ts";
import type { VirtualReplica } from "./virtual_replica.ts";
import type { World } from "./world.ts";

/** Everybody who is there from the start joins now; the others' comings and goings are put on the calendar. */
export function beginChurn(world: World, side: ReplicaSide): void {
  const { churn, seed } = world.scenario;
  const leaveAt = (replica: VirtualReplica, seconds: number, then: () => void): void =>
    world.inAnyCaseAt(seconds, () => {
      side.leave(replica);
      then();
    });
  for (const replica of world.replicas) {
    switch (churn?.kind) {
      case undefined:
        side.join(replica, true);
        break;
      case "rates": {
        const random = new Random(Math.imul(seed, 0x85ebca6b) + replica.index);
        const exponential = (mean: number): number => -Math.log(1 - random.uniform()) * mean;
        const live = (isAtStart: boolean): void => {
          side.join(replica, isAtStart);
          leaveAt(replica, world.nowSeconds + exponential(churn.meanLifetimeSeconds), () =>
            world.inAnyCaseAt(world.nowSeconds + exponential(churn.meanAbsenceSeconds), () => live(false)),
          );
        };
        live(true);
        break;
      }
      case "times": {
        const spans = churn.spans.filter((span) => span.replica === replica.index);
        if (spans.length === 0) side.join(replica, true);
        for (const { joinSeconds, leaveSeconds } of spans) {
          if (joinSeconds === 0) side.join(replica, true);
          else world.inAnyCaseAt(joinSeconds, () => side.join(replica, false));
          if (leaveSeconds !== null) leaveAt(replica, leaveSeconds, () => {});
        }
        break;
      }
      default:
        churn satisfies never;
    }
  }
}
