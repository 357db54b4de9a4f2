/**
 * Live views for the pages: server-sent events, the newest view twice a second. A reader that has not taken the last one
 * yet gets none until it has: nothing is ever queued for it.
 */

import type { ServerResponse } from "node:http";
import type { LiveText } from "./view_texts.ts";

const INTERVAL_MS = 500;
/** With so many readers each gets every second view. */
const MANY_READERS = 256;
/** A reader that takes nothing for this long is gone; TCP would notice much later. */
const STALLED_AFTER_MS = 30_000;

interface Reader {
  readonly response: ServerResponse;
  /** Whose own part it gets. */
  readonly replica: string | undefined;
  /** Of the last view that it took. */
  takenMs: number;
  historyKey: string | undefined;
}

export class EventStream {
  readonly #readers = new Set<Reader>();
  readonly #source: LiveText;
  readonly #mostReaders: number;
  readonly #timer: NodeJS.Timeout;
  #ticks = 0;

  constructor(source: LiveText, mostReaders: number) {
    this.#source = source;
    this.#mostReaders = mostReaders;
    this.#timer = setInterval(() => this.#tick(), INTERVAL_MS);
  }

  /** The response becomes a stream; false where there are too many already. */
  add(response: ServerResponse, replica?: string): boolean {
    if (this.#readers.size >= this.#mostReaders) return false;
    response.writeHead(200, { "Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store" });
    const reader: Reader = { response, replica, takenMs: performance.now(), historyKey: undefined };
    this.#readers.add(reader);
    response.on("close", () => this.#readers.delete(reader));
    response.write(this.#eventFor(reader));
    return true;
  }

  /** The last view goes out to all who can take it: it says that the run is over. */
  close(): void {
    clearInterval(this.#timer);
    for (const reader of this.#readers) {
      const { response } = reader;
      response.end(response.writableLength === 0 ? this.#eventFor(reader) : undefined);
    }
    this.#readers.clear();
  }

  #tick(): void {
    this.#ticks++;
    if (this.#readers.size > MANY_READERS && this.#ticks % 2 === 1) return;
    const nowMs = performance.now();
    for (const reader of this.#readers) {
      const { response } = reader;
      if (response.writableLength === 0) {
        response.write(this.#eventFor(reader));
        reader.takenMs = nowMs;
      } else if (nowMs - reader.takenMs > STALLED_AFTER_MS) {
        response.destroy();
      }
    }
  }

  #eventFor(reader: Reader): string {
    const historyKey = this.#source.historyKey();
    const text = this.#source.text(reader.historyKey !== historyKey, reader.replica);
    reader.historyKey = historyKey;
    return `data: ${text}\n\n`;
  }
}
