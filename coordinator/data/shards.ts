/**
 * Cuts a training set into content-addressed pieces, so that browsers and proxies may keep them for ever and a
 * volunteer fetches only as many as it trains on. The pieces are views of the data set: nothing is held twice.
 */

import { createHash } from "node:crypto";
import type { Dataset } from "./dataset.ts";

/** 3.9 MB of MNIST: long enough for full speed on a line, short enough for a progress bar to move. */
const EXAMPLES_PER_SHARD = 5000;

export class Shard {
  /** `data/<name>/<first 16 hex of sha256>.bin`: relative to the coordinator's address, immutable. */
  readonly path: string;
  readonly examples: number;
  readonly byteLength: number;
  /** Images [examples, height, width, channels], then labels, as bytes: to be sent one after the other. */
  readonly parts: readonly [images: Buffer, labels: Buffer];

  constructor(datasetName: string, images: Buffer, labels: Buffer) {
    const hash = createHash("sha256").update(images).update(labels).digest("hex").slice(0, 16);
    this.path = `data/${datasetName}/${hash}.bin`;
    this.examples = labels.length;
    this.byteLength = images.length + labels.length;
    this.parts = [images, labels];
  }

  /** Both parts in one new buffer, for senders that take only one. */
  get bytes(): Buffer {
    return Buffer.concat(this.parts);
  }
}

export function cutShards({ name, train }: Dataset, examplesPerShard = EXAMPLES_PER_SHARD): readonly Shard[] {
  if (!Number.isInteger(examplesPerShard) || examplesPerShard < 1) {
    throw new Error(`invariant violation: ${examplesPerShard} examples per shard`);
  }
  const imageBytes = train.images.length / train.count;
  const shards: Shard[] = [];
  for (let first = 0; first < train.count; first += examplesPerShard) {
    const end = Math.min(first + examplesPerShard, train.count);
    const images = view(train.images, first * imageBytes, end * imageBytes);
    shards.push(new Shard(name, images, view(train.labels, first, end)));
  }
  return shards;
}

function view(bytes: Uint8Array<ArrayBuffer>, begin: number, end: number): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset + begin, end - begin);
}
