/**
 * A worker's fetch that tells how many bytes of an answer come over the network, as they come: a volunteer's data cap is held by
 * them. What the browser had kept costs nothing, which it says only afterwards: then the bytes are taken back.
 */

import type { Fetched } from "../participation/surroundings.ts";

export async function meteredFetch(
  address: URL,
  signal: AbortSignal,
  onBytes: (bytes: number) => void = () => {},
): Promise<Fetched> {
  const response = await fetch(address, { signal });
  const { ok, status } = response;
  return { ok, status, arrayBuffer: () => read(response, onBytes) };
}

async function read({ body, url }: Response, onBytes: (bytes: number) => void): Promise<ArrayBuffer> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  if (body) {
    const reader = body.getReader();
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      pieces.push(piece.value);
      bytes += piece.value.byteLength;
      onBytes(piece.value.byteLength);
    }
  }
  onBytes(networkBytes(url, bytes) - bytes);
  return joined(pieces, bytes);
}

/** As the browser accounts for the newest answer of this address; `counted` where it keeps no account. */
function networkBytes(url: string, counted: number): number {
  const entry = performance.getEntriesByName(url, "resource").at(-1);
  if (!(entry instanceof PerformanceResourceTiming)) return counted;
  // Without a body's size it says nothing.
  return entry.transferSize === 0 && entry.encodedBodySize > 0 ? 0 : counted;
}

function joined(pieces: readonly Uint8Array[], bytes: number): ArrayBuffer {
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.byteLength;
  }
  return whole.buffer;
}
