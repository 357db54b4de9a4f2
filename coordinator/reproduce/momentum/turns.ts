/**
 * Whose work is done next, among M replicas that never wait for each other. `memoryless` is the assumption of Mitliagkas et
 * al. 2016 without a clock: where work times are exponential the next to finish is any of them with the same probability.
 * `round-robin` and `permutation` are the controls that break it; the last three draw work times and keep a clock.
 */

import type { Random } from "../../../shared/random.ts";

const WORK_TIMES = {
  /** Mean 1. */
  exponential: (random: Random): number => -Math.log(1 - random.uniform()),
  /** Sigma 1: heavy-tailed, as volunteers are. */
  lognormal: (random: Random): number => Math.exp(random.normal()),
  /** From 0.5 to 1.5: machines that are much alike. */
  uniform: (random: Random): number => 0.5 + random.uniform(),
} as const satisfies Record<string, (random: Random) => number>;

type WorkTimes = keyof typeof WORK_TIMES;

export type TurnOrder = "memoryless" | "round-robin" | "permutation" | WorkTimes;

/** Each call names the replica, 0 to M - 1, whose push comes next; that replica begins anew at once. */
export type Turns = () => number;

export function turnsOf(order: TurnOrder, replicas: number, random: Random): Turns {
  switch (order) {
    case "memoryless":
      return () => random.below(replicas);
    case "round-robin":
      return roundRobin(replicas);
    case "permutation":
      return permutations(replicas, random);
    case "exponential":
    case "lognormal":
    case "uniform":
      return clocked(WORK_TIMES[order], replicas, random);
    default:
      return order satisfies never;
  }
}

/** Everyone has the same lag: M - 1 once all had a turn. */
function roundRobin(replicas: number): Turns {
  let turn = -1;
  return () => {
    turn = (turn + 1) % replicas;
    return turn;
  };
}

/** Everyone once in each sweep, in an order drawn for that sweep. */
function permutations(replicas: number, random: Random): Turns {
  const order = Uint32Array.from({ length: replicas }, (_, replica) => replica);
  let taken = replicas;
  return () => {
    if (taken === replicas) {
      random.shuffle(order);
      taken = 0;
    }
    return order[taken++] ?? 0;
  };
}

function clocked(workTime: (random: Random) => number, replicas: number, random: Random): Turns {
  const finish = Float64Array.from({ length: replicas }, () => workTime(random));
  return () => {
    let next = 0;
    for (let replica = 1; replica < replicas; replica++) {
      if ((finish[replica] ?? 0) < (finish[next] ?? 0)) next = replica;
    }
    finish[next] = (finish[next] ?? 0) + workTime(random);
    return next;
  };
}
