/** What a page loads before anything is pressed, compressed as the coordinator sends it: the HTML, and what that names. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { CLIENT_FOLDER } from "../../coordinator/cli/places.ts";

export interface LoadedFile {
  readonly path: string;
  readonly gzipBytes: number;
}

/** Scripts, the modules that they import, and styles. */
export function loadedBy(page: "index.html" | "operator.html", folder = CLIENT_FOLDER): readonly LoadedFile[] {
  const loaded = new Map<string, LoadedFile>();
  const load = (path: string): void => {
    if (loaded.has(path)) return;
    const content = readFileSync(join(folder, path));
    loaded.set(path, { path, gzipBytes: gzipSync(content, { level: 9 }).byteLength });
    const text = content.toString("utf8");
    for (const named of path.endsWith(".html") ? namedByPage(text) : importedBy(path, text)) load(named);
  };
  load(page);
  return [...loaded.values()];
}

export function gzipBytesOf(files: readonly LoadedFile[]): number {
  return files.reduce((sum, { gzipBytes }) => sum + gzipBytes, 0);
}

function namedByPage(html: string): string[] {
  return [...html.matchAll(/(?:src|href)="\.?\/?(assets\/[^"]+)"/g)].map(([, path = ""]) => path);
}

/** Static imports, and those that Vite preloads are in the page already. */
function importedBy(path: string, text: string): string[] {
  if (!path.endsWith(".js")) return [];
  return [...text.matchAll(/(?:\bimport|\bfrom)\s*"\.\/([^"]+\.js)"/g)].map(([, name = ""]) => `assets/${name}`);
}
