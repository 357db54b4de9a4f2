/** Hadjis et al. 2016: asynchrony, momentum and hardware traded against each other by an optimizer. */

import type { Paper } from "../paper.ts";
import { HARDWARE } from "./hardware.ts";
import { LAYOUT } from "./layout.ts";
import { RACE } from "./race.ts";

export const PAPER: Paper = {
  name: "omnivore",
  title:
    "Hadjis, Zhang, Mitliagkas, Iter and Ré: Omnivore: An Optimizer for Multi-device Deep Learning on CPUs and GPUs (2016)",
  summary:
    "Eight simulated devices in virtual time, with real gradients on real MNIST where losses matter. The paper trains CaffeNet and others on clusters of 9 and 33 machines with a merged server for fully connected layers; here the coordinator's apply stands for that server, and a group's step, transfer included, for its convolutions. The paper's speeds against other systems are out of reach of a simulation; what its models and its optimizer say is not.",
  seeds: { quick: 2, full: 8 },
  experiments: [HARDWARE, LAYOUT, RACE],
};
