/** SC17: You, Buluc and Demmel's elastic solvers against the parameter servers of their time, and what communication costs them. */

import type { Paper } from "../paper.ts";
import { LADDER } from "./ladder.ts";
import { MESSAGES } from "./messages.ts";
import { RACE } from "./race.ts";

export const PAPER: Paper = {
  name: "sc17",
  title: "You, Buluc and Demmel: Scaling Deep Learning on GPU and Knights Landing clusters (SC17)",
  summary:
    "The paper compares solvers on GPU clusters with LeNet, AlexNet and GoogLeNet. Here the race and the ladder are simulated in virtual time: the race with real gradients of an MLP on MNIST, the ladder with LeNet's sizes and with message costs that were measured on this machine. Packed and separate messages are compared for real.",
  seeds: { quick: 3, full: 5 },
  experiments: [RACE, LADDER, MESSAGES],
};
