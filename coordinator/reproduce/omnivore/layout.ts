/** Omnivore's physical layout as arithmetic over our own model descriptions, and its split by FLOPS in the simulator. */

import { MODELS } from "../../../shared/model/catalogue.ts";
import { layoutOf } from "../../../shared/model/layout.ts";
import type { Scenario } from "../../simulate/scenario.ts";
import { findingOf } from "../findings.ts";
import type { Experiment, ExperimentContext, Finding } from "../paper.ts";
import { lineFigure } from "../plots.ts";
import { meanOf } from "../statistics.ts";
import { COUNTED } from "./setting.ts";

const BATCH = 64;
const FLOAT_BYTES = 4;
/** The paper's family: 0.41 MB of boundary against 3.24 MB of weights. */
const PAPER_RATIO = 7.9;
const SPEED_RATIO = 3;
const SPLITS = 16;
const UPDATES = { quick: 300, full: 2000 } as const;
const STEP_SECONDS = 0.1;

export const LAYOUT: Experiment = {
  name: "layout",
  title: "Merged fully connected layers, and batches split by FLOPS",
  method: `LeNet at batch ${BATCH}: what crosses the border between convolutions and fully connected layers (activations up, their gradients down) against what those layers' weights would cost (up and down), counted from the model's layout. And one group of two simulated devices whose speeds are ${SPEED_RATIO} to 1: the time of a step over the share of the batch that the faster one gets.`,
  claims: [
    {
      id: "merged-fc-traffic",
      statement:
        "Merged fully connected layers save most of the traffic: LeNet's boundary is 7.9 times smaller than its weights",
      paperValue: "7.9 (3.24 MB against 0.41 MB)",
      unit: "bytes of the weights, both ways / bytes of the boundary, both ways",
    },
    {
      id: "flops-split",
      statement: "A step is shortest where the batch is split in proportion to FLOPS",
      paperValue: "0.75 at 3 to 1",
      unit: "the faster device's share of the batch where a step is shortest",
    },
  ],
  run: runLayout,
};

async function runLayout(context: ExperimentContext): Promise<readonly Finding[]> {
  const traffic = mergedTraffic();
  context.record("traffic", traffic);
  context.table({
    title: `LeNet at batch ${BATCH}, megabytes up and down`,
    columns: ["fully connected weights", "boundary", "ratio"],
    rows: [[traffic.weightBytes / 1e6, traffic.boundaryBytes / 1e6, traffic.weightBytes / traffic.boundaryBytes]],
  });
  return [trafficFinding(traffic), await splitFinding(context)];
}

interface Traffic {
  readonly weightBytes: number;
  readonly boundaryBytes: number;
}

/** Both ways. */
export function mergedTraffic(): Traffic {
  const { tensors } = layoutOf(MODELS.lenet);
  const connected = tensors.filter(({ name }) => name.startsWith("fc"));
  const weights = connected.reduce((sum, { elements }) => sum + elements, 0);
  const first = connected.find(({ name }) => name === "fc1.weights");
  const bias = connected.find(({ name }) => name === "fc1.bias");
  if (!first || !bias) throw new Error("invariant violation: LeNet without its first dense layer");
  const boundary = first.elements / bias.elements;
  return { weightBytes: 2 * FLOAT_BYTES * weights, boundaryBytes: 2 * FLOAT_BYTES * BATCH * boundary };
}

function trafficFinding({ weightBytes, boundaryBytes }: Traffic): Finding {
  const ratio = weightBytes / boundaryBytes;
  return {
    id: "merged-fc-traffic",
    measured: ratio,
    interval: null,
    seeds: 0,
    verdict: Math.abs(ratio - PAPER_RATIO) < 0.1 ? "reproduced" : "not reproduced",
    seedsToDecide: null,
    note: "Counted, not sampled.",
  };
}

async function splitFinding(context: ExperimentContext): Promise<Finding> {
  const shares = Array.from({ length: SPLITS - 1 }, (_, index) => (index + 1) / SPLITS);
  const seconds = await Promise.all(
    context.seeds.map((seed) => Promise.all(shares.map((share) => stepSeconds(context, share, seed)))),
  );
  context.record("split", { shares, seconds });
  const fastest = seconds.map((each) => shares[each.indexOf(Math.min(...each))] ?? Number.NaN);
  context.figure(
    lineFigure({
      name: "split",
      title: `Step time over the split, speeds ${SPEED_RATIO} to 1`,
      caption: "Mean of the seeds. The least should lie at 0.75, the faster device's share of the FLOPS.",
      x: { title: "the faster device's share of the batch" },
      y: { title: "seconds of a step" },
      series: [
        {
          name: "measured",
          points: shares.map((share, at) => ({ x: share, y: meanOf(seconds.map((each) => each[at] ?? 0)).mean })),
        },
      ],
    }),
  );
  const expected = SPEED_RATIO / (SPEED_RATIO + 1);
  const step = 1.01 / SPLITS;
  return findingOf(
    "flops-split",
    meanOf(fastest),
    { kind: "within", low: expected - step, high: expected + step },
    "Counts as reproduced within one step of the sweep.",
  );
}

/** A half of the batch takes as long as the share that is meant: so any split is simulated. */
async function stepSeconds({ pool, isQuick }: ExperimentContext, share: number, seed: number): Promise<number> {
  const scenario: Scenario = {
    ...COUNTED,
    replicas: 2,
    groups: 1,
    shares: "equal",
    applySeconds: 0,
    stepSeconds: [2 * share * STEP_SECONDS, 2 * (1 - share) * STEP_SECONDS * SPEED_RATIO],
    stepTimes: { kind: "lognormal", sigma: 0.1 },
    centerSteps: isQuick ? UPDATES.quick : UPDATES.full,
    seed,
  };
  const { virtualSeconds, centerSteps } = await pool.simulate(scenario);
  return virtualSeconds / centerSteps;
}
