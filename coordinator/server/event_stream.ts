/**
 * Live views for the pages: server-sent events, the newest view twice a second. A reader that has not taken the last one
 * yet gets none until it has: nothing is ever queued for it.
 */

import type { ServerResponse } from "node:http";

const INTERVAL_MS = 500;
const MAX_READERS = 256;
/** A reader that takes nothing for this long is gone; TCP would notice much later. */
const STALLED_AFTER_MS = 30_000;

export class EventStream {
  /** Each reader with the time of its last taken view. */
  readonly #readers = new Map<ServerResponse, number>();
  readonly #newest: () => string;
  readonly #timer: NodeJS.Timeout;

  /** `newest` gives the newest view as one line of JSON. */
  constructor(newest: () => string) {
    this.#newest = newest;
    this.#timer = setInterval(() => this.#tick(), INTERVAL_MS);
  }

  /** The response becomes a stream; false where there are too many already. */
  add(response: ServerResponse): boolean {
    if (this.#readers.size >= MAX_READERS) return false;
    response.writeHead(200, { "Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store" });
    this.#readers.set(response, performance.now());
    response.on("close", () => this.#readers.delete(response));
    response.write(asEvent(this.#newest()));
    return true;
  }

  /** The last view goes out to all who can take it: it says that the run is over. */
  close(): void {
    clearInterval(this.#timer);
    const event = this.#readers.size === 0 ? "" : asEvent(this.#newest());
    for (const response of this.#readers.keys()) response.end(response.writableLength === 0 ? event : undefined);
    this.#readers.clear();
  }

  #tick(): void {
    if (this.#readers.size === 0) return;
    const nowMs = performance.now();
    const event = asEvent(this.#newest());
    for (const [response, takenMs] of this.#readers) {
      if (response.writableLength === 0) {
        response.write(event);
        this.#readers.set(response, nowMs);
      } else if (nowMs - takenMs > STALLED_AFTER_MS) {
        response.destroy();
      }
    }
  }
}

function asEvent(line: string): string {
  return `data: ${line}\n\n`;
}
