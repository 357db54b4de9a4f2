/**
 * A volunteer in Node on WASM that tells everything: the messages of its participation are the lines of stdout, as JSON. A program
 * of its own, like the real one: `node telling_volunteer.ts ADDRESS`.
 */

import type { FromWorker } from "../../client/messages.ts";
import { Coordinator } from "../../client/node/coordinator.ts";
import { createSurroundings } from "../../client/node/node_surroundings.ts";
import { Participation } from "../../client/participation/participation.ts";

const [, , url = ""] = process.argv;
const say = (sentence: string): void => console.error(sentence);
const coordinator = new Coordinator(new URL(url), undefined);
const settings = await coordinator.settings(new AbortController().signal, say);
const participation = new Participation({
  settings,
  backend: "wasm",
  surroundings: createSurroundings(coordinator, 1, say),
  tell: (message: FromWorker) => process.stdout.write(`${JSON.stringify(message)}\n`),
});
process.stdin.on("close", () => participation.stop()).resume();
await participation.run();
process.exit();
