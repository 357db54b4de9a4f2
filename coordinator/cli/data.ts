/** `drove data import` and `drove data list`: data sets of one's own beside the built-in one. */

import { resolve } from "node:path";
import type { Command } from "commander";
import { datasetNames, importIdx } from "../data/import.ts";
import { FIELDS } from "../run_fields.ts";
import { EXIT, EXIT_CODES_HELP, type ExitCode } from "./exit_codes.ts";
import { JSON_FLAG, Output, thousands } from "./output.ts";
import { dataRoot } from "./places.ts";

interface DataOptions {
  readonly json?: boolean;
  readonly runsFolder: string;
  readonly title?: string;
}

const RUNS_FOLDER_FLAG = [
  "--runs-folder <FOLDER>",
  "the folder of runs that the data is for",
  FIELDS.runsFolder.initial,
] as const;

export function addData(program: Command, done: (exitCode: ExitCode) => void): void {
  const data = program
    .command("data")
    .description("data sets: what runs can be trained on")
    .addHelpText("after", `\nExample:\n  drove data import fashion ./fashion-mnist\n${EXIT_CODES_HELP}`);
  data
    .command("import")
    .description("checks four IDX files (images and labels, for training and for testing) and keeps them under a name")
    .argument("<NAME>", "how runs will call it: a-z, 0-9, point, dash, underscore")
    .argument("<FOLDER>", "holds train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-… (plain or .gz)")
    .option("--title <SENTENCE>", "what volunteers read about it")
    .option(...RUNS_FOLDER_FLAG)
    .option(...JSON_FLAG)
    .addHelpText(
      "after",
      `\nExample:\n  drove data import fashion ./fashion-mnist\n  drove train --data fashion\n${EXIT_CODES_HELP}`,
    )
    .action(async (name: string, folder: string, options: DataOptions) => {
      const { title } = options;
      const root = dataRoot(options.runsFolder);
      const dataset = await importIdx({
        root,
        name,
        source: resolve(folder),
        ...(title === undefined ? {} : { title }),
      });
      const { train, test, classes, shape } = dataset;
      const size = `${shape.height}x${shape.width}x${shape.channels}`;
      new Output(options.json ?? false).result(
        { name, title: dataset.title, trainImages: train.count, testImages: test.count, classes, shape },
        [
          `${name}: ${thousands(train.count)} training and ${thousands(test.count)} test images of ${size}, ${classes} classes. Train on it with --data ${name}.`,
        ],
      );
      done(EXIT.ok);
    });
  data
    .command("list")
    .description("the names that --data takes")
    .option(...RUNS_FOLDER_FLAG)
    .option(...JSON_FLAG)
    .addHelpText("after", `\nExample:\n  drove data list\n${EXIT_CODES_HELP}`)
    .action(async (options: DataOptions) => {
      const names = await datasetNames(dataRoot(options.runsFolder));
      new Output(options.json ?? false).result({ names }, names);
      done(EXIT.ok);
    });
}
