/**
 * The headers of every answer: what the two pages may load and run, and what threaded WASM needs (cross-origin isolation).
 * WebGPU needs no token of its own.
 */

import type { OutgoingHttpHeaders } from "node:http";

const CONTENT_SECURITY_POLICY = [
  "default-src 'self'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self'",
  "connect-src 'self' ws: wss:",
  "img-src 'self' data:",
  "style-src 'self'",
  "object-src 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** What the volunteer's page asks of the device, for itself alone; nothing else that a browser would ask about. */
const PERMISSIONS_POLICY = [
  "compute-pressure=(self)",
  "screen-wake-lock=(self)",
  "camera=()",
  "microphone=()",
  "geolocation=()",
  "display-capture=()",
  "payment=()",
  "usb=()",
].join(", ");

export const COMMON_HEADERS: OutgoingHttpHeaders = {
  "Content-Security-Policy": CONTENT_SECURITY_POLICY,
  "Permissions-Policy": PERMISSIONS_POLICY,
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
};

/** For what its address names by content: never asked for again. */
export const IMMUTABLE = "public, max-age=31536000, immutable";
/** Kept, but asked for each time. */
export const REVALIDATED = "no-cache";
export const NOT_KEPT = "no-store";
