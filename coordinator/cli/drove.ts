#!/usr/bin/env node
/** `drove`: the command line as a process. Ends with the command's exit code; `program.ts` has the commands. */

import { EXIT } from "./exit_codes.ts";
import { runCommandLine } from "./program.ts";

// Whoever reads our output may stop reading, as `head` does: what is left unsaid is no failure of ours.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(EXIT.ok);
  });
}

const code = await runCommandLine(process.argv.slice(2));
// What was written to a pipe must leave before the process does.
await Promise.all(
  [process.stdout, process.stderr].map((stream) => new Promise((resolve) => stream.write("", resolve))),
);
process.exit(code);
