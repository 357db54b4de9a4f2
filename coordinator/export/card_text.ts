/** Markdown for model cards. Whatever a volunteer or an operator wrote goes through `quoted`. */

/** As code: nothing in it is a link, a tag or the end of a table's cell, and nothing turns the direction of the text. */
export function quoted(text: string): string {
  const plain = text
    .replaceAll(/[\p{C}\s]+/gu, " ")
    .replaceAll("`", "'")
    .replaceAll("|", "/")
    .trim();
  return plain === "" ? "-" : `\`${plain}\``;
}

/** Cells are markdown already. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

export function count(amount: number): string {
  return Math.round(amount).toLocaleString("en");
}

export function percent(share: number): string {
  return `${(100 * share).toFixed(2)} %`;
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

export function duration(seconds: number): string {
  if (seconds < 120) return `${seconds.toFixed(1)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Widths of the ranges double from 3 on: 0, 1, 2, 3 to 4, 5 to 8, … The last takes all that is staler. */
export function stalenessBars(counts: readonly number[]): string {
  const total = counts.reduce((sum, each) => sum + each, 0);
  const ranges: { from: number; to: number; pushes: number }[] = [];
  for (let from = 0; from < counts.length;) {
    const to = Math.min(from < 2 ? from : 2 ** Math.ceil(Math.log2(from)), counts.length - 1);
    const pushes = counts.slice(from, to + 1).reduce((sum, each) => sum + each, 0);
    ranges.push({ from, to, pushes });
    from = to + 1;
  }
  const most = Math.max(1, ...ranges.map(({ pushes }) => pushes));
  return ranges
    .map(({ from, to, pushes }) => {
      const label = (from === to ? String(from) : `${from} to ${to}`).padStart(10);
      const bar = "█".repeat(Math.max(pushes > 0 ? 1 : 0, Math.round((40 * pushes) / most)));
      return `${label}  ${bar} ${count(pushes)} (${percent(total === 0 ? 0 : pushes / total)})`;
    })
    .join("\n");
}
