/**
 * A file that is served from memory: the built client and the data shards. Answers with its length and its tag, and with
 * 304 to those who have it. Nothing is opened while serving, so a rebuild or a full file table cannot end the process.
 */

import type { IncomingMessage, ServerResponse } from "node:http";

export interface ServedFile {
  readonly contentType: string;
  readonly cacheControl: string;
  /** A strong tag, quotes included. */
  readonly etag: string;
  /** Sent one after the other. */
  readonly parts: readonly Uint8Array[];
  /** The same content compressed, where that saves something. */
  readonly gzip?: Uint8Array;
}

export function sendFile(request: IncomingMessage, response: ServerResponse, file: ServedFile): void {
  const { etag, gzip } = file;
  response.setHeader("Cache-Control", file.cacheControl);
  response.setHeader("ETag", etag);
  if (gzip) response.setHeader("Vary", "Accept-Encoding");
  if (hasTag(request.headers["if-none-match"], etag)) {
    response.writeHead(304).end();
    return;
  }
  const compressed = gzip && /\bgzip\b/.test(request.headers["accept-encoding"] ?? "") ? gzip : undefined;
  if (compressed) response.setHeader("Content-Encoding", "gzip");
  const parts = compressed ? [compressed] : file.parts;
  response.writeHead(200, {
    "Content-Type": file.contentType,
    "Content-Length": parts.reduce((bytes, part) => bytes + part.byteLength, 0),
  });
  if (request.method !== "HEAD") for (const part of parts) response.write(part);
  response.end();
}

function hasTag(asked: string | undefined, etag: string): boolean {
  if (asked === undefined) return false;
  return asked.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag || tag.trim() === "*");
}
