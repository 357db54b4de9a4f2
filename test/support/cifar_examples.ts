/**
 * Real CIFAR-10 for tests and benchmarks that run in Node. Fetched into this user's cache where it is not there yet
 * (15 s on a fast line, at most 10 minutes), so call it in a `beforeAll` that may take that long.
 */

import { loadCifar10 } from "../../coordinator/data/cifar10.ts";
import { getCifar10 } from "../../coordinator/data/cifar10_get.ts";
import type { Dataset, Examples } from "../../coordinator/data/dataset.ts";

/** For hooks that may be the first to need it. */
export const CIFAR10_TIMEOUT_MS = 660_000;

export async function cifar10Dataset(): Promise<Dataset> {
  await getCifar10({ onStep: (sentence) => process.stderr.write(`${sentence}\n`) });
  return loadCifar10();
}

/** The first `count` training examples, all without one: images [count, 32, 32, 3] and labels [count] as bytes. */
export async function cifar10Examples(count = 50_000): Promise<Examples> {
  const { train } = await cifar10Dataset();
  const imageBytes = train.images.length / train.count;
  return {
    images: train.images.subarray(0, count * imageBytes),
    labels: train.labels.subarray(0, count),
    count,
  };
}
