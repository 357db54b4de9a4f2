/**
 * The event log: one JSON line per event of a run (`shared/run_log.ts`), appended and never changed. A line is with the system when
 * `append` returns, so that a killed process leaves every event that anything followed from; after a power cut the last second or
 * so may be missing, which the ledger never is. A disk that takes no more is told of once, and the run goes on.
 */

import { createReadStream, ftruncateSync, writeSync } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { createInterface } from "node:readline/promises";
import type { LoggedEvent, RunEvent } from "../../shared/run_log.ts";
import { writeError } from "./durable_file.ts";
import { tornTailBytes } from "./torn_tail.ts";

export interface EventLogOptions {
  /** The time of day. */
  readonly nowIso: () => string;
  /** Of the run's own clock. */
  readonly seconds: () => number;
  /** Told once, until a line could be written again. */
  readonly onProblem: (sentence: string) => void;
}

/** A view of a thousand replicas with their histograms is the longest line. */
const LONGEST_LINE_BYTES = 16 * 2 ** 20;

export class EventLog {
  readonly path: string;
  readonly #file: FileHandle;
  readonly #options: EventLogOptions;
  /** Length up to which all lines are whole. */
  #bytes: number;
  #isProblemTold = false;
  #isClosed = false;

  private constructor(path: string, file: FileHandle, bytes: number, options: EventLogOptions) {
    this.path = path;
    this.#file = file;
    this.#bytes = bytes;
    this.#options = options;
  }

  /** Opens or creates; a line that a crash cut off is removed. */
  static async open(path: string, options: EventLogOptions): Promise<EventLog> {
    try {
      const file = await open(path, "a+");
      const { size } = await file.stat();
      const tornBytes = await tornTailBytes(file, size, LONGEST_LINE_BYTES);
      if (tornBytes > 0) await file.truncate(size - tornBytes);
      return new EventLog(path, file, size - tornBytes, options);
    } catch (error) {
      throw writeError(path, error);
    }
  }

  /** The line is written when this returns. Never throws: a run does not end because its log cannot be written. */
  append(event: LoggedEvent): void {
    if (this.#isClosed) return;
    const { nowIso, seconds, onProblem } = this.#options;
    const { kind, ...rest } = event;
    const line = Buffer.from(`${JSON.stringify({ kind, at: nowIso(), seconds: seconds(), ...rest })}\n`);
    try {
      for (let at = 0; at < line.byteLength;) at += writeSync(this.#file.fd, line, at);
      this.#bytes += line.byteLength;
      this.#isProblemTold = false;
    } catch (error) {
      this.#dropPartOfLine();
      if (!this.#isProblemTold) onProblem(writeError(this.path, error).message);
      this.#isProblemTold = true;
    }
  }

  /** What is written at this moment, oldest first, without holding it all. What is no event, of another version say, is passed over. */
  async *events(): AsyncGenerator<RunEvent> {
    if (this.#bytes === 0) return;
    const lines = createInterface({
      input: createReadStream(this.path, { end: this.#bytes - 1 }),
      crlfDelay: Infinity,
    });
    for await (const line of lines) {
      const event = eventIn(line);
      if (event) yield event;
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#file.close();
  }

  /** A full disk may have taken the beginning of the line. */
  #dropPartOfLine(): void {
    try {
      ftruncateSync(this.#file.fd, this.#bytes);
    } catch {
      // The same disk: the write's own failure is told of.
    }
  }
}

function eventIn(line: string): RunEvent | undefined {
  try {
    const value = JSON.parse(line) as Partial<RunEvent> | null;
    const isEvent =
      typeof value?.kind === "string" && typeof value.at === "string" && typeof value.seconds === "number";
    // We wrote it: what else it holds follows from its kind.
    return isEvent ? (value as RunEvent) : undefined;
  } catch {
    return undefined;
  }
}
