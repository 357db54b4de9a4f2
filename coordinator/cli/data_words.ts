/** A data set in words, for people: its size in a line, and its balance as bars. */

import type { DatasetDescription } from "../data/description.ts";
import { tableLines, thousands } from "./output.ts";

const BAR_CHARACTERS = 30;
/** What fits on a screen; programs get all with --json. */
const CLASSES_SHOWN = 40;

export function summaryOf({ name, title, counts, classes, classNames, shape }: DatasetDescription) {
  const [trainImages, testImages] = [sum(counts.train), sum(counts.test)];
  return { name, title, trainImages, testImages, classes, shape, ...(classNames ? { classNames } : {}) };
}

/** Its size in the first line, then its balance, mean and deviation, and where it came from. */
export function datasetLines(description: DatasetDescription): string[] {
  const { counts, normalisation, source, classes } = description;
  const names = Array.from({ length: classes }, (_, label) => description.classNames?.[label] ?? `class ${label}`);
  const most = Math.max(1, ...counts.train);
  const rows = names.slice(0, CLASSES_SHOWN).map((name, label) => {
    const count = counts.train[label] ?? 0;
    const bar = "█".repeat(Math.max(1, Math.round((BAR_CHARACTERS * count) / most)));
    return [`  ${name}`, bar.padEnd(BAR_CHARACTERS), thousands(count), `+ ${thousands(counts.test[label] ?? 0)}`];
  });
  const rest = names.length - rows.length;
  return [
    sizeInWords(description),
    ...tableLines(rows),
    ...(rest > 0 ? [`  … and ${rest} more classes; --json has them all`] : []),
    `Most to fewest training images of a class: ${(most / Math.max(1, Math.min(...counts.train))).toFixed(2)}.`,
    `Mean ${inWords(normalisation.mean)}, deviation ${inWords(normalisation.deviation)} (of values from 0 to 1).`,
    source,
  ];
}

export function sizeInWords({ counts, shape, classes }: DatasetDescription): string {
  const size = `${shape.height}x${shape.width}x${shape.channels}`;
  return `${thousands(sum(counts.train))} training and ${thousands(sum(counts.test))} test images of ${size}, ${classes} classes`;
}

function inWords(values: readonly number[]): string {
  return values.map((value) => value.toFixed(4)).join(", ");
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}
