/** The body of a short request, read whole, or given up as soon as it is too long. */

import type { IncomingMessage } from "node:http";

/** Undefined where it is longer than `mostBytes`. */
export async function bodyOf(request: IncomingMessage, mostBytes: number): Promise<string | undefined> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request) {
    const piece = part as Buffer;
    bytes += piece.byteLength;
    if (bytes > mostBytes) return undefined;
    parts.push(piece);
  }
  return Buffer.concat(parts).toString("utf8");
}
