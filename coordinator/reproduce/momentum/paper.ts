/** Mitliagkas et al. 2016: asynchrony is momentum, measured directly and by the momentum that has to be taken away again. */

import type { Paper } from "../paper.ts";
import { EXPLICIT } from "./explicit_experiment.ts";
import { IMPLICIT, IMPLICIT_LENET } from "./implicit_experiment.ts";
import { STALENESS } from "./staleness_experiment.ts";

export const PAPER: Paper = {
  name: "momentum",
  title: "Mitliagkas, Zhang, Hadjis and Ré: Asynchrony begets Momentum, with an Application to Deep Learning (2016)",
  summary: `Real gradients on real MNIST, in an order of turns that is simulated: with exponential work times the next replica to finish is any of M with the same probability, so no clock is needed. The paper infers implicit momentum from the best explicit one, on CaffeNet and a CIFAR-10 net over clusters of 9 and 33 machines; here it is also measured directly, by regression over many trials from one start, with orders of turns that break the paper's premise as controls.`,
  seeds: { quick: 3, full: 8 },
  experiments: [STALENESS, IMPLICIT, IMPLICIT_LENET, EXPLICIT],
};
