/** Where things lie in a checkout, and what belongs to it by path. */

import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const CHECKOUT = fileURLToPath(new URL("../..", import.meta.url));
export const CLIENT_FOLDER = join(CHECKOUT, "build", "client");
export const BENCH_FOLDER = join(CHECKOUT, "test", "bench");
/** Of volunteers without a browser. */
export const NODE_CLIENT = join(CHECKOUT, "client", "node");
export const DROVE = fileURLToPath(new URL("drove.ts", import.meta.url));

/** Imported data sets lie beside the runs; no run's name begins with a point. */
export function dataRoot(runsFolder: string): string {
  return join(runsFolder, ".data");
}
