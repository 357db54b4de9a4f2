/**
 * Pictures in folders per class become a stored data set: each is opened by sharp, turned as its EXIF says, resized, and its
 * pixels go straight to the disk, so that memory holds a few pictures at a time however many there are.
 */

import { open, type FileHandle } from "node:fs/promises";
import { basename, join } from "node:path";
import sharp from "sharp";
import { defaultTitle, describeFiles, type DatasetDescription } from "./description.ts";
import { DataError, idxHeader } from "./idx.ts";
import { scanPictures, shownPath, type PictureFile, type PictureFolder } from "./image_folder.ts";
import { ChannelHistogram } from "./normalisation.ts";
import { STORED_FILES, writeAll } from "./stored_dataset.ts";

export interface ImageOptions {
  readonly height: number;
  readonly width: number;
  /** What happens to a picture of other proportions: cut, given margins, or stretched. */
  readonly fit: "cover" | "contain" | "fill";
  /** Grey or colour. */
  readonly channels: 1 | 3;
  /** Behind transparent pixels, and of margins: a colour as CSS writes it. */
  readonly background: string;
  /** Of each class, where there is no test folder. */
  readonly testShare: number;
  /** Pictures that may be unreadable. */
  readonly mostBad: number;
}

/** What became of the pictures. */
export interface ImageImport {
  readonly bad: readonly BadPicture[];
  readonly leftOut: ReadonlyMap<string, number>;
}

interface BadPicture {
  /** Inside the source. */
  readonly file: string;
  readonly reason: string;
}

export interface PicturesRequest {
  readonly name: string;
  readonly title?: string;
  readonly seed: number;
  readonly images?: ImageOptions;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

export const DEFAULT_IMAGES: ImageOptions = {
  height: 32,
  width: 32,
  fit: "cover",
  channels: 3,
  background: "white",
  testShare: 0.2,
  mostBad: 10,
};

/** That are open at once; as many as libuv has threads keep them busy. */
const AT_ONCE = 16;
/** A file that Node reads at once is at most 2 GiB. */
const MOST_FILE_BYTES = 2 ** 31 - 1024;
const MOST_SECONDS_PER_PICTURE = 60;
/** In the sentence of a refusal. */
const BAD_SHOWN = 5;

/** Looks at the folder's names; what comes back reads the pictures and writes into an empty folder. */
export async function prepareImages(folder: string, request: PicturesRequest) {
  const { images = DEFAULT_IMAGES, seed } = request;
  const found = await scanPictures(folder, { testShare: images.testShare, seed });
  const pictureBytes = images.height * images.width * images.channels;
  if (found.train.length * pictureBytes > MOST_FILE_BYTES) {
    const most = Math.floor(MOST_FILE_BYTES / pictureBytes);
    throw new DataError(
      `${found.train.length.toLocaleString("en")} training images of ${images.height}x${images.width}x${images.channels} are more than the 2 GB that Drove holds; ` +
        `choose a smaller --size, or at most ${most.toLocaleString("en")} pictures.`,
    );
  }
  return async (made: string): Promise<{ description: DatasetDescription; images: ImageImport }> => {
    const conversion = new Conversion(folder, found, { ...request, images });
    const train = await conversion.write(made, found.train, [STORED_FILES[0], STORED_FILES[1]]);
    const test = await conversion.write(made, found.test, [STORED_FILES[2], STORED_FILES[3]]);
    requireExamples(found, train, test);
    const { height, width, channels } = images;
    const facts = {
      name: request.name,
      title: request.title ?? defaultTitle(request.name, sum(train.counts)),
      source: sourceOf(folder, found, { ...request, images }, sum(train.counts) + sum(test.counts)),
      shape: { height, width, channels },
      classes: found.classNames.length,
      classNames: found.classNames,
      counts: { train: train.counts, test: test.counts },
      normalisation: train.histogram.normalisation(),
    };
    const description = await describeFiles(made, facts, STORED_FILES);
    return { description, images: { bad: conversion.bad, leftOut: found.leftOut } };
  };
}

interface Written {
  /** Of each class. */
  readonly counts: readonly number[];
  readonly histogram: ChannelHistogram;
}

class Conversion {
  readonly bad: BadPicture[] = [];
  readonly #folder: string;
  readonly #classes: number;
  readonly #total: number;
  readonly #request: PicturesRequest & { readonly images: ImageOptions };
  #done = 0;

  constructor(folder: string, found: PictureFolder, request: PicturesRequest & { readonly images: ImageOptions }) {
    this.#folder = folder;
    this.#classes = found.classNames.length;
    this.#total = found.train.length + found.test.length;
    this.#request = request;
    // One picture per thread, and none is ever opened twice.
    sharp.concurrency(1);
    sharp.cache(false);
  }

  /** The readable ones of `pictures`, in their order, as images and labels. */
  async write(
    made: string,
    pictures: readonly PictureFile[],
    [imageFile, labelFile]: readonly [string, string],
  ): Promise<Written> {
    const { images, signal, onProgress } = this.#request;
    const histogram = new ChannelHistogram(images.channels);
    const counts = Array.from({ length: this.#classes }, () => 0);
    const writer = await IdxWriter.create(join(made, imageFile), [images.height, images.width, images.channels]);
    const labels: number[] = [];
    try {
      for (let first = 0; first < pictures.length; first += AT_ONCE) {
        signal?.throwIfAborted();
        const few = pictures.slice(first, first + AT_ONCE);
        const read = await Promise.all(few.map(({ path }) => this.#pixels(path)));
        for (const [index, pixels] of read.entries()) {
          if (!pixels) continue;
          const { label } = few[index]!;
          await writer.add(pixels);
          histogram.add(pixels);
          labels.push(label);
          counts[label]!++;
        }
        this.#done += few.length;
        onProgress?.(this.#done, this.#total);
      }
      await writer.finish();
    } finally {
      await writer.close();
    }
    const labelWriter = await IdxWriter.create(join(made, labelFile), []);
    try {
      await labelWriter.add(Uint8Array.from(labels), labels.length);
      await labelWriter.finish();
    } finally {
      await labelWriter.close();
    }
    return { counts, histogram };
  }

  async #pixels(path: string): Promise<Uint8Array | undefined> {
    const { images } = this.#request;
    try {
      return await pixelsOf(path, images);
    } catch (error) {
      const reason = (error as Error).message.split("\n", 1)[0] ?? "";
      this.bad.push({ file: shownPath(this.#folder, path), reason });
      if (this.bad.length <= images.mostBad) return undefined;
      throw new DataError(tooManyBad(this.bad, images.mostBad));
    }
  }
}

/** [height, width, channels] bytes. Throws what sharp throws. */
async function pixelsOf(path: string, images: ImageOptions): Promise<Uint8Array> {
  const { height, width, fit, channels, background } = images;
  const { data, info } = await sharp(path, { failOn: "error", autoOrient: true })
    .timeout({ seconds: MOST_SECONDS_PER_PICTURE })
    .flatten({ background })
    .resize({ height, width, fit, background })
    .toColourspace(channels === 1 ? "b-w" : "srgb")
    .raw({ depth: "uchar" })
    .toBuffer({ resolveWithObject: true });
  if (info.channels === channels && data.length === height * width * channels) return data;
  throw new Error(`invariant violation: ${path} became ${info.width}x${info.height}x${info.channels}`);
}

/** An IDX file whose first dimension is known only at its end. */
class IdxWriter {
  readonly #file: FileHandle;
  readonly #dimensions: readonly number[];
  #count = 0;

  private constructor(file: FileHandle, dimensions: readonly number[]) {
    this.#file = file;
    this.#dimensions = dimensions;
  }

  static async create(path: string, dimensions: readonly number[]): Promise<IdxWriter> {
    const writer = new IdxWriter(await open(path, "wx"), dimensions);
    await writeAll(writer.#file, idxHeader([0, ...dimensions]));
    return writer;
  }

  async add(values: Uint8Array, count = 1): Promise<void> {
    await writeAll(this.#file, values);
    this.#count += count;
  }

  async finish(): Promise<void> {
    await this.#file.write(idxHeader([this.#count, ...this.#dimensions]), { position: 0 });
    await this.#file.sync();
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

function requireExamples({ classNames }: PictureFolder, train: Written, test: Written): void {
  const empty = train.counts.indexOf(0);
  if (empty >= 0) {
    throw new DataError(`The class "${classNames[empty]}" has no picture to train on that can be read; add some.`);
  }
  if (sum(test.counts) === 0)
    throw new DataError("No test picture can be read; add some, or choose a larger --test-share.");
}

function tooManyBad(bad: readonly BadPicture[], most: number): string {
  const shown = bad.slice(0, BAD_SHOWN).map(({ file, reason }) => `${file} (${reason})`);
  const rest = bad.length > BAD_SHOWN ? " and others" : "";
  return `More than ${most} pictures cannot be read: ${shown.join(", ")}${rest}; repair or remove them, or allow more with --max-bad.`;
}

function sourceOf(
  folder: string,
  { testShare }: PictureFolder,
  { images, seed }: { readonly images: ImageOptions; readonly seed: number },
  count: number,
): string {
  const { height, width, fit, channels } = images;
  const held =
    testShare === undefined
      ? "test images as the folder has them"
      : `${(100 * testShare).toFixed(0)} % of each class held out as test images, drawn with seed ${seed}`;
  return (
    `Imported from ${count.toLocaleString("en")} pictures in folders by class (${basename(folder)}), ` +
    `resized to ${height}x${width} (${fit}) in ${channels === 1 ? "grey" : "colour"}; ${held}; each part in the random order of seed ${seed}.`
  );
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}
