/** An evaluation in lines for a person: the sum, each class, the matrix where it fits a page, the worst confusions. */

import type { Confusion } from "../evaluation/confusion.ts";
import { percent, thousands } from "./output.ts";

export interface Evaluated {
  /** What was evaluated. */
  readonly what: string;
  readonly data: string;
  readonly classNames: readonly string[] | undefined;
  readonly confusion: Confusion;
  readonly meanLoss: number;
}

/** More classes than this are listed by their accuracy alone, the worst of them. */
const MATRIX_CLASSES = 20;
const MOST_MISTAKES = 10;

export function evaluationLines(evaluated: Evaluated): string[] {
  const { what, data, confusion, meanLoss } = evaluated;
  return [
    `${what}: ${percent(confusion.accuracy)} of the ${thousands(confusion.images)} test images of ${data} are right, mean loss ${meanLoss.toFixed(4)}.`,
    "",
    ...classLines(evaluated),
    ...(confusion.classes <= MATRIX_CLASSES ? ["", ...matrixLines(evaluated)] : []),
    ...mistakeLines(evaluated),
  ];
}

function nameOf({ classNames }: Evaluated, label: number): string {
  const name = classNames?.[label];
  return name === undefined || name === String(label) ? String(label) : `${label} ${name}`;
}

function classLines(evaluated: Evaluated): string[] {
  const { confusion } = evaluated;
  const scores = confusion.scores().filter(({ images }) => images > 0);
  const shown =
    scores.length <= MATRIX_CLASSES
      ? scores
      : scores.toSorted((a, b) => (a.accuracy ?? 0) - (b.accuracy ?? 0)).slice(0, MATRIX_CLASSES);
  const names = shown.map(({ label }) => nameOf(evaluated, label));
  const width = Math.max(5, ...names.map((name) => name.length));
  const title =
    scores.length <= MATRIX_CLASSES ? "By class:" : `The ${MATRIX_CLASSES} worst of ${scores.length} classes:`;
  return [
    title,
    ...shown.map(({ images, correct, accuracy }, index) => {
      const share = percent(accuracy).padStart(9);
      return `  ${names[index]!.padEnd(width)} ${share}  ${thousands(correct)} of ${thousands(images)}`;
    }),
  ];
}

/** A row for each class, a column for each answer. */
function matrixLines({ confusion }: Evaluated): string[] {
  const rows = confusion.rows();
  const width = Math.max(3, ...rows.flat().map((count) => String(count).length));
  const line = (head: string, cells: readonly string[]): string =>
    `  ${head.padStart(5)} ${cells.map((cell) => cell.padStart(width)).join(" ")}`;
  return [
    "What was taken for what (rows: what it is; columns: the answer):",
    line(
      "",
      rows.map((_, answer) => String(answer)),
    ),
    ...rows.map((row, label) =>
      line(
        String(label),
        row.map((count) => (count === 0 ? "·" : String(count))),
      ),
    ),
  ];
}

function mistakeLines(evaluated: Evaluated): string[] {
  const mistakes = evaluated.confusion.worst(MOST_MISTAKES);
  if (mistakes.length === 0) return [];
  return [
    "",
    "Most often mistaken:",
    ...mistakes.map(
      ({ label, answer, images, share }) =>
        `  ${nameOf(evaluated, label)} taken for ${nameOf(evaluated, answer)}: ${thousands(images)} times, ${percent(share)} of its images`,
    ),
  ];
}
