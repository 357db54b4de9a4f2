/** The entry in Node: `node process.ts http://127.0.0.1:PORT`. */

import { loadDawn } from "../../../../client/node/dawn.ts";
import { serve } from "./session.ts";

await serve(process.argv[2] ?? "", await loadDawn());
// Dawn's threads would hold the process.
process.exit();
