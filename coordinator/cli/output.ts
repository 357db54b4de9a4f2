/**
 * Where a command's words go. For a person: results on stdout, the rest on stderr. With `--json`: one JSON object as the
 * last line of stdout and everything else on stderr, so that a program can read the one without the other.
 */

export class Output {
  readonly isJson: boolean;

  constructor(isJson: boolean) {
    this.isJson = isJson;
  }

  /** News for a person. */
  say(line: string): void {
    (this.isJson ? process.stderr : process.stdout).write(`${line}\n`);
  }

  /** Progress and warnings. */
  note(line: string): void {
    process.stderr.write(`${line}\n`);
  }

  /** The command's result, once, at the end. */
  result(json: object, lines: readonly string[]): void {
    for (const line of lines) this.say(line);
    if (this.isJson) process.stdout.write(`${JSON.stringify(json)}\n`);
  }
}

/** `--json` as every command describes it. */
export const JSON_FLAG = [
  "--json",
  "print one JSON object as the last line of stdout, everything else on stderr",
] as const;

export function percent(share: number | null): string {
  return share === null ? "-" : `${(100 * share).toFixed(2)} %`;
}

export function thousands(amount: number): string {
  return Math.round(amount).toLocaleString("en");
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** Rows as lines, each column as wide as its widest cell. */
export function tableLines(rows: readonly (readonly string[])[]): string[] {
  const widths = rows.reduce<number[]>((most, row) => row.map((cell, at) => Math.max(cell.length, most[at] ?? 0)), []);
  return rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
