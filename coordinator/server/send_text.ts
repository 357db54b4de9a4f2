/** Short answers of the server: sentences and JSON, made anew for each request and kept by nobody. */

import type { ServerResponse } from "node:http";
import { NOT_KEPT } from "./headers.ts";

export const JSON_TYPE = "application/json; charset=utf-8";

export function sendText(
  response: ServerResponse,
  status: number,
  text: string,
  contentType = "text/plain; charset=utf-8",
): void {
  response.setHeader("Cache-Control", NOT_KEPT);
  response.writeHead(status, { "Content-Type": contentType, "Content-Length": Buffer.byteLength(text) });
  response.end(text);
}
