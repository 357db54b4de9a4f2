/** SC17: You, Buluc and Demmel's elastic solvers against the parameter servers of their time, and what communication costs them. */

import type { Paper } from "../paper.ts";
import { MESSAGES } from "./messages.ts";

export const PAPER: Paper = {
  name: "sc17",
  title: "You, Buluc and Demmel: Scaling Deep Learning on GPU and Knights Landing clusters (SC17)",
  summary: "",
  seeds: { quick: 3, full: 5 },
  experiments: [MESSAGES],
};
