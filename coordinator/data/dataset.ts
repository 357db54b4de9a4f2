/**
 * A data set in memory: images as bytes, one label byte each, a training and a held-out part. What `library.ts` gives by
 * name, what shards are cut from and what the evaluator tests on.
 */

import type { Normalisation } from "../../shared/engine/plan.ts";
import { describeShape, type ImageShape, type ModelDescription } from "../../shared/model/model.ts";
import { DataError, type Idx } from "./idx.ts";
import { ChannelHistogram } from "./normalisation.ts";

export interface Examples {
  /** [count, height, width, channels] */
  readonly images: Uint8Array<ArrayBuffer>;
  readonly labels: Uint8Array<ArrayBuffer>;
  readonly count: number;
}

export interface Dataset {
  readonly name: string;
  /** One sentence for volunteers: what is trained, and with what. */
  readonly title: string;
  readonly shape: ImageShape;
  readonly classes: number;
  /** What the labels mean, in their order, where that is known. */
  readonly classNames?: readonly string[];
  readonly train: Examples;
  readonly test: Examples;
  /** Of the training pixels, scaled to 0..1. */
  readonly normalisation: Normalisation;
}

/** The four files of a data set, parsed, with the names under which sentences mention them. */
export interface DatasetFiles {
  readonly trainImages: NamedIdx;
  readonly trainLabels: NamedIdx;
  readonly testImages: NamedIdx;
  readonly testLabels: NamedIdx;
}

export interface NamedIdx extends Idx {
  readonly file: string;
}

/** What a data set is called, and what is known of it before its files are read. */
export interface DatasetWords {
  readonly name: string;
  readonly title: string;
  readonly classNames?: readonly string[];
  /** Computed once and kept (`description.ts`); where it is left out, computed now. */
  readonly normalisation?: Normalisation;
}

/** Fits the four files together, or throws a `DataError` that names the file which does not fit. */
export function assembleDataset(words: DatasetWords, files: DatasetFiles): Dataset {
  const shape = imageShape(files.trainImages);
  const testShape = imageShape(files.testImages);
  if (describeShape(shape) !== describeShape(testShape)) {
    throw new DataError(
      `${files.testImages.file} holds images of ${describeShape(testShape)}, ${files.trainImages.file} of ${describeShape(shape)}; both must have one size.`,
    );
  }
  const train = examplesOf(files.trainImages, files.trainLabels);
  const test = examplesOf(files.testImages, files.testLabels);
  const trainCounts = classCounts(train.labels);
  const classes = trainCounts.length;
  const missing = trainCounts.findIndex((count) => count === 0);
  if (missing >= 0) {
    throw new DataError(
      `${files.trainLabels.file} has labels up to ${classes - 1} but none is ${missing}; number the classes 0, 1, 2, … without a gap.`,
    );
  }
  if (classes < 2) throw new DataError(`${files.trainLabels.file} has only one class; there is nothing to learn.`);
  const testClasses = classCounts(test.labels).length;
  if (testClasses > classes) {
    throw new DataError(
      `${files.testLabels.file} has the label ${testClasses - 1}, which ${files.trainLabels.file} does not have; both must have the same classes.`,
    );
  }
  const { name, title, classNames } = words;
  const normalisation = words.normalisation ?? normalisationOf(train.images, shape.channels);
  return { name, title, shape, classes, ...(classNames ? { classNames } : {}), train, test, normalisation };
}

/** Why a model cannot be trained on images of this shape in so many classes, in a sentence; undefined where it can. */
export function misfitOf(
  model: Pick<ModelDescription, "name" | "input" | "classes">,
  { name, shape, classes }: Pick<Dataset, "name" | "shape" | "classes">,
): string | undefined {
  if (describeShape(model.input) === describeShape(shape) && classes <= model.classes) return undefined;
  return (
    `${name} has images of ${describeShape(shape)} in ${classes} classes, but ${model.name} takes ` +
    `${describeShape(model.input)} in up to ${model.classes}; choose a model and a data set that fit.`
  );
}

/** How often each label occurs; its length is the highest label + 1. */
export function classCounts(labels: Uint8Array): number[] {
  const counts = new Uint32Array(256);
  for (const label of labels) counts[label]!++;
  return [...counts.subarray(0, counts.findLastIndex((count) => count > 0) + 1)];
}

function examplesOf(images: NamedIdx, labels: NamedIdx): Examples {
  if (labels.dimensions.length !== 1) {
    throw new DataError(`${labels.file} has ${labels.dimensions.length} dimensions; a file of labels has one.`);
  }
  const count = images.dimensions[0]!;
  if (labels.dimensions[0] !== count) {
    throw new DataError(
      `${images.file} holds ${count} images, ${labels.file} ${labels.dimensions[0]} labels; each image needs one label.`,
    );
  }
  if (count === 0) throw new DataError(`${images.file} holds no images.`);
  return { images: images.values, labels: labels.values, count };
}

function imageShape({ file, dimensions }: NamedIdx): ImageShape {
  const [, height, width, channels = 1] = dimensions;
  if (dimensions.length > 4 || height === undefined || width === undefined || height * width * channels === 0) {
    throw new DataError(
      `${file} has dimensions ${dimensions.join("x")}; images are count x height x width or count x height x width x channels.`,
    );
  }
  return { height, width, channels };
}

function normalisationOf(images: Uint8Array, channels: number): Normalisation {
  const histogram = new ChannelHistogram(channels);
  histogram.add(images);
  return histogram.normalisation();
}
