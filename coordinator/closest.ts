/** The name that somebody probably meant, for sentences about one that is not known. */

/** ` Did you mean "x"?` with a space before, or nothing where no name is near. */
export function didYouMean(found: unknown, names: readonly string[]): string {
  const near = typeof found === "string" ? closest(found, names) : undefined;
  return near === undefined ? "" : ` Did you mean "${near}"?`;
}

/** One that begins so, else one of which at most a third of the letters are wrong, capitals and dashes aside. */
export function closest(found: string, names: readonly string[]): string | undefined {
  // A number is no misspelt number.
  if (found.length > 100 || !/[a-z]/i.test(found)) return undefined;
  const plain = plainly(found);
  const begun = plain.length >= 3 ? names.find((name) => plainly(name).startsWith(plain)) : undefined;
  if (begun !== undefined) return begun;
  const ranked = names
    .map((name) => ({ name, distance: editDistance(plain, plainly(name)) }))
    .toSorted((a, b) => a.distance - b.distance);
  const [best] = ranked;
  return best !== undefined && best.distance <= Math.max(1, Math.floor(plain.length / 3)) ? best.name : undefined;
}

function plainly(name: string): string {
  return name.toLowerCase().replaceAll(/[-_ ]/g, "");
}

/** Of Levenshtein, with one row of the table at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
