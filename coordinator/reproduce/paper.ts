/**
 * A paper as the harness sees it: claims as data, and experiments that come back with findings. Each paper is a folder beside
 * this file; `papers.ts` lists them, `reproduction.ts` runs one.
 */

import type { Figure } from "./plots.ts";
import type { TaskPool } from "./pool.ts";
import type { Verdict } from "./statistics.ts";

export interface Paper {
  /** As on the command line. */
  readonly name: string;
  /** With authors and year. */
  readonly title: string;
  /** A paragraph for the report: what is run, what is simulated, how that differs from the paper's set-up. */
  readonly summary: string;
  /** How many seeds are reported, unless the command says otherwise. */
  readonly seeds: { readonly quick: number; readonly full: number };
  readonly experiments: readonly Experiment[];
}

export interface Experiment {
  /** Part of file names: a-z, 0-9 and dashes. */
  readonly name: string;
  readonly title: string;
  /** A paragraph for the report: set-up, sizes, definitions. */
  readonly method: string;
  readonly claims: readonly Claim[];
  /** A claim that a reduced run leaves out has no finding. */
  run(context: ExperimentContext): Promise<readonly Finding[]>;
}

/** What the paper says. */
export interface Claim {
  /** Unique in the paper. */
  readonly id: string;
  readonly statement: string;
  readonly paperValue: string;
  /** What `measured` counts. */
  readonly unit: string;
}

/** What was found about a claim. */
export interface Finding {
  /** The claim's. */
  readonly id: string;
  readonly measured: number | null;
  /** Two-sided, of 95 %. */
  readonly interval: readonly [low: number, high: number] | null;
  /** How many went in. */
  readonly seeds: number;
  readonly verdict: Verdict;
  /** Where inconclusive: how many seeds would decide it at the spread that was measured; null: none that could be run. */
  readonly seedsToDecide: number | null;
  /** A sentence: definitions, runs that missed the target, what to beware of. */
  readonly note?: string;
}

export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
}

export interface ExperimentContext {
  readonly isQuick: boolean;
  /** The reported ones. */
  readonly seeds: readonly number[];
  /** For choosing settings; never among the reported ones. */
  readonly tuningSeed: number;
  readonly pool: TaskPool;
  /** Progress, for a person who waits. */
  readonly note: (line: string) => void;
  /** Figures and tables stand in the report in the order in which they come. */
  readonly figure: (figure: Figure) => void;
  readonly table: (table: Table) => void;
  /** Raw numbers, into results.json under the experiment's name. */
  readonly record: (name: string, value: unknown) => void;
}
