/** What a simulation found, as plain JSON. Everything but `wallSeconds` follows from the scenario. */

import type { StalenessView } from "../../shared/run_view.ts";
import type { CompleteScenario } from "./scenario.ts";
import type { CurvePoint } from "./tally.ts";
import type { StreamCounts } from "./wire.ts";
import type { EndReason, World } from "./world.ts";

interface ReplicaReport {
  /** Local steps, also those that were never pushed. */
  readonly steps: number;
  /** Of applied pushes. */
  readonly samples: number;
  readonly exchanges: number;
  readonly waitedSeconds: number;
  /** Of the time that it was there. */
  readonly busyShare: number;
  readonly presentSeconds: number;
}

interface TargetReport {
  readonly accuracy: number;
  /** Between two evaluations on a straight line; null where no evaluation found it. */
  readonly virtualSeconds: number | null;
  readonly samples: number | null;
}

export interface SimulationReport {
  readonly scenario: CompleteScenario;
  readonly endedBy: EndReason | null;
  readonly virtualSeconds: number;
  readonly wallSeconds: number;
  readonly localSteps: number;
  /** Versions of the center. */
  readonly centerSteps: number;
  /** Of applied pushes. */
  readonly samples: number;
  readonly exchanges: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** Messages that carried a vector or a fragment of one. */
  readonly vectorsUp: number;
  readonly vectorsDown: number;
  /** Where the center comes down in a codec. */
  readonly stream: StreamCounts | null;
  /** Of replicas that left or had to restart before they pushed them. */
  readonly lostSteps: number;
  readonly refused: { readonly tooStale: number; readonly notFinite: number; readonly outOfBounds: number };
  readonly staleness: StalenessView;
  readonly replicas: readonly ReplicaReport[];
  /** Utilisation: what a lock that is held `lockSeconds` for each apply is in use, whether or not the center has one. */
  readonly lock: { readonly utilisation: number; readonly waitedSeconds: number };
  /** Of the last evaluation; null without gradients. */
  readonly accuracy: number | null;
  readonly loss: number | null;
  readonly curve: readonly CurvePoint[];
  readonly targets: readonly TargetReport[];
  readonly diverged: boolean;
  readonly memory: { readonly bytesPerReplica: number; readonly sharedBytes: number };
}

export function reportOf(world: World, wallSeconds: number): SimulationReport {
  const { scenario, tally, arithmetic, links, wire, nowSeconds, endedBy } = world;
  const { applySeconds, lockSeconds, targets } = scenario;
  const last = tally.curve.at(-1);
  return {
    scenario,
    endedBy: endedBy ?? null,
    virtualSeconds: nowSeconds,
    wallSeconds,
    localSteps: tally.localSteps,
    centerSteps: arithmetic.version,
    samples: tally.samples,
    exchanges: tally.exchanges,
    bytesUp: links.bytesUp,
    bytesDown: links.bytesDown,
    vectorsUp: links.vectorsUp,
    vectorsDown: links.vectorsDown,
    stream: wire.stream ?? null,
    lostSteps: tally.lostSteps,
    refused: { ...tally.refused },
    staleness: tally.staleness.view(),
    replicas: world.replicas.map((replica) => {
      const presentSeconds = replica.presentSeconds + (replica.isPresent ? nowSeconds - replica.joinedSeconds : 0);
      const { steps, samples, exchanges, waitedSeconds, busySeconds } = replica;
      const isWaiting = replica.isPresent && replica.runningSteps === 0;
      const running = replica.runningSteps === 0 ? 0 : nowSeconds - replica.runningSinceSeconds;
      return {
        steps,
        samples,
        exchanges,
        waitedSeconds: waitedSeconds + (isWaiting ? nowSeconds - replica.waitingSinceSeconds : 0),
        busyShare: presentSeconds === 0 ? 0 : (busySeconds + running) / presentSeconds,
        presentSeconds,
      };
    }),
    lock: {
      utilisation: nowSeconds === 0 ? 0 : ((lockSeconds ?? applySeconds) * tally.applies) / nowSeconds,
      waitedSeconds: tally.lockWaitedSeconds,
    },
    accuracy: last?.accuracy ?? null,
    loss: last?.loss ?? null,
    curve: tally.curve,
    targets: [...targets, ...(scenario.targetAccuracy === null ? [] : [scenario.targetAccuracy])].map((accuracy) =>
      reached(tally.curve, accuracy),
    ),
    diverged: endedBy === "diverged",
    memory: arithmetic.memory,
  };
}

function reached(curve: readonly CurvePoint[], accuracy: number): TargetReport {
  const at = curve.findIndex((point) => point.accuracy >= accuracy);
  const point = curve[at];
  if (!point) return { accuracy, virtualSeconds: null, samples: null };
  const before = curve[at - 1];
  if (!before || point.accuracy === before.accuracy) {
    return { accuracy, virtualSeconds: point.virtualSeconds, samples: point.samples };
  }
  const share = (accuracy - before.accuracy) / (point.accuracy - before.accuracy);
  return {
    accuracy,
    virtualSeconds: before.virtualSeconds + share * (point.virtualSeconds - before.virtualSeconds),
    samples: Math.round(before.samples + share * (point.samples - before.samples)),
  };
}
