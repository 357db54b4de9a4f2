/** Niu, Recht, Ré and Wright 2011: updates of shared weights without a lock, by real threads on this machine. */

import type { Paper } from "../paper.ts";
import { DENSE_RACE } from "./dense_race.ts";
import { SPARSE_RACE } from "./sparse_race.ts";

export const PAPER: Paper = {
  name: "hogwild",
  title: "HOGWILD!: A Lock-Free Approach to Parallelizing Stochastic Gradient Descent (Niu, Recht, Ré, Wright 2011)",
  summary:
    "Nothing is simulated here: worker threads race on shared memory. The paper has ten cores and problems of text and film ratings; here two threads train on MNIST, once as a sparse problem like the paper's, " +
    "and once as the dense problem that Drove has, where the paper's theory promises nothing.",
  seeds: { quick: 3, full: 5 },
  experiments: [SPARSE_RACE, DENSE_RACE],
};
