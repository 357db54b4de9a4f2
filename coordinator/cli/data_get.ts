/** `drove data get`: a well-known data set, fetched once for all runs of this user. */

import { Argument, type Command } from "commander";
import { dataCacheFolder } from "../data/cache_folder.ts";
import { BUILT_IN_NAMES, getDataset, type BuiltInName } from "../data/library.ts";
import { sizeInWords, summaryOf } from "./data_words.ts";
import { EXIT, EXIT_CODES_HELP, type ExitCode } from "./exit_codes.ts";
import { interruptible } from "./interrupt.ts";
import { JSON_FLAG, Output } from "./output.ts";

interface GetOptions {
  readonly json?: boolean;
}

export function addDataGet(data: Command, done: (exitCode: ExitCode) => void): void {
  data
    .command("get")
    .description("fetches a well-known data set with npm, verifies it and keeps it for all runs of this user")
    .addArgument(new Argument("<NAME>", "which one").choices(BUILT_IN_NAMES))
    .option(...JSON_FLAG)
    .addHelpText(
      "after",
      `\nKept in ${dataCacheFolder()} (the environment variable DROVE_DATA names another folder). MNIST comes with the installation; ` +
        `Fashion-MNIST is 39 MB to fetch, CIFAR-10 139 MB.\n\nExample:\n  drove data get cifar10\n  drove train --model resnet-20 --data cifar10\n${EXIT_CODES_HELP}`,
    )
    .action(async (name: BuiltInName, options: GetOptions) => {
      const output = new Output(options.json ?? false);
      const onStep = (sentence: string): void => output.note(sentence);
      const { description, folder, wasThere } = await interruptible(
        (signal) => getDataset(name, { onStep, signal }),
        "Interrupted; nothing was kept.",
      );
      output.result({ ...summaryOf(description), wasThere, folder }, [
        `${wasThere ? `It is already there, in ${folder}.` : `It is now in ${folder}.`} ${name}: ${sizeInWords(description)}. Train on it with --data ${name}.`,
      ]);
      done(EXIT.ok);
    });
}
