/** The page's entry. */

import { serve } from "./session.ts";

await serve("", (navigator as { gpu?: GPU }).gpu);
