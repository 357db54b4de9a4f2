/** Hadjis, Abuzaid, Zhang and Ré 2015: batching, lowerings, and work shared in proportion to speed. */

import type { Paper } from "../paper.ts";
import { BATCHING } from "./batching.ts";

export const PAPER: Paper = {
  name: "caffe-con-troll",
  title: "Caffe con Troll: Shallow Ideas to Speed Up Deep Learning (Hadjis, Abuzaid, Zhang, Ré 2015)",
  summary:
    "The paper's ideas are those of Drove's engine. Here they are timed in it: one image at a time against a whole batch, and the ways to lower a convolution against each other, on this machine's processor and WebGPU adapter. " +
    "Times are measured on real kernels, nothing is simulated.",
  seeds: { quick: 2, full: 5 },
  experiments: [BATCHING],
};
