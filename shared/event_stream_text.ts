/**
 * Server-sent events as text (HTML Standard, "parsing an event stream"), for readers that cannot use `EventSource` because they must send
 * a token with the request. Only data counts here; names, ids and retry times are not used by any coordinator.
 */

/** An event that grows beyond this comes from no coordinator. */
const MOST_CHARACTERS = 64_000_000;

export class EventStreamText {
  #rest = "";
  #data: string[] = [];

  /** The data of every event that is complete with this piece. Throws where an event does not end. */
  add(piece: string): string[] {
    const lines = (this.#rest + piece).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? "";
    if (this.#rest.length > MOST_CHARACTERS) throw new Error("An event of the stream does not end.");
    const complete: string[] = [];
    for (const line of lines) {
      if (line === "") {
        if (this.#data.length > 0) complete.push(this.#data.join("\n"));
        this.#data = [];
      } else if (line.startsWith("data:")) {
        this.#data.push(line.slice(line.startsWith("data: ") ? 6 : 5));
      }
    }
    return complete;
  }
}
