/**
 * A process to be killed: appends events in a loop and says on stdout, after each, how many there are. Started by
 * `test/null/event_log.test.ts` with the log's path as its argument.
 */

import { writeSync } from "node:fs";
import { EventLog } from "../../coordinator/store/event_log.ts";

const log = await EventLog.open(process.argv[2]!, {
  nowIso: () => "2026-11-21T00:00:00.000Z",
  seconds: () => 1,
  onProblem: (sentence) => {
    throw new Error(sentence);
  },
});
let number = 0;
for await (const event of log.events()) if (event.kind === "kicked") number = Number(event.replica);
for (;;) {
  number++;
  log.append({ kind: "kicked", replica: String(number) });
  writeSync(1, `${number}\n`);
}
