/**
 * One workload, measured: every contestant takes its first steps alone, whose losses are compared; then all take rounds in
 * turn, in an order that rotates, so that a neighbour's load meets all alike.
 */

import type { Line } from "./conductor.ts";
import { ContestantError } from "./conductor.ts";
import type { ContestantName, Job } from "./job.ts";
import type { Venue } from "./venue.ts";

export interface Effort {
  /** Steps whose losses are compared, the very first included. */
  readonly firstSteps: number;
  /** Rounds at most; fewer where the time is up. */
  readonly rounds: number;
  /** A round has as many steps as fit into this, but one at least. */
  readonly roundMs: number;
  readonly mostStepsPerRound: number;
  /** For preparing, and for the first step, each. */
  readonly firstLimitMs: number;
  /** The `performance.now()` at which the whole benchmark ends: nothing is waited for any longer. */
  readonly endMs: number;
  /** What an engine that tunes may take for it, between the first steps and the rounds; 0 for none. */
  readonly tuneMs: number;
  /** For any later call. */
  readonly stepLimitMs: number;
}

export interface Measurement {
  readonly contestant: ContestantName;
  readonly device: string;
  /** Median over the rounds. */
  readonly stepMs: number;
  /** Processor time of all its processes. */
  readonly processorMs: number | null;
  /** 0 where no time was left: then `stepMs` is of the first steps but one, which nobody else shared. */
  readonly rounds: number;
  readonly stepsPerRound: number;
  /** Of Drove alone: compiling and tuning. */
  readonly compileMs: number | null;
  /** Until the first step's loss is known; compiling included, finding the device and loading the program not. */
  readonly firstStepMs: number;
  /** The same without what `compileMs` says. */
  readonly firstStepCompiledMs: number;
  readonly secondStepMs: number;
  /** What tuning took, which goes on beside training in use; and how much faster the products became by it. */
  readonly tuneMs: number | null;
  readonly tuneSpeedup: number | null;
  readonly losses: readonly number[];
}

interface Failure {
  readonly contestant: ContestantName;
  readonly problem: string;
}

export type Outcome = Measurement | Failure;

/** A contestant after its first steps. */
interface Started {
  readonly id: number;
  readonly line: Line;
  readonly device: string;
  readonly compileMs: number | null;
  /** Of the first steps. */
  readonly timesMs: readonly number[];
  readonly losses: readonly number[];
  readonly rounds: { readonly ms: number; readonly processorMs: number | null }[];
  readonly stepsPerRound: number;
  readonly tuneMs: number | null;
  readonly tuneSpeedup: number | null;
  problem?: string;
}

let nextId = 1;

/** `deadline` is a `performance.now()`, until which rounds are repeated; the first is taken where the benchmark does not end before. */
export async function measureWorkload(
  venue: Venue,
  job: Job,
  contestants: readonly ContestantName[],
  effort: Effort,
  deadline: number,
  say: (sentence: string) => void,
): Promise<Outcome[]> {
  const started = new Map<ContestantName, Started | string>();
  for (const contestant of contestants) {
    const id = nextId++;
    try {
      venue.start(id);
      const one = await takeFirstSteps(venue, id, contestant, job, effort);
      started.set(contestant, one);
      say(`${job.workload}: ${contestant} took ${one.timesMs[0]!.toFixed(0)} ms for its first step`);
    } catch (error) {
      venue.end(id);
      if (!(error instanceof ContestantError)) throw error;
      started.set(contestant, error.message);
      say(`${job.workload}: ${contestant} cannot: ${error.message}`);
    }
  }
  await takeRounds(venue, started, effort, deadline);
  for (const one of started.values()) if (typeof one !== "string") venue.end(one.id);
  return contestants.map((contestant) => outcomeOf(contestant, started.get(contestant)!));
}

async function takeFirstSteps(
  venue: Venue,
  id: number,
  contestant: ContestantName,
  job: Job,
  effort: Effort,
): Promise<Started> {
  const line = await venue.conductor.line(id);
  const prepare = { kind: "prepare", contestant, job } as const;
  const { device, compileMs } = await line.ask(prepare, "prepared", timeLeft(effort, effort.firstLimitMs));
  const timesMs: number[] = [];
  const losses: number[] = [];
  for (let step = 0; step < effort.firstSteps; step++) {
    const limitMs = step === 0 ? effort.firstLimitMs : effort.stepLimitMs;
    const { ms, loss } = await line.ask({ kind: "steps", count: 1 }, "done", timeLeft(effort, limitMs));
    timesMs.push(ms);
    losses.push(loss);
  }
  const { ms: tuneMs, speedup: tuneSpeedup } =
    effort.tuneMs > 0
      ? await line.ask({ kind: "tune", budgetMs: effort.tuneMs }, "tuned", timeLeft(effort, effort.firstLimitMs))
      : { ms: null, speedup: null };
  const expectedMs = Math.min(...timesMs.slice(1));
  const stepsPerRound = Math.max(1, Math.min(effort.mostStepsPerRound, Math.floor(effort.roundMs / expectedMs)));
  return { id, line, device, compileMs, timesMs, losses, rounds: [], stepsPerRound, tuneMs, tuneSpeedup };
}

/** `limitMs`, or less where the benchmark ends before. */
function timeLeft({ endMs }: Effort, limitMs: number): number {
  return Math.max(0, Math.min(limitMs, endMs - performance.now()));
}

async function takeRounds(
  venue: Venue,
  started: ReadonlyMap<ContestantName, Started | string>,
  effort: Effort,
  deadline: number,
): Promise<void> {
  const all = [...started.values()].filter((one) => typeof one !== "string");
  for (let round = 0; round < effort.rounds; round++) {
    for (let place = 0; place < all.length; place++) {
      const one = all[(place + round) % all.length]!;
      if (one.problem !== undefined) continue;
      const expectedMs = Math.min(...one.timesMs.slice(1)) * one.stepsPerRound;
      if (performance.now() + expectedMs > (round > 0 ? deadline : effort.endMs)) continue;
      await takeRound(venue, one, effort);
    }
  }
}

async function takeRound(venue: Venue, one: Started, effort: Effort): Promise<void> {
  const { id, line, stepsPerRound } = one;
  const before = venue.processorMs(id);
  try {
    const { ms } = await line.ask(
      { kind: "steps", count: stepsPerRound },
      "done",
      timeLeft(effort, effort.stepLimitMs),
    );
    const after = venue.processorMs(id);
    const processorMs = before === null || after === null ? null : (after - before) / stepsPerRound;
    one.rounds.push({ ms: ms / stepsPerRound, processorMs });
  } catch (error) {
    if (!(error instanceof ContestantError)) throw error;
    one.problem = error.message;
    venue.end(id);
  }
}

function outcomeOf(contestant: ContestantName, one: Started | string): Outcome {
  if (typeof one === "string") return { contestant, problem: one };
  const { device, compileMs, timesMs, losses, rounds, stepsPerRound, tuneMs, tuneSpeedup } = one;
  if (one.problem !== undefined && rounds.length === 0) return { contestant, problem: one.problem };
  const stepTimes = rounds.length > 0 ? rounds.map(({ ms }) => ms) : timesMs.slice(1);
  const processorTimes = rounds.flatMap(({ processorMs }) => processorMs ?? []);
  return {
    contestant,
    device,
    stepMs: median(stepTimes),
    processorMs: processorTimes.length === 0 ? null : median(processorTimes),
    rounds: rounds.length,
    stepsPerRound,
    compileMs,
    firstStepMs: (compileMs ?? 0) + timesMs[0]!,
    firstStepCompiledMs: timesMs[0]!,
    secondStepMs: timesMs[1]!,
    tuneMs,
    tuneSpeedup,
    losses,
  };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}
