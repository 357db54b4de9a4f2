/**
 * What codecs cost in accuracy and save in bytes: `drove bench codecs [--workloads lenet,cifar-quick] [--arms int4/sign,int8/int8/4]
 * [--solver ea-wild] [--seeds N] [--epochs N] [--learning-rate R] [--rows FILE] [--quick] [--json]`. Simulated runs of four replicas
 * of unequal speed with real gradients; an arm is UP/DOWN or UP/DOWN/FRAGMENTS, and every arm is paired, seed by seed, with f32 both
 * ways. With `--rows` each run is kept as soon as it is over, and one that is kept already is not done again.
 */

import { parseArgs } from "node:util";
import { Simulator } from "../../coordinator/simulate/simulator.ts";
import { meanOf, pairedDifference, type Estimate } from "../../coordinator/reproduce/statistics.ts";
import { SOLVERS, type SolverName } from "../../shared/solver/catalogue.ts";
import { isCodecName } from "../../shared/wire/codec/codec.ts";
import { Rows, type Row } from "./codecs/rows.ts";
import { nameOf, PLAIN, WORKLOADS, type Arm, type RunKey, type WorkloadName } from "./codecs/workloads.ts";
import { machine, number, run, say, table, UsageError } from "./kernels/print.ts";

const { values } = parseArgs({
  options: {
    workloads: { type: "string" },
    arms: { type: "string", default: "int4/int4,int4/sign" },
    solver: { type: "string", default: "ea-wild" },
    seeds: { type: "string" },
    epochs: { type: "string" },
    "learning-rate": { type: "string" },
    rows: { type: "string" },
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});

const QUICK = { seeds: 2, epochs: 1 };

interface ArmReport extends Arm {
  readonly accuracyPercent: Estimate;
  /** Of the accuracy to that of f32, seed by seed, in points. */
  readonly differencePoints: Estimate;
  readonly timesFewerUp: number;
  readonly timesFewerDown: number;
  readonly deltasPerAnswer: number;
  readonly stalenessMean: number;
}

interface WorkloadReport {
  readonly workload: WorkloadName;
  readonly solver: SolverName;
  readonly epochs: number;
  readonly seeds: number;
  readonly tolerancePoints: number;
  readonly arms: readonly ArmReport[];
}

await run(main, values.json);

async function main(): Promise<object> {
  const arms = values.arms.split(",").map(armNamed);
  const rows = new Rows(values.rows);
  const simulator = new Simulator();
  const workloads: WorkloadReport[] = [];
  for (const workload of workloadsAsked()) {
    const report = await measured(workload, arms, rows, simulator);
    workloads.push(report);
    say(`\n${wordsOf(report)}\n\n${armTable(report)}`);
  }
  return { bench: "codecs", ...machine(), quick: values.quick, workloads };
}

async function measured(
  workload: WorkloadName,
  arms: readonly Arm[],
  rows: Rows,
  simulator: Simulator,
): Promise<WorkloadReport> {
  const { tolerancePoints, learningRate, ...given } = WORKLOADS[workload];
  const usual = values.quick ? QUICK : given;
  const seeds = wholeFlag("seeds") ?? usual.seeds;
  const epochs = wholeFlag("epochs") ?? usual.epochs;
  const solver = solverNamed(values.solver);
  const found: Row[][] = [];
  for (const arm of [PLAIN, ...arms]) {
    const ofArm: Row[] = [];
    for (let seed = 1; seed <= seeds; seed++) {
      const key: RunKey = { workload, solver, learningRate: rateFlag() ?? learningRate, epochs, seed, ...arm };
      const row = await rows.row(key, simulator);
      say(
        `${workload}, ${nameOf(arm)}, seed ${seed}: ${number(100 * row.accuracy)} % in ${number(row.wallSeconds, 0)} s`,
      );
      ofArm.push(row);
    }
    found.push(ofArm);
  }
  const plain = found[0] ?? [];
  return { workload, solver, epochs, seeds, tolerancePoints, arms: found.map((ofArm) => armReport(ofArm, plain)) };
}

function armReport(rows: readonly Row[], plain: readonly Row[]): ArmReport {
  const [first] = rows;
  if (!first) throw new Error("invariant violation: an arm without runs");
  const mean = (value: (row: Row) => number): number => rows.reduce((sum, row) => sum + value(row), 0) / rows.length;
  return {
    up: first.up,
    down: first.down,
    fragments: first.fragments,
    accuracyPercent: meanOf(percents(rows)),
    differencePoints: pairedDifference(percents(rows), percents(plain)),
    timesFewerUp: mean((row) => row.timesFewerUp),
    timesFewerDown: mean((row) => row.timesFewerDown),
    deltasPerAnswer: mean((row) => row.deltasPerAnswer),
    stalenessMean: mean((row) => row.stalenessMean),
  };
}

function percents(rows: readonly Row[]): number[] {
  return rows.map(({ accuracy }) => 100 * accuracy);
}

function wordsOf({ workload, solver, epochs, seeds, tolerancePoints }: WorkloadReport): string {
  return `${workload}, ${solver}, ${epochs} epochs, ${seeds} paired seeds; the difference is to stay within ${tolerancePoints} points:`;
}

function armTable({ arms }: WorkloadReport): string {
  const heads = ["codecs", "accuracy", "difference in points, 95 %", "bytes up", "bytes down", "deltas", "staleness"];
  return table(
    heads,
    arms.map((arm, at) => [
      nameOf(arm),
      `${number(arm.accuracyPercent.mean)} %`,
      at === 0 ? "" : interval(arm.differencePoints),
      `1/${number(arm.timesFewerUp)}`,
      `1/${number(arm.timesFewerDown)}`,
      number(arm.deltasPerAnswer),
      number(arm.stalenessMean),
    ]),
  );
}

function interval({ mean, low, high, count }: Estimate): string {
  return count === 1 ? number(mean) : `${number(mean)} (${number(low)} to ${number(high)})`;
}

function workloadsAsked(): WorkloadName[] {
  return (values.workloads ?? (values.quick ? "mlp" : "lenet,cifar-quick")).split(",").map((name) => {
    if (isWorkloadName(name)) return name;
    throw new UsageError(`There is no workload "${name}"; say ${Object.keys(WORKLOADS).join(", ")}.`);
  });
}

function isWorkloadName(name: string): name is WorkloadName {
  return Object.hasOwn(WORKLOADS, name);
}

function armNamed(text: string): Arm {
  const [up, down, fragments = "1", ...rest] = text.split("/");
  const count = Number(fragments);
  if (up !== undefined && down !== undefined && isCodecName(up) && isCodecName(down)) {
    if (rest.length === 0 && Number.isInteger(count) && count > 0) return { up, down, fragments: count };
  }
  throw new UsageError(`--arms has "${text}"; accepted is UP/DOWN or UP/DOWN/FRAGMENTS such as int4/sign.`);
}

function solverNamed(name: string): SolverName {
  if (isSolver(name)) return name;
  throw new UsageError(`--solver is "${name}"; accepted is ${Object.keys(SOLVERS).join(", ")}.`);
}

function isSolver(name: string): name is SolverName {
  return Object.hasOwn(SOLVERS, name);
}

function wholeFlag(name: "seeds" | "epochs"): number | undefined {
  const text = values[name];
  if (text === undefined) return undefined;
  if (Number.isInteger(Number(text)) && Number(text) > 0) return Number(text);
  throw new UsageError(`--${name} is "${text}"; accepted is a whole number from 1.`);
}

function rateFlag(): number | undefined {
  const text = values["learning-rate"];
  if (text === undefined) return undefined;
  if (Number(text) > 0 && Number.isFinite(Number(text))) return Number(text);
  throw new UsageError(`--learning-rate is "${text}"; accepted is a number above 0.`);
}
