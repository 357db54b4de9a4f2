/** A picture from a file, in any format that this browser reads, as the bytes of a model's input. It never leaves the page. */

import type { Subject } from "../../trial/subject.ts";
import { digitOfPicture } from "../../trial/digit.ts";

const MOST_BYTES = 64 * 2 ** 20;
/** A digit is looked for on a picture of this side. */
const SEARCHED_SIDE = 160;
/** ITU-R BT.709. */
const LUMINANCE = [0.2126, 0.7152, 0.0722] as const;

type Pictured = Exclude<Subject, { kind: "none" }>;

/** The pixels, or a sentence with the fix. */
export async function readPicture(
  file: Blob & { readonly name?: string },
  subject: Pictured,
): Promise<Uint8Array<ArrayBuffer> | { readonly problem: string }> {
  const called = file.name === undefined || file.name === "" ? "What was given" : `“${file.name}”`;
  if (file.size > MOST_BYTES) return { problem: `${called} is larger than 64 MB. Choose a smaller picture.` };
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    return {
      problem: `${called} is no picture that this browser can read. Choose a PNG, JPEG, WebP, GIF or AVIF file.`,
    };
  }
  try {
    return pixelsOf(bitmap, subject);
  } finally {
    bitmap.close();
  }
}

function pixelsOf(
  bitmap: ImageBitmap,
  { kind, input }: Pictured,
): Uint8Array<ArrayBuffer> | { readonly problem: string } {
  const { height, width } = input;
  if (kind === "colour") return colours(scaled(bitmap, width, height));
  if (kind === "grey") return Uint8Array.from(luminances(scaled(bitmap, width, height)), (value) => 255 * value);
  const larger = Math.max(bitmap.width, bitmap.height);
  const scale = Math.min(1, SEARCHED_SIDE / larger);
  const whole = {
    width: Math.max(1, Math.round(scale * bitmap.width)),
    height: Math.max(1, Math.round(scale * bitmap.height)),
  };
  const values = luminances(scaled(bitmap, whole.width, whole.height));
  const digit = digitOfPicture({ ...whole, values }, width);
  return digit ?? { problem: "This picture is the same all over. Choose one that shows a digit on plain ground." };
}

/** The middle of the picture in the target's proportions. */
function scaled(bitmap: ImageBitmap, width: number, height: number): ImageData {
  const scale = Math.min(bitmap.width / width, bitmap.height / height);
  const taken = { width: scale * width, height: scale * height };
  const left = (bitmap.width - taken.width) / 2;
  const top = (bitmap.height - taken.height) / 2;
  // Halved again and again: a browser looks at few pixels where it shrinks by more.
  const steps = Math.max(0, Math.floor(Math.log2(scale)));
  let from = surface(width * 2 ** steps, height * 2 ** steps);
  from.drawImage(bitmap, left, top, taken.width, taken.height, 0, 0, from.canvas.width, from.canvas.height);
  for (let step = steps - 1; step >= 0; step--) {
    const half = surface(width * 2 ** step, height * 2 ** step);
    half.drawImage(from.canvas, 0, 0, half.canvas.width, half.canvas.height);
    from = half;
  }
  return from.getImageData(0, 0, width, height);
}

/** White, where a picture is transparent. */
function surface(width: number, height: number): OffscreenCanvasRenderingContext2D {
  const context = new OffscreenCanvas(width, height).getContext("2d");
  if (!context) throw new Error("This browser offers no 2D canvas.");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  return context;
}

function colours({ data }: ImageData): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: (3 * data.length) / 4 }, (_, at) => data[4 * Math.floor(at / 3) + (at % 3)]!);
}

/** 0..1. */
function luminances({ data }: ImageData): Float32Array {
  return Float32Array.from({ length: data.length / 4 }, (_, pixel) =>
    LUMINANCE.reduce((sum, weight, channel) => sum + (weight * data[4 * pixel + channel]!) / 255, 0),
  );
}
