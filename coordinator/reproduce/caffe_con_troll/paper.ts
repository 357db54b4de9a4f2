/** Hadjis, Abuzaid, Zhang and Ré 2015: batching, lowerings, and work shared in proportion to speed. */

import type { Paper } from "../paper.ts";
import { BATCHING } from "./batching.ts";
import { LOWERINGS } from "./lowerings.ts";
import { SPLIT_CORES } from "./split_cores.ts";
import { SPLIT_GPU } from "./split_gpu.ts";
import { SPLIT } from "./split_simulated.ts";

export const PAPER: Paper = {
  name: "caffe-con-troll",
  title: "Caffe con Troll: Shallow Ideas to Speed Up Deep Learning (Hadjis, Abuzaid, Zhang, Ré 2015)",
  summary:
    "The paper's ideas are those of Drove's engine. Here they are timed in it: one image at a time against a whole batch, the ways to lower a convolution against each other, and batches shared by two devices, on this machine's processor and WebGPU adapter. " +
    "Times are measured on real kernels, but for one experiment, in which the simulator splits batches between devices of any speed.",
  seeds: { quick: 3, full: 4 },
  experiments: [BATCHING, LOWERINGS, SPLIT, SPLIT_CORES, SPLIT_GPU],
};
