/** Runs one paper: its experiments one after the other, with a pool of threads, a cap on time, and a report that grows with them. */

import { availableParallelism, cpus } from "node:os";
import { ConfigError, listed } from "../run_config.ts";
import type { Experiment, ExperimentContext, Finding, Paper } from "./paper.ts";
import { unmeasured } from "./findings.ts";
import { OutOfTime, TaskPool } from "./pool.ts";
import { createFolder, writeReport, type ClaimResult, type ExperimentRecord } from "./report.ts";

export interface ReproductionRequest {
  readonly paper: Paper;
  readonly isQuick: boolean;
  /** How many; undefined: as many as the paper's own number. */
  readonly seeds: number | undefined;
  /** One experiment's name; undefined: all. */
  readonly only: string | undefined;
  /** A cap; undefined: two minutes for a reduced run, less its start and its report, and longer for a full one. */
  readonly maxSeconds: number | undefined;
  readonly runsFolder: string;
  readonly note: (line: string) => void;
}

export interface Reproduction {
  readonly folder: string;
  readonly claims: readonly ClaimResult[];
}

/** Reported seeds count from 1 and never come this far. */
const TUNING_SEED = 1_000_003;

const MOST_THREADS = 2;

/** The reduced run is at most two minutes, its start and its report included. */
const QUICK_SECONDS = 105;
const FULL_SECONDS = 25 * 60;

const PROGRESS_INTERVAL_MS = 5000;

export async function reproduce(request: ReproductionRequest): Promise<Reproduction> {
  const { paper, isQuick, seeds, only, maxSeconds, runsFolder, note } = request;
  const chosen = paper.experiments.filter(({ name }) => only === undefined || name === only);
  if (chosen.length === 0) {
    throw new ConfigError(
      `--only is "${only}"; accepted for ${paper.name} is ${listed(paper.experiments.map(({ name }) => name))}.`,
    );
  }
  const folder = await createFolder(runsFolder, paper.name);
  const count = seeds ?? (isQuick ? paper.seeds.quick : paper.seeds.full);
  const progress = new Progress(note);
  const pool = new TaskPool({
    threads: Math.min(MOST_THREADS, availableParallelism()),
    seconds: maxSeconds ?? (isQuick ? QUICK_SECONDS : FULL_SECONDS),
    onProgress: (done, asked) => progress.update(done, asked),
  });
  const setting = {
    isQuick,
    seeds: Array.from({ length: count }, (_, index) => index + 1),
    tuningSeed: TUNING_SEED,
    pool,
    note,
  };
  const experiments: ExperimentRecord[] = [];
  try {
    for (const experiment of chosen) {
      progress.begin(experiment.title);
      experiments.push(await carryOut(experiment, setting));
      await writeReport(folder, { ...setting, paper, machine: machineOf(), experiments });
    }
  } finally {
    await pool.close();
  }
  return { folder, claims: experiments.flatMap(({ claims }) => claims) };
}

async function carryOut(
  experiment: Experiment,
  setting: Pick<ExperimentContext, "isQuick" | "seeds" | "tuningSeed" | "pool" | "note">,
): Promise<ExperimentRecord> {
  const parts: ExperimentRecord["parts"][number][] = [];
  const raw: Record<string, unknown> = {};
  const startMs = performance.now();
  const { name, title, method, claims } = experiment;
  const findings = await findingsOf(experiment, {
    ...setting,
    figure: (figure) => parts.push({ figure }),
    table: (table) => parts.push({ table }),
    record: (key, value) => {
      raw[key] = value;
    },
  });
  return {
    name,
    title,
    method,
    claims: claims.flatMap((claim) => {
      const finding = findings.find(({ id }) => id === claim.id);
      return finding ? [{ ...claim, ...finding }] : [];
    }),
    parts,
    raw,
    wallSeconds: (performance.now() - startMs) / 1000,
  };
}

async function findingsOf(experiment: Experiment, context: ExperimentContext): Promise<readonly Finding[]> {
  try {
    context.pool.checkTime();
    const findings = await experiment.run(context);
    const unknown = findings.find(({ id }) => experiment.claims.every((claim) => claim.id !== id));
    if (unknown)
      throw new Error(`invariant violation: ${experiment.name} found "${unknown.id}", which it does not claim`);
    return findings;
  } catch (error) {
    if (!(error instanceof OutOfTime)) throw error;
    context.note(`${experiment.title}: not finished in the time of this reproduction.`);
    return experiment.claims.map(({ id }) => unmeasured(id, "Not finished in the time of this reproduction."));
  }
}

function machineOf(): string {
  const [first] = cpus();
  return `${availableParallelism()} cores (${first?.model.trim() ?? "unknown"}), Node ${process.versions.node}`;
}

/** A line now and then. */
class Progress {
  readonly #note: (line: string) => void;
  #title = "";
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(note: (line: string) => void) {
    this.#note = note;
  }

  begin(title: string): void {
    this.#title = title;
    this.#note(`${title} ...`);
    this.#lastMs = performance.now();
  }

  update(done: number, asked: number): void {
    const nowMs = performance.now();
    if (nowMs - this.#lastMs < PROGRESS_INTERVAL_MS) return;
    this.#lastMs = nowMs;
    this.#note(`${this.#title}: ${done} of ${asked} tasks done`);
  }
}
