/**
 * The built client (`build/client`), read once into memory: pages by their address, hashed assets for ever. A page and its
 * coordinator are therefore always of one build.
 */

import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { extname, join, relative, sep } from "node:path";
import { gzipSync } from "node:zlib";
import { IMMUTABLE, REVALIDATED } from "./headers.ts";
import type { ServedFile } from "./served_file.ts";

/** The client cannot be served; the message is one sentence with the fix. */
export class ClientBuildError extends Error {
  override readonly name = "ClientBuildError";
}

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json; charset=utf-8",
  ".map": "application/json; charset=utf-8",
  ".wgsl": "text/plain; charset=utf-8",
  ".txt": "text/plain; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".woff2": "font/woff2",
  ".webmanifest": "application/manifest+json",
  ".wasm": "application/wasm",
};

/** Smaller files gain less than the header costs. */
const COMPRESSED_FROM_BYTES = 1024;

/** Every address of the client with its file: `/`, `/operator`, `/assets/…`. */
export async function readClientFiles(folder: string): Promise<ReadonlyMap<string, ServedFile>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = new Map<string, ServedFile>();
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const address = `/${relative(folder, path).split(sep).join("/")}`;
    const file = servedFile(address, await readFile(path));
    files.set(address, file);
    if (address.endsWith("/index.html")) files.set(address.slice(0, -"index.html".length), file);
    else if (address.endsWith(".html")) files.set(address.slice(0, -".html".length), file);
  }
  if (!files.has("/") || !files.has("/operator")) {
    throw new ClientBuildError(
      `The pages for volunteers are not built (${folder} lacks them); run \`npm run build\` first.`,
    );
  }
  return files;
}

function servedFile(address: string, content: Buffer): ServedFile {
  const extension = extname(address);
  const contentType = CONTENT_TYPES[extension] ?? "application/octet-stream";
  const isText = /^text|json|svg/.test(contentType);
  const gzip = isText && content.byteLength >= COMPRESSED_FROM_BYTES ? gzipSync(content, { level: 9 }) : undefined;
  return {
    contentType,
    // Vite names everything below assets/ by its content.
    cacheControl: address.startsWith("/assets/") ? IMMUTABLE : REVALIDATED,
    etag: `"${createHash("sha256").update(content).digest("base64url").slice(0, 22)}"`,
    parts: [content],
    ...(gzip && gzip.byteLength < content.byteLength ? { gzip } : {}),
  };
}
