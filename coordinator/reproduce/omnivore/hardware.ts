/** Omnivore's hardware-efficiency model against the event-driven simulator: time per update over the number of groups. */

import {
  fitHardware,
  fixedUpdateSeconds,
  randomUpdateSeconds,
  updateSeconds,
  type UpdateTiming,
} from "../../autotune/hardware_model.ts";
import type { Scenario } from "../../simulate/scenario.ts";
import { findingOf, worstOf } from "../findings.ts";
import type { Experiment, ExperimentContext, Finding } from "../paper.ts";
import { lineFigure } from "../plots.ts";
import { meanOf, pairedRatio } from "../statistics.ts";
import { COUNTED, DEVICES, GROUPS } from "./setting.ts";

/** Of one device, for a whole batch. */
const STEP_SECONDS = 0.8;
const LATENCY_SECONDS = 0.05;
/** From a coordinator that nobody notices to one that two groups keep busy. */
const APPLY_SECONDS = [0.005, 0.04, 0.16] as const;
const UPDATES = { quick: 600, full: 4000 } as const;
const NEAR = 0.02;

interface Measured {
  readonly applySeconds: number;
  readonly groups: number;
  readonly work: number;
  /** Per update, by seed. */
  readonly fixed: readonly number[];
  readonly random: readonly number[];
}

export const HARDWARE: Experiment = {
  name: "hardware-efficiency",
  title: "Time per update over the number of groups",
  method:
    `${DEVICES} devices of ${STEP_SECONDS} s a batch and ${LATENCY_SECONDS} s one way, in 1 to ${DEVICES} groups; only timing is simulated. The paper's formula is HE(g) = max(t_fc, (t_conv(N/g) + t_fc) / g). ` +
    `Read for a coordinator, t_fc is what one update costs there (${APPLY_SECONDS.join(", ")} s) and t_conv a group's whole step, ${STEP_SECONDS} s / k + 2 x ${LATENCY_SECONDS} s. ` +
    `Step times are fixed, and once more exponential, where a group of k waits for the slowest of k.`,
  claims: [
    {
      id: "he-formula",
      statement: "Time per update is the formula's, where times are fixed",
      paperValue: "HE(g), used as it is",
      unit: "measured / formula, at the setting that is farthest off",
    },
    {
      id: "he-saturation",
      statement: "Beyond saturation of the merged server more groups save nothing",
      paperValue: "less than 10 % (the release stops there)",
      unit: "time per update with twice the saturating groups / with the saturating groups",
    },
    {
      id: "he-fit",
      statement: "Fitted to timings of three numbers of groups, the model foretells the fourth",
      paperValue: "not stated",
      unit: "foretold / measured time per update, at the number of groups that is farthest off",
    },
  ],
  run: runHardware,
};

async function runHardware(context: ExperimentContext): Promise<readonly Finding[]> {
  const measured = await Promise.all(
    APPLY_SECONDS.flatMap((applySeconds) => GROUPS.map((groups) => measure(context, applySeconds, groups))),
  );
  context.record("secondsPerUpdate", measured);
  draw(context, measured);
  return findingsOfHardware(measured);
}

/** Pure, for tests. */
export function findingsOfHardware(measured: readonly Measured[]): Finding[] {
  const near = { kind: "within", low: 1 - NEAR, high: 1 + NEAR } as const;
  const farthest = (id: string, ratioOf: (one: Measured) => readonly [number[], number[]], note: string): Finding =>
    worstOf(id, [
      measured
        .map((one) => {
          const [first, second] = ratioOf(one);
          const at = `At ${one.groups} groups and ${one.applySeconds} s per update.`;
          return findingOf(id, pairedRatio(first, second), near, `${at} ${note}`);
        })
        .reduce((worst, each) => (offBy(each) > offBy(worst) ? each : worst)),
    ]);
  const ofBusiest = (groups: number): readonly number[] =>
    measured.find((one) => one.applySeconds === APPLY_SECONDS.at(-1) && one.groups === groups)?.fixed ?? [];
  return [
    farthest(
      "he-formula",
      (one) => [[...one.fixed], one.fixed.map(() => fixedUpdateSeconds(one.work, one.applySeconds, one.groups))],
      `Counts as reproduced within ${100 * NEAR} %.`,
    ),
    findingOf("he-saturation", pairedRatio(ofBusiest(8), ofBusiest(4)), { kind: "above", border: 0.9 }),
    farthest("he-fit", (one) => [foretold(measured, one), [...one.fixed]], "Fixed times."),
  ];
}

function foretold(measured: readonly Measured[], { applySeconds, groups, fixed }: Measured): number[] {
  const timings: UpdateTiming[] = measured
    .filter((one) => one.applySeconds === applySeconds && one.groups !== groups)
    .map((one) => ({ groupSize: DEVICES / one.groups, workSeconds: one.work, applySeconds }));
  const model = fitHardware(timings);
  return fixed.map(() => (model ? updateSeconds(model, DEVICES, groups) : Number.NaN));
}

function offBy({ measured }: Finding): number {
  return Math.abs(Math.log(measured ?? Number.MAX_VALUE));
}

async function measure(context: ExperimentContext, applySeconds: number, groups: number): Promise<Measured> {
  const work = (STEP_SECONDS * groups) / DEVICES + 2 * LATENCY_SECONDS;
  const centerSteps = context.isQuick ? UPDATES.quick : UPDATES.full;
  const ofEach = (scenario: Scenario): Promise<number[]> =>
    Promise.all(
      context.seeds.map(async (seed) => {
        const report = await context.pool.simulate({
          ...COUNTED,
          replicas: DEVICES,
          stepSeconds: STEP_SECONDS,
          latencySeconds: LATENCY_SECONDS,
          groups,
          applySeconds,
          centerSteps,
          seed,
          ...scenario,
        });
        return report.virtualSeconds / report.centerSteps;
      }),
    );
  const [fixed, random] = await Promise.all([ofEach({}), ofEach({ stepTimes: { kind: "exponential" } })]);
  return { applySeconds, groups, work, fixed, random };
}

function draw({ figure, table }: ExperimentContext, measured: readonly Measured[]): void {
  const line = (name: string, applySeconds: number, valueOf: (one: Measured) => number) => ({
    name: `${name}, ${applySeconds} s per update`,
    points: measured
      .filter((one) => one.applySeconds === applySeconds)
      .map((one) => ({ x: one.groups, y: valueOf(one) })),
  });
  figure(
    lineFigure({
      name: "time-per-update",
      title: "Time per update over the number of groups",
      caption:
        "Measured with fixed times lies on the formula; exponential times cost more where groups are large, because each waits for its slowest member.",
      x: { title: "groups", log: true },
      y: { title: "seconds per update", log: true },
      series: APPLY_SECONDS.flatMap((applySeconds) => [
        line("formula", applySeconds, (one) => fixedUpdateSeconds(one.work, one.applySeconds, one.groups)),
        line("fixed", applySeconds, (one) => meanOf(one.fixed).mean),
        line("exponential", applySeconds, (one) => meanOf(one.random).mean),
      ]),
    }),
  );
  table({
    title: "Seconds per update",
    columns: ["coordinator's part", "groups", "formula", "fixed times", "repairman's recursion", "exponential times"],
    rows: measured.map((one) => [
      one.applySeconds,
      one.groups,
      fixedUpdateSeconds(one.work, one.applySeconds, one.groups),
      meanOf(one.fixed).mean,
      randomUpdateSeconds(one.work, one.applySeconds, one.groups),
      meanOf(one.random).mean,
    ]),
  });
}
