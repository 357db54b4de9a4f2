/** What a run can be taken home as, and the words in which the makers of files, the command line and the server speak of it. */

export const EXPORT_FORMATS = ["safetensors", "onnx", "card", "metrics", "tensorboard", "events"] as const;

export type ExportFormat = (typeof EXPORT_FORMATS)[number];

export function isExportFormat(text: string): text is ExportFormat {
  return (EXPORT_FORMATS as readonly string[]).includes(text);
}

/** Pieces are to be written one after the other; large ones are views of what is in memory anyway. */
export interface ExportedFile {
  /** Letters, digits, dots, dashes and underscores alone. */
  readonly fileName: string;
  readonly contentType: string;
  readonly byteLength: number;
  readonly parts: readonly Uint8Array<ArrayBuffer>[];
}

/** There is nothing to export, or not in this format: one sentence with the way out. */
export class ExportError extends Error {
  override readonly name = "ExportError";
}

export function exportedFile(
  fileName: string,
  contentType: string,
  parts: readonly Uint8Array<ArrayBuffer>[],
): ExportedFile {
  return { fileName, contentType, parts, byteLength: parts.reduce((bytes, part) => bytes + part.byteLength, 0) };
}

export function textFile(fileName: string, contentType: string, text: string): ExportedFile {
  return exportedFile(fileName, `${contentType}; charset=utf-8`, [new TextEncoder().encode(text)]);
}
