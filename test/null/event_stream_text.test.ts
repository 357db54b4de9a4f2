/** Server-sent events read from text that comes in pieces of any size. */

import { expect, test } from "vitest";
import { EventStreamText } from "../../shared/event_stream_text.ts";
import { Random } from "../../shared/random.ts";

const STREAM = [
  'data: {"a":1}\n\n',
  ": a comment\n\n",
  "event: view\nid: 7\ndata: two\ndata: lines\n\n",
  "data:without a space\r\n\r\n",
  "retry: 100\n\n",
  "data: \n\n",
  "data: last\r\n\r\n",
  "data: not complete\n",
].join("");
const EVENTS = ['{"a":1}', "two\nlines", "without a space", "", "last"];

test("Whatever the pieces, the events are the same", () => {
  const random = new Random(3);
  for (let round = 0; round < 300; round++) {
    const text = new EventStreamText();
    const events: string[] = [];
    for (let at = 0; at < STREAM.length;) {
      const length = 1 + random.below(round % 2 === 0 ? 3 : 30);
      events.push(...text.add(STREAM.slice(at, at + length)));
      at += length;
    }
    expect(events).toEqual(EVENTS);
  }
});
