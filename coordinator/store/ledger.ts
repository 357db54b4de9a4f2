/**
 * The ledger: one JSON line per settled exchange, appended and never changed (SPEC X14). A line is on disk before
 * anybody is told of it; appends of one turn share one write that ends on disk ("group commit"), so its cost does not
 * grow with the number of replicas.
 */

import { constants, createReadStream } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { createInterface } from "node:readline/promises";
import * as v from "valibot";
import { leaseClaimSchema } from "../../shared/lease.ts";
import { isRefusalCode, type RefusalCode } from "../../shared/wire/codes.ts";
import { StoreError, syncFolder, writeError } from "./durable_file.ts";
import { tornTailBytes } from "./torn_tail.ts";

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

const entrySchema = v.object({
  /** When it was settled, ISO 8601. */
  at: v.string(),
  incarnation: count,
  replica: v.string(),
  exchange: count,
  verdict: v.custom<"applied" | RefusalCode>(
    (value) => value === "applied" || (typeof value === "string" && isRefusalCode(value)),
  ),
  /** Versions between pull and apply; null where the push was refused before it was known. */
  staleness: v.nullable(count),
  /** The center's version after it. */
  version: count,
  /** Local steps and samples behind the push. */
  steps: count,
  samples: count,
  /** Of an applied push: how far it used its leases (SPEC K4). Runs of earlier versions have none. */
  leased: v.exactOptional(v.pipe(v.array(leaseClaimSchema), v.readonly())),
});

export type LedgerEntry = v.InferOutput<typeof entrySchema>;

/** On Linux a write to this file ends on disk: one errand for the system's threads instead of two, which every answer waits for. */
const WRITES_ARE_DURABLE = process.platform === "linux";
const OPEN_FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_APPEND;

/** A write that a crash cut off lies within so many bytes of the end. */
const TAIL_BYTES = 1 << 20;

interface Group {
  text: string;
  readonly done: PromiseWithResolvers<void>;
}

export class Ledger {
  readonly path: string;
  /** What a crash had left half written, and opening removed. */
  readonly tornBytes: number;
  readonly #file: FileHandle;
  /** Length up to which all is acknowledged. */
  #bytes: number;
  #next: Group | undefined;
  #flushing: Promise<void> | undefined;
  #failure: Error | undefined;

  private constructor(path: string, file: FileHandle, bytes: number, tornBytes: number) {
    this.path = path;
    this.tornBytes = tornBytes;
    this.#file = file;
    this.#bytes = bytes;
  }

  /** Opens or creates; a line that a crash cut off is removed (nobody was told of it). */
  static async open(path: string): Promise<Ledger> {
    try {
      const file = await open(path, WRITES_ARE_DURABLE ? OPEN_FLAGS | constants.O_DSYNC : OPEN_FLAGS);
      const { size } = await file.stat();
      const tornBytes = await tornTailBytes(file, size, TAIL_BYTES);
      if (tornBytes > 0) {
        await file.truncate(size - tornBytes);
        await file.datasync();
      }
      await syncFolder(dirname(path));
      return new Ledger(path, file, size - tornBytes, tornBytes);
    } catch (error) {
      throw writeError(path, error);
    }
  }

  /** What is on disk at this moment, oldest first, without holding it all. */
  async *entries(): AsyncGenerator<LedgerEntry> {
    if (this.#bytes === 0) return;
    const lines = createInterface({
      input: createReadStream(this.path, { end: this.#bytes - 1 }),
      crlfDelay: Infinity,
    });
    let number = 0;
    for await (const line of lines) {
      number++;
      yield parseEntry(line, `${this.path}:${number}`);
    }
  }

  /** Resolves when the line is on disk. A write error rejects this and all later appends: the disk needs a person. */
  append(entry: LedgerEntry): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    this.#next ??= { text: "", done: Promise.withResolvers() };
    this.#next.text += `${JSON.stringify(entry)}\n`;
    const { promise } = this.#next.done;
    // Starts after this turn, so that all appends of the turn are in the group.
    this.#flushing ??= Promise.resolve().then(() => this.#flush());
    return promise;
  }

  /** Waits for what was appended. */
  async close(): Promise<void> {
    await this.#flushing;
    this.#failure ??= new Error("invariant violation: an append to a closed ledger");
    await this.#file.close();
  }

  async #flush(): Promise<void> {
    while (this.#next) {
      const group = this.#next;
      this.#next = undefined;
      try {
        if (this.#failure) throw this.#failure;
        this.#bytes += await this.#write(Buffer.from(group.text));
        group.done.resolve();
      } catch (error) {
        // After a failed write or sync nobody knows what is on disk: going on could acknowledge a line that is not there.
        this.#failure ??= writeError(this.path, error);
        group.done.reject(this.#failure);
      }
    }
    this.#flushing = undefined;
  }

  /** Resolves with their number once all are on disk. */
  async #write(bytes: Uint8Array): Promise<number> {
    for (let at = 0; at < bytes.byteLength;) at += (await this.#file.write(bytes, at)).bytesWritten;
    if (!WRITES_ARE_DURABLE) await this.#file.datasync();
    return bytes.byteLength;
  }
}

/** Throws a `StoreError` that names the place. */
export function parseEntry(line: string, place: string): LedgerEntry {
  try {
    return v.parse(entrySchema, JSON.parse(line));
  } catch {
    throw new StoreError(
      `${place} is not a line of a ledger; restore the file from a backup, or move it away to begin a new one.`,
    );
  }
}
