/**
 * A folder of pictures per class, as `drove data import` finds it: which class each file belongs to, what is trained on and
 * what is held out, in an order that depends on names and seed alone. No picture is opened here.
 */

import type { Dirent } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, extname, join, relative } from "node:path";
import { CLASS_NAME_CHARACTERS } from "../../shared/run_settings.ts";
import { DataError } from "./idx.ts";
import { randomOrder } from "./stored_dataset.ts";

export interface PictureFile {
  readonly path: string;
  readonly label: number;
}

export interface PictureFolder {
  readonly classNames: readonly string[];
  readonly train: readonly PictureFile[];
  readonly test: readonly PictureFile[];
  /** The share of each class that was held out by the seed; undefined where a folder of its own holds the test pictures. */
  readonly testShare?: number;
  /** Files that are no pictures: how many, by kind (".txt", "hidden", "links"). */
  readonly leftOut: ReadonlyMap<string, number>;
}

export interface SplitOptions {
  /** Of each class, where there is no test folder; above 0 and below 1. */
  readonly testShare: number;
  readonly seed: number;
}

const PICTURE_ENDINGS = [".png", ".jpg", ".jpeg", ".webp", ".gif", ".tif", ".tiff", ".avif"];
const TEST_FOLDERS = ["test", "val", "validation"];
/** A label is a byte. */
const MOST_CLASSES = 256;
const MOST_FILES = 5_000_000;
/** Of folders in a class. */
const DEEPEST = 8;
const CONTROL_CHARACTERS = /\p{Cc}/gu;

/** Throws a `DataError` that names the folder where classes cannot be made of it. */
export async function scanPictures(folder: string, options: SplitOptions): Promise<PictureFolder> {
  const scan = new Scan();
  const top = await scan.foldersIn(folder);
  const trainFolder = top.includes("train") ? join(folder, "train") : folder;
  const testFolder = trainFolder === folder ? undefined : TEST_FOLDERS.find((name) => top.includes(name));
  const classNames = namedClasses(trainFolder, await scan.foldersIn(trainFolder));
  const train: PictureFile[][] = [];
  for (const [label, name] of classNames.entries()) {
    const files = await scan.picturesIn(join(trainFolder, name));
    if (files.length === 0) throw new DataError(noPictures(join(trainFolder, name), name));
    train.push(files.map((path) => ({ path, label })));
  }
  const { leftOut } = scan;
  if (testFolder === undefined) return { classNames, ...drawn(train, options), testShare: options.testShare, leftOut };
  const test = await scan.testPictures(join(folder, testFolder), classNames);
  return { classNames, train: mixed(train.flat(), options.seed), test: mixed(test, options.seed), leftOut };
}

/** Reads folders and counts what it passes by. */
class Scan {
  readonly leftOut = new Map<string, number>();
  #files = 0;

  /** Names of the visible folders, sorted. */
  async foldersIn(folder: string): Promise<string[]> {
    const entries = await this.#visible(folder);
    return sorted(entries.filter((entry) => entry.isDirectory()).map(({ name }) => name));
  }

  /** Paths of a class' pictures, in folders of folders too, sorted. */
  async picturesIn(folder: string, depth = 0): Promise<string[]> {
    if (depth > DEEPEST)
      throw new DataError(`${folder} lies more than ${DEEPEST} folders deep in its class; move its pictures up.`);
    const found: string[] = [];
    for (const entry of await this.#visible(folder)) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) found.push(...(await this.picturesIn(path, depth + 1)));
      else if (PICTURE_ENDINGS.includes(extname(entry.name).toLowerCase())) found.push(path);
      else this.#leaveOut(extname(entry.name).toLowerCase() || "without an ending");
    }
    this.#files += found.length;
    if (this.#files > MOST_FILES)
      throw new DataError(`${folder}: there are more than ${MOST_FILES} pictures; import a part of them.`);
    return depth === 0 ? sorted(found) : found;
  }

  async testPictures(folder: string, classNames: readonly string[]): Promise<PictureFile[]> {
    const found: PictureFile[] = [];
    for (const name of await this.foldersIn(folder)) {
      const label = classNames.indexOf(name);
      const paths = await this.picturesIn(join(folder, name));
      if (label < 0 && paths.length > 0) {
        throw new DataError(
          `${join(folder, name)} holds pictures of a class that train has none of; accepted are ${shortList(classNames)}.`,
        );
      }
      found.push(...paths.map((path) => ({ path, label })));
    }
    if (found.length === 0) throw new DataError(noPictures(folder, basename(folder)));
    return found;
  }

  async #visible(folder: string): Promise<Dirent[]> {
    const entries = await readdir(folder, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
      throw new DataError(`${folder} cannot be read (${error.code}); check that it may be read.`);
    });
    return entries.filter((entry) => {
      // Links may lead anywhere, round in circles too.
      const why = entry.name.startsWith(".") ? "hidden" : entry.isSymbolicLink() ? "links" : undefined;
      if (why) this.#leaveOut(why);
      return why === undefined;
    });
  }

  #leaveOut(kind: string): void {
    this.leftOut.set(kind, (this.leftOut.get(kind) ?? 0) + 1);
  }
}

function namedClasses(folder: string, names: readonly string[]): readonly string[] {
  if (names.length === 0) {
    throw new DataError(
      `${folder} holds neither IDX files nor CIFAR's nor a folder of pictures per class; lay them out as ${join(basename(folder), "cat", "1.jpg")}, or with train and test folders above the classes.`,
    );
  }
  if (names.length === 1) {
    throw new DataError(`${folder} has only one class, "${names[0]}"; there is nothing to tell it apart from.`);
  }
  if (names.length > MOST_CLASSES) {
    throw new DataError(`${folder} has ${names.length} class folders; accepted are 2 to ${MOST_CLASSES}.`);
  }
  for (const name of names) {
    if (name.length > CLASS_NAME_CHARACTERS || name.search(CONTROL_CHARACTERS) >= 0) {
      throw new DataError(
        `${folder} has the class folder ${JSON.stringify(name)}; accepted are names of at most ${CLASS_NAME_CHARACTERS} printable characters, so rename it.`,
      );
    }
  }
  return names;
}

/** Classes that are numbers in the order of numbers, all else in that of their characters: the same on every machine. */
function sorted(names: readonly string[]): string[] {
  const areNumbers = names.every((name) => /^[0-9]{1,15}$/.test(name));
  return names.toSorted((a, b) => {
    if (areNumbers && Number(a) !== Number(b)) return Number(a) - Number(b);
    return a < b ? -1 : a > b ? 1 : 0;
  });
}

/** Of each class its share, at least one picture where it has two. */
function drawn(classes: readonly (readonly PictureFile[])[], { testShare, seed }: SplitOptions) {
  const [train, test]: [PictureFile[], PictureFile[]] = [[], []];
  for (const [label, files] of classes.entries()) {
    const most = files.length - 1;
    const held = Math.min(most, Math.max(1, Math.round(testShare * files.length)));
    for (const [place, index] of randomOrder(files.length, seed + label).entries()) {
      (place < held ? test : train).push(files[index]!);
    }
  }
  return { train: mixed(train, seed), test: mixed(test, seed) };
}

function mixed(files: readonly PictureFile[], seed: number): PictureFile[] {
  return Array.from(randomOrder(files.length, seed), (index) => files[index]!);
}

function noPictures(folder: string, name: string): string {
  return `${folder} holds no picture of "${name}"; remove the folder, or put some there (${PICTURE_ENDINGS.join(", ")}).`;
}

function shortList(names: readonly string[]): string {
  return names.length <= 12 ? names.join(", ") : `${names.slice(0, 12).join(", ")} and ${names.length - 12} more`;
}

/** A file's path for people: inside the folder, nothing in it that a terminal obeys. */
export function shownPath(folder: string, path: string): string {
  return relative(folder, path).replaceAll(CONTROL_CHARACTERS, "?");
}
