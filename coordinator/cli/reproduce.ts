/** `drove reproduce PAPER`: runs the small-scale version of a paper's claims and says of each whether it came out. */

import { join } from "node:path";
import type { Command } from "commander";
import { PAPER_NAMES, paperOf } from "../reproduce/papers.ts";
import { ConfigError, listed } from "../run_config.ts";
import { FIELDS } from "../run_fields.ts";
import { EXIT, EXIT_CODES_HELP, type ExitCode } from "./exit_codes.ts";
import { JSON_FLAG, Output } from "./output.ts";

interface ReproduceOptions {
  readonly quick?: boolean;
  readonly seeds?: string;
  readonly only?: string;
  readonly maxSeconds?: string;
  readonly runsFolder: string;
  readonly json?: boolean;
}

const HIGHEST_SEEDS = 1000;
const HIGHEST_SECONDS = 100_000;

export function addReproduce(program: Command, done: (exitCode: ExitCode) => void): void {
  program
    .command("reproduce")
    .description("runs the small-scale version of a paper's claims and says of each whether it came out")
    .argument("<PAPER>", PAPER_NAMES.join(", "))
    .option("--quick", "fewer seeds, sizes and grids: at most 2 minutes")
    .option("--seeds <N>", "how many seeds are reported, instead of the paper's own number")
    .option("--only <EXPERIMENT>", "one of the paper's experiments instead of all")
    .option("--max-seconds <S>", "what is not measured by then stays inconclusive")
    .option("--runs-folder <FOLDER>", "the report goes into .reproductions below it", FIELDS.runsFolder.initial)
    .option(...JSON_FLAG)
    .addHelpText(
      "after",
      `\nEach claim ends as reproduced, not reproduced or inconclusive; all three are results, and exit code 0.\n\nExample:\n  drove reproduce easgd --quick\n${EXIT_CODES_HELP}`,
    )
    .action(async (name: string, options: ReproduceOptions) => done(await run(name, options)));
}

async function run(name: string, options: ReproduceOptions): Promise<ExitCode> {
  const output = new Output(options.json ?? false);
  const paper = await paperOf(name);
  if (!paper) throw new ConfigError(`The paper is "${name}"; accepted is ${listed(PAPER_NAMES)}.`);
  // Loaded only now: drawing and threads are for this command alone.
  const [{ reproduce }, { describeFinding, describeVerdict }] = await Promise.all([
    import("../reproduce/reproduction.ts"),
    import("../reproduce/report.ts"),
  ]);
  const { folder, claims } = await reproduce({
    paper,
    isQuick: options.quick ?? false,
    seeds: wholeNumber("--seeds", options.seeds, HIGHEST_SEEDS),
    maxSeconds: wholeNumber("--max-seconds", options.maxSeconds, HIGHEST_SECONDS),
    only: options.only,
    runsFolder: options.runsFolder,
    note: (line) => output.note(line),
  });
  const report = join(folder, "report.md");
  output.result({ paper: paper.name, quick: options.quick ?? false, report, claims }, [
    paper.title,
    ...claims.flatMap((claim) => [
      "",
      claim.statement,
      `  paper     ${claim.paperValue}`,
      `  measured  ${describeFinding(claim)}`,
      `  verdict   ${describeVerdict(claim)}`,
    ]),
    "",
    `The report is ${report}.`,
  ]);
  return EXIT.ok;
}

function wholeNumber(flag: string, given: string | undefined, highest: number): number | undefined {
  if (given === undefined) return undefined;
  const value = Number(given);
  if (/^\d+$/.test(given) && value >= 1 && value <= highest) return value;
  throw new ConfigError(`${flag} is "${given}"; accepted is a whole number from 1 to ${highest}.`);
}
