/** EASGD: Zhang, Choromanska and LeCun's elastic averaging against Downpour as replicas exchange more and more rarely. */

import type { Paper } from "../paper.ts";
import { EXPLORATION } from "./exploration.ts";
import { PERIODS } from "./periods.ts";

export const PAPER: Paper = {
  name: "easgd",
  title: "Zhang, Choromanska and LeCun: Deep learning with Elastic Averaging SGD (NIPS 2015)",
  summary:
    "The paper trains a convolutional network on CIFAR on four GPUs. Here the network is an MLP (784-64-10), trained on the first 2,000 images of MNIST, so few that solvers generalise differently, and tested on 5,000; replicas are simulated in virtual time with lognormal step times (sigma 0.3), their gradients are real. EASGD and EAMSGD are the paper's own: the replica pulls the center, computes the difference and pushes it (two round trips), beta = 0.9. EAMSGD has Nesterov's momentum of 0.9 instead of 0.99, because runs are short, and a tenth of the others' learning rates.",
  seeds: { quick: 2, full: 5 },
  experiments: [PERIODS, EXPLORATION],
};
