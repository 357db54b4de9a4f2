/** `drove data`: the well-known data sets, and data sets of one's own; each of its commands has a file or is short and here. */

import type { Command } from "commander";
import { DataError } from "../data/idx.ts";
import { datasetNames, describeDataset, isBuiltIn } from "../data/library.ts";
import { addDataGet } from "./data_get.ts";
import { addDataImport } from "./data_import.ts";
import { addRootFlags, rootOf, type DataOptions } from "./data_root.ts";
import { datasetLines, summaryOf } from "./data_words.ts";
import { EXIT, EXIT_CODES_HELP, type ExitCode } from "./exit_codes.ts";
import { JSON_FLAG, Output, tableLines } from "./output.ts";

export function addData(program: Command, done: (exitCode: ExitCode) => void): void {
  const data = program
    .command("data")
    .description("data sets: what runs can be trained on")
    .addHelpText(
      "after",
      `\nExample:\n  drove data get cifar10\n  drove data import pets ./pictures --size 32\n  drove data show pets\n${EXIT_CODES_HELP}`,
    );
  addDataGet(data, done);
  addDataImport(data, done);
  addList(data, done);
  addShow(data, done);
  addVerify(data, done);
}

function addList(data: Command, done: (exitCode: ExitCode) => void): void {
  addRootFlags(data.command("list").description("the names that --data takes"))
    .option(...JSON_FLAG)
    .addHelpText("after", `\nExample:\n  drove data list\n${EXIT_CODES_HELP}`)
    .action(async (options: DataOptions) => {
      const root = await rootOf(options);
      const names = await datasetNames(root);
      const datasets = await Promise.all(names.map(async (name) => listed(root, name)));
      const rows = datasets.map(({ summary, line }) => [summary.name, line]);
      new Output(options.json ?? false).result(
        { names, datasets: datasets.map(({ summary }) => summary) },
        tableLines(rows),
      );
      done(EXIT.ok);
    });
}

interface Listed {
  readonly summary: { readonly name: string; readonly isReady: boolean; readonly problem?: string };
  readonly line: string;
}

/** One that is not there, or damaged, is listed with the sentence that says so. */
async function listed(root: string, name: string): Promise<Listed> {
  try {
    const description = await describeDataset(root, name);
    const [line = ""] = datasetLines(description);
    return { summary: { ...summaryOf(description), isReady: true }, line };
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    return { summary: { name, isReady: false, problem: error.message }, line: error.message };
  }
}

function addShow(data: Command, done: (exitCode: ExitCode) => void): void {
  addRootFlags(data.command("show").description("what is known of a data set: size, classes and their balance, source"))
    .argument("<NAME>", "which one; see `drove data list`")
    .option(...JSON_FLAG)
    .addHelpText("after", `\nExample:\n  drove data show mnist\n${EXIT_CODES_HELP}`)
    .action(async (name: string, options: DataOptions) => {
      const description = await describeDataset(await rootOf(options), name);
      new Output(options.json ?? false).result(description, [
        `${name}: ${description.title}`,
        ...datasetLines(description),
      ]);
      done(EXIT.ok);
    });
}

function addVerify(data: Command, done: (exitCode: ExitCode) => void): void {
  addRootFlags(data.command("verify").description("reads every byte of data sets and compares their sha256"))
    .argument("[NAMES...]", "which ones (default: all that are here)")
    .option(...JSON_FLAG)
    .addHelpText("after", `\nExample:\n  drove data verify mnist\n${EXIT_CODES_HELP}`)
    .action(async (names: string[], options: DataOptions) => {
      const output = new Output(options.json ?? false);
      const root = await rootOf(options);
      const wanted = names.length > 0 ? names : await presentNames(root);
      const verdicts: { name: string; isWhole: boolean; problem?: string }[] = [];
      for (const name of wanted) {
        verdicts.push(
          await describeDataset(root, name, { isFull: true }).then(
            () => ({ name, isWhole: true }),
            (error: unknown) => {
              if (error instanceof DataError) return { name, isWhole: false, problem: error.message };
              throw error;
            },
          ),
        );
      }
      const isOk = verdicts.every(({ isWhole }) => isWhole);
      output.result(
        { ok: isOk, datasets: verdicts },
        tableLines(verdicts.map(({ name, problem }) => [name, problem ?? "every file is what it was"])),
      );
      done(isOk ? EXIT.ok : EXIT.failed);
    });
}

/** All but the well-known ones that nobody fetched. */
async function presentNames(root: string): Promise<string[]> {
  const names = await datasetNames(root);
  const isHere = await Promise.all(
    names.map(async (name) => {
      if (!isBuiltIn(name)) return true;
      return describeDataset(root, name).then(
        () => true,
        (error: unknown) => !(error instanceof DataError && error.message.includes(" yet; ")),
      );
    }),
  );
  return names.filter((_, index) => isHere[index]);
}
