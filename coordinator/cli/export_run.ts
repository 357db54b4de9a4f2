/** What `drove export` does: asks a run for one format or for all, and writes the files. */

import { mkdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { EXPORT_FORMATS, type ExportedFile, type ExportFormat } from "../export/formats.ts";
import type { ExportOptions } from "./export.ts";
import { exportSource, type ExportSource } from "./export_source.ts";
import { megabytes, Output } from "./output.ts";

interface Written {
  readonly format: ExportFormat;
  readonly path: string;
  readonly bytes: number;
}

/** `run`: a name or a link, undefined for the newest. */
export async function exportRun(run: string | undefined, options: ExportOptions): Promise<void> {
  const { format, json } = options;
  const source = await exportSource(run, options);
  const output = new Output(json ?? false);
  const written =
    format === "all" ? await writeAll(source, options, output) : [await writeOne(source, format, options)];
  output.result(
    { run: source.name, files: written },
    written.map(({ format: made, path, bytes }) => `${path}: ${source.name} as ${made}, ${sizeOf(bytes)}`),
  );
}

async function writeOne(source: ExportSource, format: ExportFormat, { out }: ExportOptions): Promise<Written> {
  const file = await source.file(format);
  const isFolder = out !== undefined && (await isFolderThere(out));
  const path = out === undefined ? file.fileName : isFolder ? join(out, file.fileName) : out;
  return write(file, format, path);
}

/** What a run has not, as an event log where it is older than they are, is left out. */
async function writeAll(source: ExportSource, { out }: ExportOptions, output: Output): Promise<Written[]> {
  const folder = out ?? `${source.name}-export`;
  await mkdir(folder, { recursive: true });
  const written: Written[] = [];
  for (const format of EXPORT_FORMATS) {
    try {
      const file = await source.file(format);
      written.push(await write(file, format, join(folder, file.fileName)));
    } catch (error) {
      if (!source.isMissing(error)) throw error;
      output.note(`Without ${format}: ${(error as Error).message}`);
    }
  }
  return written;
}

async function write({ parts, byteLength }: ExportedFile, format: ExportFormat, path: string): Promise<Written> {
  await writeFile(path, parts);
  return { format, path, bytes: byteLength };
}

async function isFolderThere(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

function sizeOf(bytes: number): string {
  return bytes < 100_000 ? `${(bytes / 1000).toFixed(1)} kB` : megabytes(bytes);
}
