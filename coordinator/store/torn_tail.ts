/** What a crash leaves at the end of a file of lines, and how those who append to one find it (ledger, event log). */

import type { FileHandle } from "node:fs/promises";

/**
 * How many bytes at the end belong to a write that never finished: a line without its end, or, after a power cut, all from
 * the first block on that was never written (zeros, which JSON never holds). Looks at the last `tailBytes`, which must hold a whole
 * line of what was written. Lines are written one after the other, so nothing that is whole can lie behind either.
 */
export async function tornTailBytes(file: FileHandle, size: number, tailBytes: number): Promise<number> {
  const tail = Buffer.alloc(Math.min(size, tailBytes));
  await file.read(tail, 0, tail.length, size - tail.length);
  const hole = tail.indexOf(0);
  const whole = tail.subarray(0, hole < 0 ? tail.length : hole).lastIndexOf("\n") + 1;
  if (whole === 0 && tail.length === tailBytes) {
    throw new Error(`its last ${tailBytes} bytes hold no whole line`);
  }
  return tail.length - whole;
}
