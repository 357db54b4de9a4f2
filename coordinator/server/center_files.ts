/**
 * Published centers as files for the many (SPEC D): `/center/latest` names the newest one, `/center/<incarnation>-<version>.<codec>` is
 * one of them, immutable, so that any cache may serve those who join or only look on. A few are kept, each copied, hashed and
 * encoded once, whoever asks.
 */

import { setImmediate as nextTurn } from "node:timers/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { BLOCK_ELEMENTS, encodedBytes } from "../../shared/wire/codec/codec.ts";
import { encode } from "../../shared/wire/codec/naive.ts";
import type { PublishedVersion } from "../center/center.ts";
import { IMMUTABLE } from "./headers.ts";
import { sendFile, type ServedFile } from "./served_file.ts";
import { JSON_TYPE, sendText } from "./send_text.ts";

/** What is published, as the run has it. */
export interface PublishedCenters {
  /** As it was at most so long ago. */
  recent(ageMs: number): Promise<PublishedVersion>;
  at(version: number): PublishedVersion | undefined;
}

export interface CenterFilesOptions {
  readonly incarnation: number;
  /** Of the layout. */
  readonly elements: number;
  readonly centers: PublishedCenters;
  /** Whether nothing is published any more. */
  readonly isOver: () => boolean;
}

/** What `/center/latest` says. */
export interface LatestCenter {
  readonly incarnation: number;
  /** A base version: a replica that has fetched it says so in its hello. */
  readonly version: number;
  readonly elements: number;
  /** Of the f32 file. */
  readonly bytes: number;
  /** Of the f32 file, as hex. */
  readonly sha256: string;
  /** Relative to the coordinator's address. */
  readonly address: string;
  /** The same center, encoded: the address of each codec. */
  readonly encodings: Readonly<Record<Exclude<FileCodec, "f32">, string>>;
}

const FILE_CODECS = ["f32", "f16", "bf16", "int8"] as const;
type FileCodec = (typeof FILE_CODECS)[number];

interface Kept {
  readonly version: number;
  readonly values: Float32Array<ArrayBuffer>;
  readonly files: Map<FileCodec, Promise<HashedFile>>;
}

interface HashedFile {
  readonly file: ServedFile;
  readonly sha256: string;
}

const LATEST_AGE_MS = 1000;
const MOST_KEPT_BYTES = 128 * 2 ** 20;
const FEWEST_KEPT = 2;
const MOST_KEPT = 8;
/** Encoded without a pause: a few milliseconds. */
const STRETCH_ELEMENTS = 256 * BLOCK_ELEMENTS;

export class CenterFiles {
  readonly #options: CenterFilesOptions;
  readonly #mostKept: number;
  /** By version, the one kept longest first. */
  readonly #kept = new Map<number, Kept>();

  constructor(options: CenterFilesOptions) {
    this.#options = options;
    const bytesOfAll = FILE_CODECS.reduce((bytes, codec) => bytes + encodedBytes(codec, options.elements), 0);
    const fitting = Math.floor(MOST_KEPT_BYTES / bytesOfAll);
    this.#mostKept = Math.max(FEWEST_KEPT, Math.min(MOST_KEPT, fitting));
  }

  /** True where the address is one of these; it is answered then. */
  async handle(address: string, request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    if (address === "/center/latest") {
      await this.#sendLatest(response);
      return true;
    }
    const [, incarnation, version, suffix] = /^\/center\/(\d{1,15})-(\d{1,15})\.([a-z0-9]+)$/.exec(address) ?? [];
    const codec = FILE_CODECS.find((name) => name === suffix);
    if (codec === undefined) return false;
    const isOurs = Number(incarnation) === this.#options.incarnation;
    const kept = isOurs ? this.#keptAt(Number(version)) : undefined;
    if (kept) sendFile(request, response, (await fileOf(kept, codec)).file);
    else sendText(response, 404, "This center is not kept here, or no longer; /center/latest names the newest one.\n");
    return true;
  }

  async #sendLatest(response: ServerResponse): Promise<void> {
    const { centers, isOver, incarnation, elements } = this.#options;
    if (isOver()) return sendText(response, 404, "This run is over; its center is in its folder.\n");
    const newest = await centers.recent(LATEST_AGE_MS);
    const kept = this.#keptAt(newest.version) ?? this.#keep(newest);
    const { sha256 } = await fileOf(kept, "f32");
    const addressIn = (codec: FileCodec): string => `center/${incarnation}-${kept.version}.${codec}`;
    const latest: LatestCenter = {
      incarnation,
      version: kept.version,
      elements,
      bytes: kept.values.byteLength,
      sha256,
      address: addressIn("f32"),
      encodings: { f16: addressIn("f16"), bf16: addressIn("bf16"), int8: addressIn("int8") },
    };
    sendText(response, 200, JSON.stringify(latest), JSON_TYPE);
  }

  /** One that was asked for before, or that the run still has. */
  #keptAt(version: number): Kept | undefined {
    const kept = this.#kept.get(version);
    if (kept) return kept;
    const published = this.#options.centers.at(version);
    return published && this.#keep(published);
  }

  #keep(published: PublishedVersion): Kept {
    const values = new Float32Array(published.values().slice().buffer);
    const kept: Kept = { version: published.version, values, files: new Map() };
    this.#kept.set(published.version, kept);
    for (const version of this.#kept.keys()) if (this.#kept.size > this.#mostKept) this.#kept.delete(version);
    return kept;
  }
}

function fileOf(kept: Kept, codec: FileCodec): Promise<HashedFile> {
  const known = kept.files.get(codec);
  if (known) return known;
  const file = hashedFile(kept.values, codec);
  kept.files.set(codec, file);
  return file;
}

async function hashedFile(values: Float32Array<ArrayBuffer>, codec: FileCodec): Promise<HashedFile> {
  const bytes = codec === "f32" ? new Uint8Array(values.buffer) : await encoded(values, codec);
  const sha256 = Buffer.from(await crypto.subtle.digest("SHA-256", bytes)).toString("hex");
  const contentType = "application/octet-stream";
  return { sha256, file: { contentType, cacheControl: IMMUTABLE, etag: `"${sha256}"`, parts: [bytes] } };
}

/** In stretches, between which the coordinator answers others. */
async function encoded(values: Float32Array, codec: FileCodec): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(encodedBytes(codec, values.length));
  for (let from = 0; from < values.length; from += STRETCH_ELEMENTS) {
    const stretch = values.subarray(from, from + STRETCH_ELEMENTS);
    bytes.set(encode(codec, stretch), encodedBytes(codec, from));
    await nextTurn();
  }
  return bytes;
}
