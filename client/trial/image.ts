/** Images as a model reads them, [height, width, channels] bytes: moved by whole pixels, and light where they were dark. */

import type { ImageShape } from "../../shared/model/model.ts";

/** What comes in from beyond an edge is what the edge has. */
export function shifted(
  pixels: Uint8Array<ArrayBuffer>,
  { height, width, channels }: ImageShape,
  right: number,
  down: number,
): Uint8Array<ArrayBuffer> {
  if (right === 0 && down === 0) return pixels;
  const moved = new Uint8Array(pixels.length);
  for (let row = 0; row < height; row++) {
    const fromRow = Math.max(0, Math.min(height - 1, row - down));
    for (let column = 0; column < width; column++) {
      const fromColumn = Math.max(0, Math.min(width - 1, column - right));
      const from = (fromRow * width + fromColumn) * channels;
      moved.set(pixels.subarray(from, from + channels), (row * width + column) * channels);
    }
  }
  return moved;
}

export function inverted(pixels: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return pixels.map((value) => 255 - value);
}
