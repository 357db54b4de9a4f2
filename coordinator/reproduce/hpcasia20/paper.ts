/** HPCAsia 2020: EA-wild, elastic averaging without a lock, against what was there before and against synchronous solvers. */

import type { Paper } from "../paper.ts";
import { CROSSOVER, HOMOGENEOUS_CROSSOVER } from "./crossover.ts";
import { LARGE_BATCH } from "./large_batch.ts";
import { LENET } from "./lenet.ts";
import { LOCK } from "./lock.ts";
import { RACE } from "./race.ts";

export const PAPER: Paper = {
  name: "hpcasia20",
  title:
    "You, He and others: Rethinking the Value of Asynchronous Solvers for Distributed Deep Learning (HPCAsia 2020)",
  summary:
    "Of the paper only the abstract was read: which six variants it races is inferred from its predecessor (SC17). It ran on up to 217,600 cores; here replicas are simulated in virtual time, with real gradients on MNIST, and races on small networks stand for its applications. What is simulated is who meets the center when; what is computed is what a cluster would compute in that order.",
  seeds: { quick: 2, full: 5 },
  experiments: [RACE, LENET, CROSSOVER, HOMOGENEOUS_CROSSOVER, LOCK, LARGE_BATCH],
};
