/**
 * Puts the training examples of a data set into a random order where they are not in one: shards and leases follow the order of
 * the files, and files that are sorted by class would give every replica another task. In place, and by a fixed seed, so that
 * the shards of a data set have the same addresses at every start.
 */

import { Random } from "../../shared/random.ts";
import { classCounts, type Examples } from "./dataset.ts";

/** About as many as one part of a lease. */
const BLOCK_EXAMPLES = 256;
/** Of the mean of chi-square over its degrees of freedom: 1 in a random order, hundreds where blocks hold few classes. */
const MOST_UNEVEN = 2;
const SEED = 1;

export function mix(examples: Examples): void {
  if (!isMixed(examples.labels)) shuffle(examples, new Random(SEED));
}

/** Whether the classes are as frequent in every block of examples as in all of them, but for chance. */
export function isMixed(labels: Uint8Array): boolean {
  const counts = classCounts(labels);
  const present = counts.filter((count) => count > 0).length;
  const blocks = Math.floor(labels.length / BLOCK_EXAMPLES);
  // One class is mixed anyhow; and less than two blocks tell nothing.
  if (present < 2 || blocks < 2) return present < 2;
  let sum = 0;
  for (let block = 0; block < blocks; block++) {
    const begin = block * BLOCK_EXAMPLES;
    const own = classCounts(labels.subarray(begin, begin + BLOCK_EXAMPLES));
    for (const [label, count] of counts.entries()) {
      const expected = (BLOCK_EXAMPLES * count) / labels.length;
      if (expected > 0) sum += ((own[label] ?? 0) - expected) ** 2 / expected;
    }
  }
  return sum / blocks / (present - 1) <= MOST_UNEVEN;
}

/** Fisher and Yates over whole examples. */
function shuffle({ images, labels, count }: Examples, random: Random): void {
  const bytes = images.length / count;
  const kept = new Uint8Array(bytes);
  for (let last = count - 1; last > 0; last--) {
    const other = random.below(last + 1);
    kept.set(images.subarray(last * bytes, (last + 1) * bytes));
    images.copyWithin(last * bytes, other * bytes, (other + 1) * bytes);
    images.set(kept, other * bytes);
    const label = labels[last]!;
    labels[last] = labels[other]!;
    labels[other] = label;
  }
}
