/** A model's input on a canvas of the same size; CSS makes it larger. */

import type { ImageShape } from "../../../shared/model/model.ts";

/** `pixels`: [height, width, channels], one channel or three. */
export function paint(canvas: HTMLCanvasElement, pixels: Uint8Array, { height, width, channels }: ImageShape): void {
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(width, height);
  for (let pixel = 0; pixel < height * width; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      image.data[4 * pixel + channel] = pixels[pixel * channels + (channels === 1 ? 0 : channel)] ?? 0;
    }
    image.data[4 * pixel + 3] = 255;
  }
  canvas.getContext("2d")?.putImageData(image, 0, 0);
}
