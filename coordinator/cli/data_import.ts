/** `drove data import`: a data set of one's own, from IDX files, from CIFAR's binary layout or from a folder of pictures per class. */

import { resolve } from "node:path";
import { Option, type Command } from "commander";
import { ConfigError } from "../config_error.ts";
import type { ImageImport, ImageOptions } from "../data/image_import.ts";
import { importDataset, type ImportResult } from "../data/import.ts";
import { startCount } from "./count_progress.ts";
import { addRootFlags, rootOf, type DataOptions } from "./data_root.ts";
import { datasetLines, summaryOf } from "./data_words.ts";
import { EXIT, EXIT_CODES_HELP, type ExitCode } from "./exit_codes.ts";
import { interruptible } from "./interrupt.ts";
import { JSON_FLAG, Output, thousands } from "./output.ts";

interface ImportOptions extends DataOptions {
  readonly title?: string;
  readonly classes?: string;
  readonly size: string;
  readonly fit: ImageOptions["fit"];
  readonly channels: "1" | "3";
  readonly background: string;
  readonly testShare: string;
  readonly maxBad: string;
  readonly seed: string;
}

const LARGEST_SIDE = 1024;
/** In the list for people; programs get all with --json. */
const BAD_SHOWN = 10;

export function addDataImport(data: Command, done: (exitCode: ExitCode) => void): void {
  const command = data
    .command("import")
    .description(
      "checks IDX files, CIFAR's binary files or a folder of pictures per class, and keeps the images under a name",
    )
    .argument("<NAME>", "how runs will call it: a-z, 0-9, point, dash, underscore")
    .argument(
      "<FOLDER>",
      "holds train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-… (plain or .gz), or data_batch_1.bin … test_batch.bin, or a folder " +
        "of pictures per class, or train and test with a folder of pictures per class in each",
    )
    .option("--title <SENTENCE>", "what volunteers read about it")
    .option("--classes <NAMES>", "of IDX and CIFAR's files: what the labels mean, in their order, with commas between")
    .option("--size <N|HxW>", "of pictures: pixels of height and width that they are brought to", "32")
    .addOption(
      new Option(
        "--fit <KIND>",
        "of pictures with other proportions: cover (cut), contain (margins) or fill (stretched)",
      )
        .choices(["cover", "contain", "fill"])
        .default("cover"),
    )
    .addOption(new Option("--channels <N>", "of pictures: 1 (grey) or 3 (colour)").choices(["1", "3"]).default("3"))
    .option("--background <COLOUR>", "behind transparent pixels and in margins, such as white or #204060", "white")
    .option("--test-share <SHARE>", "of each class, held out as test images where there is no test folder", "0.2")
    .option("--max-bad <N>", "pictures that may be unreadable", "10")
    .option("--seed <N>", "of the order of the images and of what is held out", "1");
  addRootFlags(command)
    .option(...JSON_FLAG)
    .addHelpText(
      "after",
      `\nExample:\n  drove data import pets ./pictures --size 32 --test-share 0.2\n  drove data import letters ./emnist-letters --classes a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u,v,w,x,y,z\n  drove train --data pets --model cifar-quick\n${EXIT_CODES_HELP}`,
    )
    .action(async (name: string, folder: string, options: ImportOptions) => {
      const output = new Output(options.json ?? false);
      const images = imageOptionsOf(options);
      const seed = wholeNumber("--seed", options.seed, 2 ** 32 - 1);
      const root = await rootOf(options);
      const { title, classes } = options;
      const progress = startCount("pictures");
      const result = await interruptible(
        (signal) =>
          importDataset({
            root,
            name,
            source: resolve(folder),
            seed,
            images,
            signal,
            onProgress: (count, total) => progress.update(count, total),
            ...(title === undefined ? {} : { title }),
            ...(classes === undefined ? {} : { classNames: classes.split(",").map((one) => one.trim()) }),
          }),
        "Interrupted; nothing was kept.",
      ).finally(() => progress.stop());
      output.result(resultOf(result), describe(result));
      done(EXIT.ok);
    });
}

function resultOf({ description, folder, images }: ImportResult): object {
  if (!images) return { ...summaryOf(description), folder };
  return { ...summaryOf(description), folder, bad: images.bad, leftOut: Object.fromEntries(images.leftOut) };
}

function describe({ description, folder, images }: ImportResult): string[] {
  return [
    `${description.name} is now in ${folder}.`,
    ...datasetLines(description),
    ...(images ? whatWasLeft(images) : []),
    `Train on it with --data ${description.name}.`,
  ];
}

function whatWasLeft({ bad, leftOut }: ImageImport): string[] {
  const kinds = [...leftOut].map(([kind, count]) => `${thousands(count)} ${kind}`);
  return [
    ...(kinds.length > 0 ? [`Left out, being no pictures that are read: ${kinds.join(", ")}.`] : []),
    ...(bad.length > 0 ? [`Unreadable, and left out: ${thousands(bad.length)}.`] : []),
    ...bad.slice(0, BAD_SHOWN).map(({ file, reason }) => `  ${file}: ${reason}`),
    ...(bad.length > BAD_SHOWN ? [`  … and ${bad.length - BAD_SHOWN} more; --json has them all`] : []),
  ];
}

function imageOptionsOf(options: ImportOptions): ImageOptions {
  const { fit, channels, background } = options;
  const { height, width } = sizeOf(options.size);
  if (!/^(#[0-9a-f]{3,8}|[a-z]+)$/i.test(background)) {
    throw new ConfigError(
      `--background is ${JSON.stringify(background)}; accepted is a colour's name, such as white, or its code, such as #204060.`,
    );
  }
  const testShare = Number(options.testShare);
  if (options.testShare.trim() === "" || !(testShare > 0 && testShare < 1)) {
    throw new ConfigError(
      `--test-share is ${JSON.stringify(options.testShare)}; accepted is a share above 0 and below 1, such as 0.2.`,
    );
  }
  return {
    height,
    width,
    fit,
    channels: channels === "1" ? 1 : 3,
    background,
    testShare,
    mostBad: wholeNumber("--max-bad", options.maxBad, 1e9),
  };
}

function sizeOf(text: string): { height: number; width: number } {
  const [, height = "", width = height] = /^([0-9]{1,4})(?:x([0-9]{1,4}))?$/.exec(text) ?? [];
  const size = { height: Number(height), width: Number(width) };
  if (height !== "" && Object.values(size).every((side) => side >= 1 && side <= LARGEST_SIDE)) return size;
  throw new ConfigError(
    `--size is ${JSON.stringify(text)}; accepted is a number of pixels from 1 to ${LARGEST_SIDE}, such as 32, or height x width, such as 28x20.`,
  );
}

function wholeNumber(flag: string, text: string, most: number): number {
  const number = Number(text);
  if (text.trim() !== "" && Number.isInteger(number) && number >= 0 && number <= most) return number;
  throw new ConfigError(`${flag} is ${JSON.stringify(text)}; accepted is a whole number from 0 to ${most}.`);
}
