/**
 * What a reproduction leaves behind, in a folder of its own below the runs: `report.md` with the claims beside what was
 * measured, its figures as SVG, and `results.json` with every raw number. Written again after each experiment, so that a
 * reproduction that is ended early leaves what it has.
 */

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { writeError } from "../store/durable_file.ts";
import type { Claim, Finding, Paper, Table } from "./paper.ts";
import { svgOf, type Figure } from "./plots.ts";
import type { Verdict } from "./statistics.ts";

export type ClaimResult = Claim & Finding;

export interface ExperimentRecord {
  readonly name: string;
  readonly title: string;
  readonly method: string;
  readonly claims: readonly ClaimResult[];
  readonly parts: readonly ({ readonly figure: Figure } | { readonly table: Table })[];
  readonly raw: Readonly<Record<string, unknown>>;
  readonly wallSeconds: number;
}

export interface ReproductionRecord {
  readonly paper: Paper;
  readonly isQuick: boolean;
  readonly seeds: readonly number[];
  readonly tuningSeed: number;
  readonly machine: string;
  readonly experiments: readonly ExperimentRecord[];
}

/** Below the folder of runs; no run's name begins with a point. */
const FOLDER = ".reproductions";

/** A folder that nobody has: `<runs>/.reproductions/<paper>-<n>`. */
export async function createFolder(runsFolder: string, paperName: string): Promise<string> {
  const root = join(runsFolder, FOLDER);
  await mkdir(root, { recursive: true }).catch((error: unknown) => {
    throw writeError(root, error);
  });
  for (let n = 1; ; n++) {
    const path = join(root, `${paperName}-${n}`);
    try {
      await mkdir(path);
      return path;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw writeError(path, error);
    }
  }
}

export async function writeReport(folder: string, record: ReproductionRecord): Promise<void> {
  await writeFile(join(folder, "results.json"), `${JSON.stringify(resultsOf(record), null, 1)}\n`);
  await writeFile(join(folder, "report.md"), `${reportOf(record).join("\n")}\n`);
  for (const { name, parts } of record.experiments) {
    for (const part of parts) {
      if ("figure" in part) await writeFile(join(folder, fileOf(name, part.figure)), await svgOf(part.figure));
    }
  }
}

function claimsOf({ experiments }: ReproductionRecord): ClaimResult[] {
  return experiments.flatMap(({ claims }) => claims);
}

/** One line of the verdict: what was measured, its interval, and what would decide it. */
export function describeFinding(claim: ClaimResult): string {
  const { measured, interval, unit, seeds } = claim;
  if (measured === null) return claim.note ?? "not measured";
  const range = interval === null ? "no interval" : `${shown(interval[0])} to ${shown(interval[1])}`;
  return `${shown(measured)} ${unit} (${range}, n = ${seeds})`;
}

export function describeVerdict({
  verdict,
  seedsToDecide,
}: {
  verdict: Verdict;
  seedsToDecide: number | null;
}): string {
  if (verdict !== "inconclusive") return verdict;
  return seedsToDecide === null ? verdict : `${verdict}; n = ${seedsToDecide} would decide it`;
}

function resultsOf(record: ReproductionRecord): object {
  const { paper, isQuick, seeds, tuningSeed, machine, experiments } = record;
  return {
    paper: paper.name,
    title: paper.title,
    quick: isQuick,
    seeds,
    tuningSeed,
    machine,
    claims: claimsOf(record),
    experiments: Object.fromEntries(experiments.map(({ name, wallSeconds, raw }) => [name, { wallSeconds, ...raw }])),
  };
}

function reportOf(record: ReproductionRecord): string[] {
  const { paper, isQuick, seeds, tuningSeed, machine, experiments } = record;
  const wallSeconds = experiments.reduce((sum, one) => sum + one.wallSeconds, 0);
  return [
    `# ${paper.title}`,
    "",
    paper.summary,
    "",
    `\`drove reproduce ${paper.name}${isQuick ? " --quick" : ""}\`: seeds ${seeds[0]} to ${seeds.at(-1)}, settings chosen on seed ${tuningSeed}, which is not among them; ${Math.round(wallSeconds)} s on ${machine}. Intervals are of 95 %. Raw numbers: [results.json](results.json).`,
    ...(isQuick ? ["", "This is the reduced run: fewer seeds, sizes and grids than the full one."] : []),
    "",
    "| claim | paper | measured | verdict |",
    "| --- | --- | --- | --- |",
    ...claimsOf(record).map((claim) =>
      row([claim.statement, claim.paperValue, describeFinding(claim), `**${describeVerdict(claim)}**`]),
    ),
    ...experiments.flatMap(sectionOf),
  ];
}

function sectionOf({ name, title, method, claims, parts }: ExperimentRecord): string[] {
  const notes = claims.filter(({ note }) => note !== undefined);
  return [
    "",
    `## ${title}`,
    "",
    method,
    ...(notes.length === 0 ? [] : ["", ...notes.map(({ id, note }) => `- \`${id}\`: ${note}`)]),
    ...parts.flatMap((part) =>
      "figure" in part
        ? ["", `![${part.figure.caption}](${fileOf(name, part.figure)})`, "", part.figure.caption]
        : ["", ...tableLines(part.table)],
    ),
  ];
}

function tableLines({ title, columns, rows }: Table): string[] {
  return [
    `${title}:`,
    "",
    row(columns),
    row(columns.map(() => "---")),
    ...rows.map((cells) => row(cells.map((cell) => (typeof cell === "number" ? shown(cell) : cell)))),
  ];
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|").replaceAll("\n", " ")).join(" | ")} |`;
}

function fileOf(experiment: string, figure: Figure): string {
  return `${experiment}-${figure.name}.svg`;
}

/** Three digits that count, and no more noughts than needed. */
export function shown(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "-" : value > 0 ? "∞" : "-∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-3) return value.toExponential(1);
  return String(Number(value.toPrecision(size >= 1000 ? 4 : 3)));
}
