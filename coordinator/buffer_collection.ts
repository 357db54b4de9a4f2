/**
 * How often a coordinator's process collects garbage. V8 adds the memory of buffers to its heap and collects all of it whenever the
 * sum has grown in proportion to what the last collection left. A coordinator's heap is small, and every push and every answer is
 * a buffer: it was marked once for 13 MB of them, which took more processor time than receiving them did (1.7 MB
 * exchanges: 6.8 ms of it, now 4.7; 2-core Xeon, 2026-11-21). V8's limit of 64 MB for buffers holds in any case.
 */

import { setFlagsFromString } from "node:v8";

/** A heap of n MB, buffers included, is collected when it has grown to 5 n. */
const GROWTH_PERCENT = 400;

/** Of the whole process, from now on. */
export function collectBuffersSeldom(): void {
  setFlagsFromString(`--heap-growing-percent=${GROWTH_PERCENT}`);
}
