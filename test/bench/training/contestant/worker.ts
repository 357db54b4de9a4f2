/** A contestant in a Web Worker of its own, whose name is its number: `page.ts` starts it. */

import { serveConductor } from "./session.ts";

await serveConductor(new URL("/", location.href), self.name);
